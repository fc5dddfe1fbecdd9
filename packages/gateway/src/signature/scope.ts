/**
 * What a request says about who signed it: the Authorization header, or the parameters of a presigned URL. Reading it checks its
 * form alone; a gateway needs the service's name before it can do anything else.
 * https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-authentication-methods.html
 */
import { Failure } from '../failures.ts';
import type { WireRequest } from '../wire.ts';

export const ALGORITHM = 'AWS4-HMAC-SHA256';

export interface Scope {
  readonly accessKeyId: string;
  /** `20260131`. */
  readonly day: string;
  readonly region: string;
  readonly service: string;
}

export interface Claim {
  readonly scope: Scope;
  readonly signedHeaders: readonly string[];
  /** 64 digits of hexadecimal. */
  readonly signature: string;
  /** `20260131T235959Z`. */
  readonly timestamp: string;
  readonly timestampMs: number;
  readonly sessionToken: string | undefined;
  /** Of a presigned URL: how long it is good from its timestamp on. */
  readonly expiresMs: number | undefined;
}

/** Longest that a presigned URL may be good: seven days, in seconds. */
export const EXPIRES_S_MAX = 604_800;

/** @throws Failure missingToken, incompleteSignature */
export function readClaim(request: WireRequest): Claim {
  const header = request.headers['authorization'];
  if (header !== undefined) return readHeader(header, request);
  if (request.query.has('X-Amz-Algorithm') || request.query.has('X-Amz-Signature')) return readUrl(request);
  throw new Failure('missingToken', 'Request is missing Authentication Token');
}

/** The scope where there is one, for routing: what is wrong with the rest is said later, in the service's own shape. */
export function peekScope(request: Pick<WireRequest, 'headers' | 'query'>): Scope | undefined {
  const header = request.headers['authorization'];
  const credential =
    header === undefined ? request.query.get('X-Amz-Credential') : /Credential=([^,\s]+)/.exec(header)?.[1];
  return credential ? parseScope(credential) : undefined;
}

function readHeader(header: string, request: WireRequest): Claim {
  if (!header.startsWith(`${ALGORITHM} `))
    throw incomplete(`Unsupported AWS 'algorithm': it must be ${ALGORITHM}.`);
  const fields = new Map<string, string>();
  for (const part of header.slice(ALGORITHM.length + 1).split(',')) {
    const at = part.indexOf('=');
    if (at < 0)
      throw incomplete(
        `'${shown(part.trim())}' not a valid key=value pair (missing equal-sign) in Authorization header.`,
      );
    fields.set(part.slice(0, at).trim(), part.slice(at + 1).trim());
  }
  const timestamp = request.headers['x-amz-date'] ?? fromHttpDate(request.headers['date']);
  if (timestamp === undefined)
    throw incomplete("Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header.");
  return {
    ...readFields((name) => fields.get(name), "Authorization header requires '#' parameter."),
    ...readTimestamp(timestamp),
    sessionToken: request.headers['x-amz-security-token'],
    expiresMs: undefined,
  };
}

function readUrl(request: WireRequest): Claim {
  const one = (name: string) => {
    const values = request.query.getAll(`X-Amz-${name}`);
    if (values.length > 1) throw incomplete(`X-Amz-${name} stands more than once in the query string.`);
    return values[0];
  };
  if (one('Algorithm') !== ALGORITHM)
    throw incomplete(`Unsupported AWS 'algorithm': it must be ${ALGORITHM}.`);
  const expires = one('Expires') ?? '';
  const expiresS = /^\d{1,9}$/.test(expires) ? Number(expires) : 0;
  if (expiresS < 1 || expiresS > EXPIRES_S_MAX)
    throw incomplete(`X-Amz-Expires must be a number of seconds between 1 and ${EXPIRES_S_MAX}.`);
  return {
    ...readFields(one, "AWS query-string parameters must include 'X-Amz-#'."),
    ...readTimestamp(one('Date') ?? ''),
    sessionToken: one('Security-Token'),
    expiresMs: expiresS * 1000,
  };
}

function readFields(
  field: (name: string) => string | undefined,
  complaint: string,
): Pick<Claim, 'scope' | 'signedHeaders' | 'signature'> {
  const need = (name: string): string => {
    const value = field(name);
    if (!value) throw incomplete(complaint.replace('#', name));
    return value;
  };
  const credential = need('Credential');
  const scope = parseScope(credential);
  if (!scope)
    throw incomplete(
      `Credential must have exactly 5 slash-delimited elements, e.g. keyid/date/region/service/aws4_request, got '${shown(credential)}'`,
    );
  const signature = need('Signature');
  if (!/^[0-9a-f]{64}$/.test(signature)) throw incomplete('Signature must be 64 digits of hexadecimal.');
  return { scope, signedHeaders: need('SignedHeaders').split(';'), signature };
}

function parseScope(credential: string): Scope | undefined {
  const [accessKeyId, day, region, service, end, ...more] = credential.split('/');
  const isWhole = accessKeyId && /^\d{8}$/.test(day) && region && service && end === 'aws4_request';
  if (!isWhole || more.length > 0 || credential.length > 512) return undefined;
  return { accessKeyId, day, region, service };
}

function readTimestamp(timestamp: string): Pick<Claim, 'timestamp' | 'timestampMs'> {
  const match = /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/.exec(timestamp);
  const timestampMs = match
    ? Date.parse(timestamp.replace(/^(.{4})(..)(...)(..)(..)/, '$1-$2-$3$4:$5:'))
    : Number.NaN;
  if (Number.isNaN(timestampMs))
    throw incomplete(`Date must be in ISO-8601 'basic format'. Got '${shown(timestamp)}'.`);
  return { timestamp, timestampMs };
}

/** `Sat, 31 Jan 2026 23:59:59 GMT`: what stands for the date where there is no X-Amz-Date. */
function fromHttpDate(date: string | undefined): string | undefined {
  const ms = date === undefined ? Number.NaN : Date.parse(date);
  return Number.isNaN(ms) ? undefined : basicTime(ms);
}

/** `20260131T235959Z`. */
export function basicTime(ms: number): string {
  return new Date(ms).toISOString().replace(/[-:]|\.\d+/g, '');
}

function incomplete(message: string): Failure {
  return new Failure('incompleteSignature', message);
}

const shown = (text: string) => text.slice(0, 128);
