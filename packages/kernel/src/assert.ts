/**
 * Assertions for our own mistakes. They stay on in production: a process that has broken one of its invariants
 * must stop before it acknowledges anything more. What the world does wrong is a coded error instead (errors.ts).
 */
export class AssertionError extends Error {
  override name = 'AssertionError';
}

/** Ends the task unless `condition` holds. Pass a function where building the message costs something. */
export function assert(
  condition: unknown,
  message: string | (() => string) = 'assertion failed',
): asserts condition {
  if (!condition) throw new AssertionError(typeof message === 'string' ? message : message());
}

/** The value, which the caller knows to be there. */
export function must<T>(value: T | undefined | null, message = 'value expected'): T {
  if (value === undefined || value === null) throw new AssertionError(message);
  return value;
}

/** The default branch of an exhaustive switch. */
export function unreachable(value: never): never {
  throw new AssertionError(`unreachable: ${String(value)}`);
}
