/**
 * As much of etcd as the registry uses, in memory and with its whole history, so that a test can say afterwards what
 * took effect; and a way to it that loses, delays and garbles requests and answers on virtual time. Deliberately plain:
 * every read looks through the list of all events.
 */
import { assert, must, type SeededRandom, type VirtualClock } from '@rokka/kernel';
import { type HttpAnswer, type Post, PostFailure } from '../http-post.ts';

const base64 = (text: string) => Buffer.from(text).toString('base64');
const fromBase64 = (text: string) => Buffer.from(text, 'base64').toString('utf8');

export interface FakeEvent {
  readonly revision: number;
  readonly key: string;
  readonly value: string;
}

interface RangeRequest {
  key: string;
  range_end?: string;
  revision?: string;
  limit?: string;
  keys_only?: boolean;
}

interface TransactionRequest {
  compare: { key: string; target: string; result: string; mod_revision?: string; value?: string }[];
  success: { request_put: { key: string; value: string } }[];
  failure: { request_range: RangeRequest }[];
}

export class FakeEtcd {
  readonly events: FakeEvent[] = [];
  cluster = '17';
  #revision = 1;
  #compacted = 0;

  get revision(): number {
    return this.#revision;
  }

  /** What was so before `revision` and is no more so there cannot be read. */
  compact(revision: number): void {
    this.#compacted = Math.max(this.#compacted, revision);
  }

  /** The versions of a key, oldest first. */
  versions(key: string): FakeEvent[] {
    return this.events.filter((event) => event.key === key);
  }

  write(key: string, value: string): number {
    this.events.push({ revision: ++this.#revision, key, value });
    return this.#revision;
  }

  handle(path: string, text: string): HttpAnswer {
    const body = JSON.parse(text) as unknown;
    if (path === '/v3/kv/range') return this.#range(body as RangeRequest);
    assert(path === '/v3/kv/txn', path);
    return this.#transaction(body as TransactionRequest);
  }

  #range(request: RangeRequest): HttpAnswer {
    const at = Number(request.revision ?? 0) || this.#revision;
    if (at < this.#compacted) return refusal(11, 'etcdserver: mvcc: required revision has been compacted');
    const from = fromBase64(request.key);
    const end = request.range_end === undefined ? `${from}\u0000` : fromBase64(request.range_end);
    const current = new Map<string, FakeEvent>();
    for (const event of this.events)
      if (event.revision <= at && event.key >= from && event.key < end) current.set(event.key, event);
    const sorted = [...current.values()].sort((a, b) => (a.key < b.key ? -1 : 1));
    const limit = Number(request.limit ?? 0) || sorted.length;
    const kvs = sorted.slice(0, limit).map(({ key, value, revision }) => ({
      key: base64(key),
      value: base64(value),
      mod_revision: String(revision),
    }));
    return this.#answer({
      ...(kvs.length > 0 && { kvs }),
      ...(sorted.length > limit && { more: true }),
    });
  }

  #transaction(request: TransactionRequest): HttpAnswer {
    const equal = request.compare.every(({ key, target, result, mod_revision: revision, value }) => {
      const found = this.versions(fromBase64(key)).at(-1);
      if (target === 'MOD' && result === 'EQUAL') return (found?.revision ?? 0) === Number(revision);
      assert(target === 'VALUE' && result === 'GREATER');
      return found !== undefined && found.value > fromBase64(must(value));
    });
    if (!equal) {
      const range = JSON.parse(this.#range(must(request.failure[0]).request_range).text) as unknown;
      return this.#answer({ responses: [{ response_range: range }] });
    }
    const { key, value } = must(request.success[0]).request_put;
    this.write(fromBase64(key), fromBase64(value));
    return this.#answer({ succeeded: true, responses: [{ response_put: {} }] });
  }

  #answer(body: object): HttpAnswer {
    const header = { cluster_id: this.cluster, member_id: '1', revision: String(this.#revision) };
    return { status: 200, text: JSON.stringify({ header, ...body }) };
  }
}

const refusal = (code: number, message: string): HttpAnswer => ({
  status: 400,
  text: JSON.stringify({ error: message, code, message }),
});

interface FateRule {
  readonly weight: number;
  /** When etcd carries the request out. */
  readonly deed: 'now' | 'later' | 'never';
  /** What its author is told: etcd's answer, nothing at all, or something else. */
  readonly told: 'answer' | 'nothing' | 'unsent' | HttpAnswer;
}

const UNAVAILABLE = refusal(14, 'etcdserver: request timed out, possibly due to previous leader failure');
const NO_SPACE = refusal(8, 'etcdserver: mvcc: database space exceeded');
const NONSENSE = { status: 502, text: '<html>Bad Gateway</html>' };

/** What may become of a request: all but the first two leave its author in the dark, or tell half the truth. */
const FATES = {
  plain: { weight: 20, deed: 'now', told: 'answer' },
  unsent: { weight: 1, deed: 'never', told: 'unsent' },
  'request lost': { weight: 1, deed: 'never', told: 'nothing' },
  'answer lost': { weight: 3, deed: 'now', told: 'nothing' },
  'carried out later': { weight: 3, deed: 'later', told: 'nothing' },
  'unavailable, carried out': { weight: 1, deed: 'now', told: UNAVAILABLE },
  'unavailable, not carried out': { weight: 1, deed: 'never', told: UNAVAILABLE },
  'no space, carried out': { weight: 1, deed: 'now', told: NO_SPACE },
  'no space, not carried out': { weight: 1, deed: 'never', told: NO_SPACE },
  'nonsense, carried out': { weight: 1, deed: 'now', told: NONSENSE },
} as const satisfies Record<string, FateRule>;
export type Fate = keyof typeof FATES;

const drawn = Object.entries(FATES).flatMap(([fate, { weight }]) => Array<Fate>(weight).fill(fate as Fate));

/** A network between a client and `etcd`. Requests that come late come up to `lateMsMax` after they were made. */
export function faultyPost(options: {
  etcd: FakeEtcd;
  clock: VirtualClock;
  random: SeededRandom;
  lateMsMax: number;
  fate?: () => Fate;
}): Post {
  const { etcd, clock, random, lateMsMax } = options;
  const drawFate = options.fate ?? (() => random.pick(drawn));
  return async (_, path, body, { silenceMs }) => {
    const { deed, told }: FateRule = FATES[drawFate()];
    await clock.sleep(1 + random.below(3));
    if (told === 'unsent') throw new PostFailure('connection refused', false);
    const answer = deed === 'now' ? etcd.handle(path, body) : undefined;
    if (deed === 'later') clock.after(random.below(lateMsMax), () => void etcd.handle(path, body));
    if (told === 'nothing') {
      await clock.sleep(silenceMs);
      throw new PostFailure('no answer', true);
    }
    await clock.sleep(1 + random.below(3));
    return told === 'answer' ? must(answer) : told;
  };
}
