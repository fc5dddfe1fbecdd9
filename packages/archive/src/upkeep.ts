/**
 * What keeps an archive small: page layers, so that a restore needs little log, and the removal of what nobody may ask for any
 * more. Both only look at the store, so they may be cut off anywhere and begun again.
 */
import type { Clock, Lsn, PageNumber, PgIndex, VolumeId } from '@rokka/kernel';
import { ArchiveReader } from './archive-reader.ts';
import type { ArchiveDescriptor } from './descriptor.ts';
import { archivePrefix, coverOf, type Layer, layersOf, type StoredLayer } from './layer.ts';
import type { ObjectStore } from './object-store.ts';
import { PageParts } from './page-parts.ts';

/** Below this a group's log is not worth a page layer. */
const LOG_BYTES_MIN = 64 * 1024 * 1024;
/** Each is an object to be opened for a point above the pages. */
const LOG_LAYERS_MAX = 1_000;
const BATCH_PAGES = 64;

export interface Retention {
  /** Any point from here on may be asked for. */
  readonly from: Lsn;
  /** And these, further back: snapshots, and what clones were made of. */
  readonly pins: readonly Lsn[];
}

/**
 * The group's log has grown as large as its pages are: then it is time to make those anew, so that what is written is a few
 * times what the log was, and what is read for a restore is no more than twice the database.
 */
export function wantsPages(layers: readonly StoredLayer[]): boolean {
  const size = (layer: StoredLayer) => layer.parts.reduce((sum, part) => sum + part.sizeBytes, 0);
  const pages = layers.filter(({ kind }) => kind === 'pages').sort((a, b) => b.through - a.through)[0];
  const log = layers.filter(({ kind, through }) => kind === 'log' && through > (pages?.through ?? 0));
  const logBytes = log.reduce((sum, layer) => sum + size(layer), 0);
  return log.length > LOG_LAYERS_MAX || logBytes > Math.max(LOG_BYTES_MIN, pages ? size(pages) : 0);
}

/**
 * Writes a page layer of the group as of `at`.
 * @throws the signal's reason, ARCHIVE_NOT_YET, ARCHIVE_DAMAGED, ARCHIVE_STORE_FAILED
 */
export async function makePages(
  store: ObjectStore,
  of: { descriptor: ArchiveDescriptor; pg: PgIndex; at: Lsn; clock: Clock; signal: AbortSignal },
): Promise<void> {
  const { descriptor, pg, at, clock, signal } = of;
  const { volume, pagesPerGroup } = descriptor;
  const reader = await ArchiveReader.open(store, { volume, lsn: at }, { only: pg });
  const parts = new PageParts(store, { volume, pg, through: at, toldBefore: at, pagesPerGroup });
  const first = pg * pagesPerGroup;
  let batch: PageNumber[] = [];
  let startedMs = clock.nowMs();
  const add = async (next: number) => {
    const contents = await Promise.all(reader.readMany(batch));
    const pages = batch.flatMap((page, place) => {
      const content = contents[place];
      return content ? [{ page: page - first, content }] : [];
    });
    await parts.add(pages, { next, readableFrom: at });
  };
  for await (const page of reader.ownPages(pg)) {
    batch.push(page);
    if (batch.length < BATCH_PAGES) continue;
    await add(page - first + 1);
    batch = [];
    // Whoever uses the database comes first.
    await clock.sleep(clock.nowMs() - startedMs, signal);
    startedMs = clock.nowMs();
  }
  await add(pagesPerGroup);
}

/** Layers of one group that no point asks for. */
export function uselessLayers<T extends Layer>(layers: readonly T[], { from, pins }: Retention): T[] {
  const covers = [...pins, from].map((lsn) => coverOf(layers, lsn));
  // What is asked for and cannot be given now may be given when we know better.
  if (covers.some((cover) => cover === undefined)) return [];
  const needed = new Set(covers.flatMap((cover) => cover ?? []));
  // Points of the window stand on the page layer below its beginning, and on all that came after.
  const ground = covers.at(-1)?.find(({ kind }) => kind === 'pages')?.through ?? 0;
  return layers.filter((layer) => !needed.has(layer) && layer.through <= ground);
}

/** Removes what no point asks for. @throws the signal's reason, ARCHIVE_STORE_FAILED */
export async function removeUseless(
  store: ObjectStore,
  of: { volume: VolumeId; pagesPerGroup: number; retention: Retention; signal: AbortSignal },
): Promise<{ removedBytes: number }> {
  const { volume, pagesPerGroup, retention, signal } = of;
  const layers = layersOf(await store.list(archivePrefix(volume)), pagesPerGroup);
  let removedBytes = 0;
  for (const group of Map.groupBy(layers, ({ pg }) => pg).values())
    for (const { parts } of uselessLayers(group, retention))
      for (const { key, sizeBytes } of parts) {
        signal.throwIfAborted();
        await store.remove(key);
        removedBytes += sizeBytes;
      }
  return { removedBytes };
}

/** Nobody will ask for anything of the volume any more. @throws the signal's reason, ARCHIVE_STORE_FAILED */
export async function removeArchive(
  store: ObjectStore,
  volume: VolumeId,
  signal: AbortSignal,
): Promise<void> {
  // The descriptor last: while it is there, what is left is known to be an archive.
  const objects = await store.list(archivePrefix(volume));
  objects.sort((a, b) => Number(a.key.endsWith('.json')) - Number(b.key.endsWith('.json')));
  for (const { key } of objects) {
    signal.throwIfAborted();
    await store.remove(key);
  }
}
