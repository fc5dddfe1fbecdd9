/**
 * Signatures that have been used: who has heard a request can say it again, byte by byte, for as long as its signature is
 * good. Reading twice tells an eavesdropper what he heard already, so calls that change nothing are let through; those that
 * change something, or give out a new secret, come here.
 *
 * The trade-off. A timestamp has whole seconds, so two calls that are meant, and the same to the byte, within one second have
 * one signature, unless the client signs something that is different each time.
 *
 * - The SDK for JavaScript and its like sign a number of the call (`amz-sdk-invocation-id`) and of the attempt. No two of their
 *   requests are the same, so the second of the same bytes is a replay, and refused.
 * - boto3, the AWS CLI and curl sign none. Twenty workers that assume one role in one second send twenty requests with one
 *   signature, and AWS answers all of them. Here too: for `REPEAT_MS` after the first. Whoever is quick enough to say it again
 *   in that time is heard; whoever comes later is not. TLS is what would close this, or a `ClientToken` in the request.
 *
 * What is refused is told as throttled: a client that meant it waits and signs again, in another second, and is heard; whoever
 * only has the bytes cannot.
 *
 * Bounded: at most `limit` signatures are remembered, each until it is refused as expired anyway. When they are that many, a
 * mutating call is throttled rather than let through unremembered. Only verified and allowed calls come here, so strangers
 * cannot fill it.
 *
 * It outlives the process: each signature stands in the audit, in the record of its call, which is durable before the answer
 * leaves, and the next process begins with those that are good still. What is not there is a call whose process died before it was
 * answered: that one its own client repeats as well.
 */
import { assert } from '@rokka/kernel';
import type { UsedSignature } from '../identity.ts';

/** A second in which the same is signed, and another for what is late on the way. */
export const REPEAT_MS = 2000;
/** 300 mutating calls a second for a quarter of an hour, in some 40 MB. */
const DEFAULT_LIMIT = 262_144;
/** What is forgotten is looked for when so many have come since, or when it is full. */
const SWEEP_EVERY = 4096;

/** `repeated` is let in like `first`. */
export type Admission = 'first' | 'repeated' | 'again' | 'full';

export interface Used {
  readonly signature: string;
  /** Whether the client never signs the same twice. */
  readonly isUnique: boolean;
  readonly goodUntilMs: number;
}

/** As it is remembered. Of the whole of it half is kept: 128 bits. */
export function usedSignature({ signature, goodUntilMs }: Used, firstMs: number): UsedSignature {
  return { key: signature.slice(0, 32), firstMs, goodUntilMs };
}

interface Remembered {
  readonly firstMs: number;
  readonly goodUntilMs: number;
}

export class ReplayMemory {
  readonly #limit: number;
  readonly #seen = new Map<string, Remembered>();
  #sinceSweep = 0;

  /** @param options.used before this process; the bound counts for what comes, so all of these are remembered */
  constructor(options: { limit?: number; used?: readonly UsedSignature[] } = {}) {
    this.#limit = options.limit ?? DEFAULT_LIMIT;
    assert(this.#limit > 0, 'a memory needs a limit');
    for (const { key, firstMs, goodUntilMs } of options.used ?? [])
      this.#seen.set(key, { firstMs, goodUntilMs });
  }

  get size(): number {
    return this.#seen.size;
  }

  /** Remembers the signature, if it is new. */
  admit(used: Used, nowMs: number): Admission {
    const { key, goodUntilMs } = usedSignature(used, nowMs);
    const { isUnique } = used;
    const seen = this.#seen.get(key);
    if (seen) return !isUnique && Math.abs(nowMs - seen.firstMs) <= REPEAT_MS ? 'repeated' : 'again';
    if (++this.#sinceSweep >= SWEEP_EVERY || this.size >= this.#limit) this.#sweep(nowMs);
    if (this.size >= this.#limit) return 'full';
    this.#seen.set(key, { firstMs: nowMs, goodUntilMs });
    return 'first';
  }

  /** At a full memory each call would look through all of it: once in a while is enough there too. */
  #sweep(nowMs: number): void {
    if (this.#sinceSweep < Math.min(SWEEP_EVERY, this.#limit) && this.size >= this.#limit) return;
    this.#sinceSweep = 0;
    for (const [key, { goodUntilMs }] of this.#seen) if (goodUntilMs < nowMs) this.#seen.delete(key);
  }
}
