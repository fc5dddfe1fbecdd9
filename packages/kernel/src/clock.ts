/**
 * Time. Nothing outside this package reads a clock or sets a timer by itself, so that the simulator can run
 * the same drivers on a virtual clock.
 */
import { assert } from './assert.ts';

export interface Clock {
  /** Wall clock, milliseconds since 1970. For people and file times, never for ordering. */
  wallMs(): number;
  /** Monotonic clock, milliseconds with fractions. For deadlines and latencies. */
  nowMs(): number;
  /**
   * Calls `run` once after `delayMs`; the returned function cancels it. Does not keep the process alive, unless
   * `keepAlive` says that the process waits for this (a delivery, a reconnection) and not merely guards against it.
   */
  after(delayMs: number, run: () => void, options?: { keepAlive?: boolean }): () => void;
  /** Calls `run` once what has already arrived is dealt with: the end of this turn of the event loop, no timer. */
  soon(run: () => void): void;
  /** Resolves after `delayMs`, or rejects with the signal's reason. Keeps the process alive. */
  sleep(delayMs: number, signal?: AbortSignal): Promise<void>;
}

export const systemClock: Clock = {
  wallMs: () => Date.now(),
  nowMs: () => performance.now(),
  after(delayMs, run, options = {}) {
    const timer = setTimeout(run, delayMs);
    if (!options.keepAlive) timer.unref();
    return () => clearTimeout(timer);
  },
  soon: (run) => void setImmediate(run),
  sleep(delayMs, signal) {
    return new Promise((resolve, reject) => {
      if (signal?.aborted) return reject(signal.reason as Error);
      const timer = setTimeout(() => {
        signal?.removeEventListener('abort', onAbort);
        resolve();
      }, delayMs);
      const onAbort = () => {
        clearTimeout(timer);
        reject(signal?.reason as Error);
      };
      signal?.addEventListener('abort', onAbort, { once: true });
    });
  },
};

/** A clock that stands still until `advance` moves it; timers fire in order of their time, then of their making. */
export class VirtualClock implements Clock {
  #nowMs = 0;
  #made = 0;
  readonly #timers = new Map<number, { atMs: number; run: () => void }>();

  wallMs(): number {
    return 1_700_000_000_000 + this.#nowMs;
  }

  nowMs(): number {
    return this.#nowMs;
  }

  after(delayMs: number, run: () => void): () => void {
    const id = this.#made++;
    this.#timers.set(id, { atMs: this.#nowMs + Math.max(0, delayMs), run });
    return () => this.#timers.delete(id);
  }

  soon(run: () => void): void {
    this.after(0, run);
  }

  sleep(delayMs: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      if (signal?.aborted) return reject(signal.reason as Error);
      const cancel = this.after(delayMs, resolve);
      signal?.addEventListener('abort', () => (cancel(), reject(signal.reason as Error)), { once: true });
    });
  }

  /** Time of the next timer, or undefined where none is set. */
  nextMs(): number | undefined {
    let next: number | undefined;
    for (const { atMs } of this.#timers.values()) if (next === undefined || atMs < next) next = atMs;
    return next;
  }

  /** Moves time to `toMs` and runs every timer that falls due on the way. */
  advanceTo(toMs: number): void {
    assert(toMs >= this.#nowMs, 'time only moves forward');
    for (;;) {
      let due: [number, { atMs: number; run: () => void }] | undefined;
      for (const entry of this.#timers) {
        if (entry[1].atMs <= toMs && (!due || entry[1].atMs < due[1].atMs)) due = entry;
      }
      if (!due) break;
      this.#timers.delete(due[0]);
      this.#nowMs = Math.max(this.#nowMs, due[1].atMs);
      due[1].run();
    }
    this.#nowMs = toMs;
  }
}
