/** What is wrong with the text of a policy, and where. Operations make an exception of their service of it. */
export class PolicyProblem extends Error {
  override name = 'PolicyProblem';

  constructor(where: string, what: string) {
    super(where === '' ? what : `${where}: ${what}`);
  }
}

export const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** One value or a list of them, as policies write it. */
export function listOf(value: unknown): unknown[] {
  return Array.isArray(value) ? value : [value];
}

/** @throws PolicyProblem where it is not a text or a list of one or more */
export function textsOf(where: string, value: unknown): string[] {
  const texts = listOf(value);
  if (texts.length === 0) throw new PolicyProblem(where, 'is empty');
  if (!texts.every((text): text is string => typeof text === 'string'))
    throw new PolicyProblem(where, 'must be a string or a list of strings');
  return texts;
}
