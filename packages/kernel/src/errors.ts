/**
 * Errors of the world: each has a stable code, and a message that names the thing, the value and the way out.
 * A package lists its codes in one table; whoever catches one branches on the code, never on the message.
 */

export class CodedError extends Error {
  override name = 'CodedError';
  readonly code: string;
  /** What a caller may need beside the code, such as the newer epoch that refused it. */
  readonly detail: Readonly<Record<string, unknown>>;

  constructor(
    code: string,
    message: string,
    detail: Readonly<Record<string, unknown>> = {},
    cause?: unknown,
  ) {
    super(message, cause === undefined ? undefined : { cause });
    this.code = code;
    this.detail = detail;
  }
}

type Table = Record<string, (...args: never[]) => string>;

/** For each code a function that makes the error from the arguments of its message; `detail` and `cause` may follow. */
export type ErrorTable<T extends Table> = {
  readonly [K in keyof T]: (
    args: Parameters<T[K]>,
    more?: { detail?: Readonly<Record<string, unknown>>; cause?: unknown },
  ) => CodedError;
};

/**
 * Makes a package's error table.
 *
 * @example
 * const errors = defineErrors({ ROKKA_PORT_USED: (port: number) => `port ${port} is in use; choose another with --port` });
 * throw errors.ROKKA_PORT_USED([5432]);
 */
export function defineErrors<T extends Table>(table: T): ErrorTable<T> {
  const made: Record<string, unknown> = {};
  for (const [code, message] of Object.entries(table)) {
    made[code] = (args: never[], more: { detail?: Record<string, unknown>; cause?: unknown } = {}) =>
      new CodedError(code, message(...args), more.detail, more.cause);
  }
  return made as ErrorTable<T>;
}

/** Whether `error` is a coded error, of this code where one is given. */
export function isCoded(error: unknown, code?: string): error is CodedError {
  return error instanceof CodedError && (code === undefined || error.code === code);
}

/** One line for people and logs. */
export function describeError(error: unknown): string {
  if (error instanceof CodedError) return `${error.code}: ${error.message}`;
  if (error instanceof Error) return `${error.name}: ${error.message}`;
  return String(error);
}
