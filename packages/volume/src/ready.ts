/** The waiting half of every operation: run it, fetch what it lacks, run it again. */
import { NotReady, type AsyncPageStore } from './page-store.ts';

/**
 * Runs `operation` until it lacks nothing. An operation that throws NotReady has changed nothing, so running it again is
 * safe; the store bounds each wait.
 * @throws what the operation or the store throws; the signal's reason
 */
export async function whenReady<T>(
  store: Pick<AsyncPageStore, 'prepare'>,
  operation: () => T,
  signal?: AbortSignal,
): Promise<T> {
  for (;;) {
    signal?.throwIfAborted();
    try {
      return operation();
    } catch (error) {
      if (!(error instanceof NotReady)) throw error;
      await store.prepare(error);
    }
  }
}

/** The same for an engine's thread, where `wait` blocks. */
export function blockUntilReady<T>(operation: () => T, wait: (lacking: NotReady) => void): T {
  for (;;) {
    try {
      return operation();
    } catch (error) {
      if (!(error instanceof NotReady)) throw error;
      wait(error);
    }
  }
}
