/** Waiting for the log from asynchronous work, which must not hang where the node ends before its log is flushed. */

/**
 * Calls `start` with a continuation and resolves when that runs.
 * @throws what `start` throws, the signal's reason
 */
export function durably(signal: AbortSignal, start: (done: () => void) => void): Promise<void> {
  return new Promise((resolve, reject) => {
    signal.throwIfAborted();
    const closed = () => reject(signal.reason as Error);
    signal.addEventListener('abort', closed, { once: true });
    start(() => {
      signal.removeEventListener('abort', closed);
      resolve();
    });
  });
}
