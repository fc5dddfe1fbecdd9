/**
 * Brings every page that a clone still inherits onto its own storage nodes, behind whatever else the volume does; then its base is
 * needed no more. A crash costs a look at the pages that were brought already.
 */
import { type Clock, must, type PageNumber } from '@rokka/kernel';
import { adoptPage, type AsyncRecordSink, type Volume } from '@rokka/volume';

/** Read and written at a time. */
const BATCH_PAGES = 32;
/** After a batch the volume is left alone for as long as it took: who uses the database comes first. */
const REST_SHARE = 1;

export interface AdoptAllOptions {
  volume: Pick<Volume, 'base' | 'ownsAll'> & AsyncRecordSink;
  /** Those that the base has something of. */
  pages: AsyncIterable<PageNumber>;
  clock: Clock;
  signal: AbortSignal;
  /** How many pages have been seen. */
  onProgress?(pages: number): void;
}

/** @throws the signal's reason, VOLUME_FENCED, ARCHIVE_DAMAGED and others of reading the base */
export async function adoptAll(options: AdoptAllOptions): Promise<void> {
  const { volume, pages, clock, signal, onProgress } = options;
  // The archive may have come to know of more since the volume was made; that is nothing to it.
  const end = volume.base?.pages ?? 0;
  let seen = 0;
  for await (const batch of batches(pages)) {
    signal.throwIfAborted();
    const startedMs = clock.nowMs();
    const own = batch.filter((page) => page < end);
    const contents = await Promise.all(volume.readMany(own));
    for (const [at, content] of contents.entries())
      if (content) await adoptPage(volume, must(own[at]), content);
    await volume.whenDurable(volume.applied);
    onProgress?.((seen += batch.length));
    await clock.sleep((clock.nowMs() - startedMs) * REST_SHARE, signal);
  }
  await volume.ownsAll();
}

async function* batches(pages: AsyncIterable<PageNumber>): AsyncIterable<PageNumber[]> {
  let batch: PageNumber[] = [];
  for await (const page of pages) {
    batch.push(page);
    if (batch.length < BATCH_PAGES) continue;
    yield batch;
    batch = [];
  }
  if (batch.length > 0) yield batch;
}
