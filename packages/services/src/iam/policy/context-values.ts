/** What a request says of itself, by condition key. Names of keys are compared without regard to case, tag keys too. */
import type { Variables } from './pattern.ts';

export type ContextValues = ReadonlyMap<string, readonly string[]>;

export function contextValues(record: Readonly<Record<string, string | readonly string[]>>): ContextValues {
  return new Map(
    Object.entries(record).map(([key, value]) => [
      key.toLowerCase(),
      typeof value === 'string' ? [value] : value,
    ]),
  );
}

/** A key with several values cannot be put into a text. */
export const variablesOf =
  (context: ContextValues): Variables =>
  (name) => {
    const values = context.get(name.toLowerCase());
    return values?.length === 1 ? values[0] : undefined;
  };
