/**
 * Writes pages that came from peers as one generation of a segment's page file. The node goes on while the disk syncs, and
 * between the steps it does what somebody waits for. Once begun it is carried through, or the process ends.
 */
import { isCoded, must, type Clock, type CodedError } from '@rokka/kernel';
import type { Generation } from './control-state.ts';
import { storageErrors } from './errors.ts';
import { diskError } from './log-files.ts';
import type { NewPage } from './page-file.ts';
import type { Segment } from './segment.ts';
import type { SegmentStore } from './store.ts';

export interface WriteGenerationOptions {
  store: SegmentStore;
  clock: Clock;
  signal: AbortSignal;
  pages: readonly NewPage[];
  /** Has the log state the generation; resolves when it does so durably. */
  note(generation: Generation): Promise<void>;
}

const RETRY_MS = 500;

/**
 * Durable when it resolves. The caller has seen that the segment's page file is not busy.
 * @throws STORAGE_DISK_FAILED, STORAGE_CLOSED, what `note` throws, the signal's reason
 */
export async function writeGeneration(segment: Segment, options: WriteGenerationOptions): Promise<void> {
  const { pages, note } = options;
  const { number, lsn } = segment.generation;
  const staged = must(segment.pageFile).begin(number + 1, { aside: true });
  for (const page of pages) {
    if (staged.full) await step(segment, options, () => staged.writeAside());
    staged.add(page);
  }
  // Each for itself: between them the segment may be dropped, and its files closed.
  await step(segment, options, () => staged.writeAside());
  await step(segment, options, () => staged.finishAside());
  await step(segment, options, () => note(staged.describe(lsn)));
  staged.complete();
}

/** A piece of work that stops the node, and the rest after it; again and again where the disk is full. */
async function step<T>(
  segment: Segment,
  options: Omit<WriteGenerationOptions, 'pages' | 'note'>,
  work: () => T | Promise<T>,
): Promise<T> {
  const { clock, store, signal } = options;
  for (;;) {
    signal.throwIfAborted();
    // Its files are closed.
    if (segment.dropped) throw storageErrors.STORAGE_CLOSED([`segment ${segment.id}`]);
    const startedMs = clock.nowMs();
    let result: { done: T } | undefined;
    try {
      result = { done: await work() };
    } catch (error) {
      if (segment.dropped) continue;
      const failure = failureOf(error, segment);
      if (failure.code !== 'STORAGE_DISK_FULL') throw failure;
    }
    const restMs = result ? store.foreground.restMs(startedMs) : RETRY_MS;
    if (restMs >= 1) await clock.sleep(restMs, signal);
    else await new Promise<void>((resolve) => clock.soon(resolve));
    if (result) return result.done;
  }
}

/** A bug stays one. */
function failureOf(error: unknown, segment: Segment): CodedError {
  if (!isCoded(error) && (error as NodeJS.ErrnoException).code === undefined) throw error;
  return diskError(error, must(segment.pageFile).path);
}
