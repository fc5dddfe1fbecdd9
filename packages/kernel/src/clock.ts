/**
 * Time. Nothing outside this package reads a clock or sets a timer by itself, so that the simulator can run
 * the same drivers on a virtual clock.
 */

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
  sleep: (delayMs, signal) => sleepOn(systemClock, delayMs, signal),
};

/** What `sleep` of any clock is, on its timers. */
export function sleepOn(clock: Pick<Clock, 'after'>, delayMs: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(signal.reason as Error);
    const wake = () => {
      signal?.removeEventListener('abort', onAbort);
      resolve();
    };
    const cancel = clock.after(delayMs, wake, { keepAlive: true });
    const onAbort = () => {
      cancel();
      reject(signal?.reason as Error);
    };
    signal?.addEventListener('abort', onAbort, { once: true });
  });
}
