/** Ways to wait. Every wait in Rokka has a deadline or an abort signal. */
import { systemClock, type Clock } from './clock.ts';
import { kernelErrors } from './kernel-errors.ts';

/** A promise that somebody else settles. */
export class Deferred<T> {
  readonly promise: Promise<T>;
  resolve!: (value: T) => void;
  reject!: (error: unknown) => void;

  constructor() {
    this.promise = new Promise<T>((resolve, reject) => {
      this.resolve = resolve;
      this.reject = reject;
    });
    // Settled is not handled: an owner that goes away first must not bring the process down.
    this.promise.catch(() => {});
  }
}

/**
 * The outcome of `work`, or KERNEL_DEADLINE after `ms`. The work itself goes on: pass it a signal where it can stop.
 *
 * @throws KERNEL_DEADLINE
 */
export async function deadline<T>(
  work: Promise<T>,
  options: { what: string; ms: number; clock?: Clock },
): Promise<T> {
  const late = new Deferred<never>();
  const cancel = (options.clock ?? systemClock).after(options.ms, () =>
    late.reject(kernelErrors.KERNEL_DEADLINE([options.what, options.ms])),
  );
  try {
    return await Promise.race([work, late.promise]);
  } finally {
    cancel();
  }
}
