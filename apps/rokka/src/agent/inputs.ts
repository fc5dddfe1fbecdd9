/** What a step was given. Documents of users may leave anything out. */
import type { JsonObject } from '@rokka/services';

export function textOf(inputs: JsonObject, name: string): string {
  const value = inputs[name];
  return typeof value === 'string' ? value : typeof value === 'number' ? String(value) : '';
}

/** `True`, in any case, as documents have it. */
export const flagOf = (inputs: JsonObject, name: string): boolean => /^true$/i.test(textOf(inputs, name));

/** One line, or several. */
export function linesOf(inputs: JsonObject, name: string): string[] {
  const value = inputs[name];
  if (typeof value === 'string') return [value];
  return Array.isArray(value) ? value.filter((line) => typeof line === 'string') : [];
}
