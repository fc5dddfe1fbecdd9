/**
 * What goes wrong before or beside a handler, and what each family of AWS protocols calls it. Clients match on these codes,
 * and retry or correct their clock by them; the common-errors page of each service's API reference lists them.
 *
 * What a handler throws is either an exception class of the SDK, which carries its own code, or an AwsError.
 */
import type { Family } from './codecs/codec.ts';

/** An error whose code clients match on, for what the SDK has no exception class for (all of EC2, for one). */
export class AwsError extends Error {
  readonly code: string;
  readonly status: number;

  constructor(code: string, message: string, options: { status?: number; cause?: unknown } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = code;
    this.code = code;
    this.status = options.status ?? 400;
  }
}

type Told = readonly [code: string, status: number];
type FailureTable = Record<string, Record<Family, Told>>;

const same = (code: string, status: number): Record<Family, Told> => ({
  query: [code, status],
  ec2: [code, status],
  json: [code, status],
  rest: [code, status],
});

const FAILURES = {
  missingToken: {
    query: ['MissingAuthenticationToken', 403],
    ec2: ['MissingAuthenticationToken', 403],
    json: ['MissingAuthenticationTokenException', 400],
    rest: ['MissingAuthenticationTokenException', 403],
  },
  incompleteSignature: {
    query: ['IncompleteSignature', 400],
    ec2: ['IncompleteSignature', 400],
    json: ['IncompleteSignatureException', 400],
    rest: ['IncompleteSignatureException', 403],
  },
  unknownKey: {
    query: ['InvalidClientTokenId', 403],
    ec2: ['AuthFailure', 401],
    json: ['UnrecognizedClientException', 400],
    rest: ['UnrecognizedClientException', 403],
  },
  expiredToken: {
    query: ['ExpiredToken', 403],
    ec2: ['RequestExpired', 400],
    json: ['ExpiredTokenException', 400],
    rest: ['ExpiredTokenException', 403],
  },
  wrongSignature: {
    query: ['SignatureDoesNotMatch', 403],
    ec2: ['AuthFailure', 401],
    json: ['InvalidSignatureException', 400],
    rest: ['InvalidSignatureException', 403],
  },
  expiredSignature: {
    query: ['SignatureDoesNotMatch', 403],
    ec2: ['RequestExpired', 400],
    json: ['InvalidSignatureException', 400],
    rest: ['InvalidSignatureException', 403],
  },
  expiredUrl: {
    query: ['RequestExpired', 400],
    ec2: ['RequestExpired', 400],
    json: ['RequestExpired', 400],
    rest: ['RequestExpired', 403],
  },
  /** What retries sign anew; an SDK waits and does so. Also what a replay is told: see `signature/replay-memory.ts`. */
  throttled: {
    query: ['Throttling', 400],
    ec2: ['RequestLimitExceeded', 503],
    json: ['ThrottlingException', 400],
    rest: ['ThrottlingException', 429],
  },
  unknownOperation: {
    query: ['InvalidAction', 400],
    ec2: ['InvalidAction', 400],
    json: ['UnknownOperationException', 400],
    rest: ['UnknownOperationException', 404],
  },
  malformed: {
    query: ['MalformedQueryString', 400],
    ec2: ['MalformedQueryString', 400],
    json: ['SerializationException', 400],
    rest: ['SerializationException', 400],
  },
  wrongType: {
    query: ['InvalidParameterValue', 400],
    ec2: ['InvalidParameterValue', 400],
    json: ['SerializationException', 400],
    rest: ['SerializationException', 400],
  },
  /** Of EC2 alone. */
  unknownParameter: same('UnknownParameter', 400),
  missingParameter: {
    query: ['MissingParameter', 400],
    ec2: ['MissingParameter', 400],
    json: ['ValidationException', 400],
    rest: ['ValidationException', 400],
  },
  denied: {
    query: ['AccessDenied', 403],
    ec2: ['UnauthorizedOperation', 403],
    json: ['AccessDeniedException', 400],
    rest: ['AccessDeniedException', 403],
  },
  notImplemented: same('NotImplemented', 501),
  tooLarge: {
    query: ['RequestEntityTooLarge', 413],
    ec2: ['RequestEntityTooLarge', 413],
    json: ['RequestEntityTooLargeException', 413],
    rest: ['RequestEntityTooLargeException', 413],
  },
  late: {
    query: ['RequestTimeout', 408],
    ec2: ['RequestTimeout', 408],
    json: ['RequestTimeoutException', 408],
    rest: ['RequestTimeoutException', 408],
  },
  unavailable: {
    query: ['ServiceUnavailable', 503],
    ec2: ['Unavailable', 503],
    json: ['ServiceUnavailableException', 503],
    rest: ['ServiceUnavailableException', 503],
  },
  internal: {
    query: ['InternalFailure', 500],
    ec2: ['InternalError', 500],
    json: ['InternalFailure', 500],
    rest: ['InternalFailure', 500],
  },
} satisfies FailureTable;

export type FailureKind = keyof typeof FAILURES;

/** Thrown by any step of a call; its code and status are decided by the family of the request, at the end. */
export class Failure extends Error {
  override name = 'Failure';
  readonly kind: FailureKind;

  constructor(kind: FailureKind, message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.kind = kind;
  }
}

export function toldAs(kind: FailureKind, family: Family): { code: string; status: number } {
  const [code, status] = FAILURES[kind][family];
  return { code, status };
}
