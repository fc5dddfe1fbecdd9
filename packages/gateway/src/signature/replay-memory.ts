/**
 * Signatures that have been used: who has heard a request can say it again, byte by byte, for as long as its signature is
 * good. Reading twice tells an eavesdropper what he heard already, so calls that change nothing are let through; a call that
 * changes something, or gives out a new secret, is carried out once for each signature.
 *
 * The trade-off. A timestamp has whole seconds, so two mutating calls that are meant, and the same to the byte, within one
 * second have one signature. Clients of AWS seldom make such: the SDKs and the CLI sign a number of their own with every
 * attempt (`amz-sdk-invocation-id`, `amz-sdk-request`). For those who do (curl, a hand-written signer) the second one is
 * answered as a throttled call: every client waits and signs again, in another second, and is heard. Whoever replays bytes
 * cannot sign again, and is refused for ever.
 *
 * A presigned URL of a mutating call is good once.
 *
 * Bounded: at most `limit` signatures are remembered, each until it is refused as expired anyway. When they are that many, a
 * mutating call is throttled rather than let through unremembered. Only verified and allowed calls come here, so strangers
 * cannot fill it. The memory is of this process: a restart forgets, and for up to 30 minutes (a timestamp may lie 15 minutes
 * ahead) what was signed before could be said again.
 */
import { assert } from '@rokka/kernel';

/** 300 mutating calls a second for a quarter of an hour, in some 30 MB. */
const DEFAULT_LIMIT = 262_144;
/** What is forgotten is looked for when so many have come since, or when it is full. */
const SWEEP_EVERY = 4096;

export type Admission = 'first' | 'again' | 'full';

export class ReplayMemory {
  readonly #limit: number;
  readonly #goodUntilMs = new Map<string, number>();
  #sinceSweep = 0;

  constructor(options: { limit?: number } = {}) {
    this.#limit = options.limit ?? DEFAULT_LIMIT;
    assert(this.#limit > 0, 'a memory needs a limit');
  }

  get size(): number {
    return this.#goodUntilMs.size;
  }

  /** Remembers the signature, if it is new. Of the whole of it half is kept: 128 bits. */
  admit(of: { signature: string; goodUntilMs: number; nowMs: number }): Admission {
    const key = of.signature.slice(0, 32);
    if (this.#goodUntilMs.has(key)) return 'again';
    if (++this.#sinceSweep >= SWEEP_EVERY || this.size >= this.#limit) this.#sweep(of.nowMs);
    if (this.size >= this.#limit) return 'full';
    this.#goodUntilMs.set(key, of.goodUntilMs);
    return 'first';
  }

  /** At a full memory each call would look through all of it: once in a while is enough there too. */
  #sweep(nowMs: number): void {
    if (this.#sinceSweep < Math.min(SWEEP_EVERY, this.#limit) && this.size >= this.#limit) return;
    this.#sinceSweep = 0;
    for (const [key, untilMs] of this.#goodUntilMs) if (untilMs < nowMs) this.#goodUntilMs.delete(key);
  }
}
