/**
 * Calls that may be said twice: a client that did not hear the answer repeats the call with the same `ClientToken`, and must get
 * what the first one made, not another of it.
 *
 * Where the token is kept decides what it is worth. A service keeps it in the document of what it created, written by the same
 * compare-and-set: then a crash between the two cannot be, and every gateway knows of it. Here is only what is the same for all
 * services, and pure: the fingerprint of a call, and what a repetition means.
 * https://docs.aws.amazon.com/ec2/latest/devguide/ec2-api-idempotency.html
 */
import { createHash } from 'node:crypto';

export interface IdempotencyMark {
  readonly token: string;
  readonly fingerprint: string;
}

/** `same`: give back what is there. `mismatch`: IdempotentParameterMismatch, or what the service calls it. */
export type Repetition = 'new' | 'same' | 'mismatch';

/** @param input as it was decoded; undefined where it names no token */
export function idempotencyMark(input: object, tokenMember = 'ClientToken'): IdempotencyMark | undefined {
  const { [tokenMember]: token, ...parameters } = input as Record<string, unknown>;
  if (typeof token !== 'string' || token === '') return undefined;
  return { token, fingerprint: createHash('sha256').update(canonical(parameters)).digest('hex') };
}

/** @param kept the mark of what was created under this token, if anything was */
export function judgeRepetition(kept: IdempotencyMark | undefined, now: IdempotencyMark): Repetition {
  if (!kept || kept.token !== now.token) return 'new';
  return kept.fingerprint === now.fingerprint ? 'same' : 'mismatch';
}

/** One text for one value: members by name, and what is undefined is not there. */
function canonical(value: unknown): string {
  if (value instanceof Uint8Array) return `bytes ${Buffer.from(value).toString('base64')}`;
  if (value instanceof Date) return `time ${value.getTime()}`;
  if (typeof value === 'bigint') return `integer ${value}`;
  if (Array.isArray(value)) return `[${value.map(canonical).join()}]`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value) ?? 'undefined';
  const members = Object.entries(value)
    .filter(([, member]) => member !== undefined)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, member]) => `${JSON.stringify(name)}:${canonical(member)}`);
  return `{${members.join()}}`;
}
