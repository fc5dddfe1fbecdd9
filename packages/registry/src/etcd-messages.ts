/**
 * The few messages of etcd's v3 API that the registry speaks, in their JSON form (etcd.io/docs/v3.4/dev-guide/
 * api_grpc_gateway): bytes are base64, 64-bit numbers are strings, and a zero, a false or an empty list is left out.
 * What comes back is looked at before it is believed: what is not such a message is a failure of whoever sent it.
 */
import { PostFailure } from './http-post.ts';

/** A request, with the way to understand its answer. */
export interface EtcdRequest<T> {
  readonly path: string;
  readonly body: object;
  /** @throws PostFailure where it is no such answer */
  readonly understand: (body: JsonObject) => T;
}

export interface KeyValue {
  readonly key: string;
  readonly value: string;
  /** mod_revision. */
  readonly revision: number;
}

export interface RangeAnswer {
  /** Where etcd stands: not the revision that was asked about. */
  readonly revision: number;
  readonly found: KeyValue[];
  readonly more: boolean;
}

export interface CompareAndSetAnswer {
  readonly revision: number;
  readonly succeeded: boolean;
  /** The key as it is, where it did not succeed. */
  readonly found: KeyValue | undefined;
}

export type JsonObject = Record<string, unknown>;

const base64 = (text: string) => Buffer.from(text).toString('base64');

/** The key, or the keys from it to below `end`; `serializable` is what one member knows, without asking the others. */
export function rangeRequest(options: {
  key: string;
  end?: string;
  limit?: number;
  /** 0 is now. */
  revision?: number;
  serializable?: boolean;
}): EtcdRequest<RangeAnswer> {
  const { key, end, limit = 0, revision = 0, serializable = false } = options;
  const body = {
    key: base64(key),
    ...(end !== undefined && { range_end: base64(end) }),
    limit: String(limit),
    revision: String(revision),
    serializable,
  };
  return { path: '/v3/kv/range', body, understand: rangeAnswer };
}

/** If `key` is at `revision` (0: has never been), and greater than `above` where that is given: puts `value`; if not, reads it. */
export function compareAndSetRequest(options: {
  key: string;
  revision: number;
  above: string | undefined;
  value: string;
}): EtcdRequest<CompareAndSetAnswer> {
  const { revision, above, value } = options;
  const key = base64(options.key);
  const compare: object[] = [{ key, target: 'MOD', result: 'EQUAL', mod_revision: String(revision) }];
  if (above !== undefined) compare.push({ key, target: 'VALUE', result: 'GREATER', value: base64(above) });
  const body = {
    compare,
    success: [{ request_put: { key, value: base64(value) } }],
    failure: [{ request_range: { key } }],
  };
  return { path: '/v3/kv/txn', body, understand: compareAndSetAnswer };
}

/** Which cluster answers, and at which revision it stands. */
export function headerOf(body: JsonObject): { cluster: string; revision: number } {
  const { cluster_id: cluster, revision } = objectOf(body['header']);
  if (typeof cluster !== 'string') throw malformed();
  return { cluster, revision: revisionOf(revision) };
}

function rangeAnswer(body: JsonObject): RangeAnswer {
  return { revision: headerOf(body).revision, found: keyValues(body), more: body['more'] === true };
}

function compareAndSetAnswer(body: JsonObject): CompareAndSetAnswer {
  const { revision } = headerOf(body);
  if (body['succeeded'] === true) return { revision, succeeded: true, found: undefined };
  const responses = body['responses'];
  if (!Array.isArray(responses) || responses.length !== 1) throw malformed();
  const [found] = keyValues(objectOf(objectOf(responses[0])['response_range']));
  return { revision, succeeded: false, found };
}

function keyValues({ kvs = [] }: JsonObject): KeyValue[] {
  if (!Array.isArray(kvs)) throw malformed();
  return kvs.map((each: unknown) => {
    const { key, value = '', mod_revision: revision } = objectOf(each);
    return { key: textOf(key), value: textOf(value), revision: revisionOf(revision) };
  });
}

function objectOf(value: unknown): JsonObject {
  if (typeof value !== 'object' || !value) throw malformed();
  return value as JsonObject;
}

function textOf(value: unknown): string {
  if (typeof value !== 'string') throw malformed();
  return Buffer.from(value, 'base64').toString('utf8');
}

/** etcd counts in 64 bits; at ten thousand writes a second a safe integer lasts for 28,000 years. */
function revisionOf(value: unknown): number {
  const revision = typeof value === 'string' ? Number(value) : NaN;
  if (!Number.isSafeInteger(revision) || revision < 1) throw malformed();
  return revision;
}

const malformed = () => new PostFailure('not a message of etcd', true);
