/** A file system may not answer at all, and its calls cannot be taken back: whoever waits for one goes when its signal says so, or in time. */
import type { Clock } from '@rokka/kernel';

/** What `work` becomes, or the signal's reason; the work itself is left to its fate. */
export async function obeying<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  // Left alone, it may fail later, and nobody listens then.
  work.catch(() => {});
  signal.throwIfAborted();
  let onAbort = () => {};
  const aborted = new Promise<never>((_, reject) => {
    onAbort = () => reject(signal.reason as Error);
    signal.addEventListener('abort', onAbort, { once: true });
  });
  try {
    return await Promise.race([work, aborted]);
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}

export interface WithinOptions {
  readonly clock: Clock;
  readonly ms: number;
  /** What it is then. */
  late(): Error;
  readonly signal: AbortSignal;
}

/** What `work` becomes within `ms`. @throws what `late` makes, also where the work does not heed its signal; the signal's reason */
export async function within<T>(
  { clock, ms, late, signal }: WithinOptions,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const over = new AbortController();
  const cancel = clock.after(ms, () => over.abort(late()), { keepAlive: true });
  const until = AbortSignal.any([signal, over.signal]);
  try {
    return await obeying(work(until), until);
  } finally {
    cancel();
  }
}
