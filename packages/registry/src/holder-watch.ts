/**
 * Whether the holder of a place is gone, judged from readings of its record, as a pure function of their times.
 *
 * A holder that lives writes its record again and again, and each write changes the revision. Whoever has seen one
 * revision stand for `goneAfterMs` on its own monotonic clock calls the holder gone. No wall clock is compared with
 * another, so it does not matter what they show; of monotonic clocks only the rate counts, which differs by far less
 * than the margin that the holder leaves (tenure.ts).
 *
 * 1. A reading shows the record as it was at some moment between its asking and its answering. So the time is counted
 *    from the answer of the first reading to the asking of the last one: within it the record has not changed.
 * 2. Only what was looked at counts. After a gap between two answers, in which the registry was away or slow, or this
 *    process stood still, the counting begins anew: a holder cannot renew in a registry that is away either, and must not lose its place for it.
 */
import { assert } from '@rokka/kernel';

export interface Reading {
  /** Of the holder's record. */
  readonly revision: number;
  /** Monotonic, of the reader's clock. */
  readonly askedMs: number;
  readonly answeredMs: number;
}

export class HolderWatch {
  readonly #goneAfterMs: number;
  readonly #gapMsMax: number;
  #seen: { revision: number; sinceMs: number; lastMs: number } | undefined;

  /** Answers that are further apart than `gapMsMax` do not speak for the time between them. */
  constructor(options: { goneAfterMs: number; gapMsMax: number }) {
    assert(options.gapMsMax < options.goneAfterMs, 'a gap is shorter than what it must not hide');
    this.#goneAfterMs = options.goneAfterMs;
    this.#gapMsMax = options.gapMsMax;
  }

  /** Whether the holder is gone by this reading, which is the newest. */
  isGone({ revision, askedMs, answeredMs }: Reading): boolean {
    const seen = this.#seen;
    if (!seen || seen.revision !== revision || answeredMs - seen.lastMs > this.#gapMsMax) {
      this.#seen = { revision, sinceMs: answeredMs, lastMs: answeredMs };
      return false;
    }
    seen.lastMs = answeredMs;
    return askedMs - seen.sinceMs >= this.#goneAfterMs;
  }
}
