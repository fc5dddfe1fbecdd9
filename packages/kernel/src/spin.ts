/**
 * Waiting awake for another thread. To fall asleep and be woken costs both threads a system call, and the sleeper tens of microseconds
 * on a processor that has gone idle; where the other thread answers sooner than that, it is better to look again and again.
 *
 * Where that has lately been in vain, nobody looks: a thread that waits awake takes a processor from those that would work.
 */
import { availableParallelism } from 'node:os';
import { systemClock } from './clock.ts';

/** Looks between two looks at the clock. */
const LOOKS = 32;
const CREDIT_MAX = 32;
/** By a wait in vain, where one that was not earns one: more than two of three have to pay. */
const CREDIT_LOST = 2;
/** Without credit one wait of so many is awake, for what is waited for may have become quick. It earns more where it was not in vain. */
const PROBE = 8;
const CREDIT_PROBED = 4;

// Not in the types of TypeScript's yet: tells the processor that its thread only waits.
const { pause } = Atomics as unknown as { pause?: () => void };

export class Spin {
  readonly #us: number;
  readonly #nowMs: () => number;
  readonly #isAlone: boolean;
  #credit = CREDIT_MAX;
  #declined = 0;

  /** @param options.microseconds the longest wait */
  constructor(options: { microseconds: number; processors?: number; nowMs?: () => number }) {
    this.#us = options.microseconds;
    this.#nowMs = options.nowMs ?? (() => systemClock.nowMs());
    // On one processor the other thread cannot work while this one looks.
    this.#isAlone = (options.processors ?? availableParallelism()) === 1;
  }

  /** Blocks this thread until `isReady`, and no longer than was said; not at all where that does not pay. @returns whether it is ready */
  until(isReady: () => boolean): boolean {
    if (isReady()) return true;
    if (this.#isAlone || !this.#mayTry()) return false;
    const isThere = this.#look(isReady);
    const earned = this.#credit > 0 ? 1 : CREDIT_PROBED;
    this.#credit = isThere
      ? Math.min(this.#credit + earned, CREDIT_MAX)
      : Math.max(this.#credit - CREDIT_LOST, 0);
    return isThere;
  }

  #mayTry(): boolean {
    if (this.#credit > 0) return true;
    this.#declined = (this.#declined + 1) % PROBE;
    return this.#declined === 0;
  }

  #look(isReady: () => boolean): boolean {
    const untilMs = this.#nowMs() + this.#us / 1000;
    do {
      for (let looks = 0; looks < LOOKS; looks++) {
        if (isReady()) return true;
        pause?.();
      }
    } while (this.#nowMs() < untilMs);
    return false;
  }
}
