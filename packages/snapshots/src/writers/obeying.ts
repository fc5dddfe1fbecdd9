/** A file system may not answer at all, and its calls cannot be taken back: whoever waits for one goes when its signal says so. */

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
