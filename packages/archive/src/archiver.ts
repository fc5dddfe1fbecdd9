/**
 * Brings a volume's log into its archive while the volume serves. It lives beside the writer, asks the storage nodes for what
 * is durable, and writes layers and then the point that they reach. What has been archived stands in the store alone, so after
 * a crash the next one goes on where the store says.
 *
 * Invariants:
 * - Only records at or below the VDL are archived: no truncation ever takes them back.
 * - A point is written after all layers up to it, those of every group.
 * - The storage nodes keep the log from the archive's end on, up to `heldBytesMax`: an object store that is away for long must
 *   not fill their disks. Where log is gone, then or before there was an archive, pages are copied and log goes on from there:
 *   points in between are lost, and later ones are not.
 *
 * Fault model: the store may fail or be slow at any moment; two archivers of two writers may be at work, and write the same.
 */
import {
  assert,
  type Clock,
  Deferred,
  describeError,
  type Epoch,
  isCoded,
  type Lsn,
  type PageNumber,
  type PgIndex,
  type VolumeId,
} from '@rokka/kernel';
import { type ArchiveDescriptor, readDescriptor, writeDescriptor } from './descriptor.ts';
import { archiveErrors } from './errors.ts';
import { writePart } from './layer-object.ts';
import { archivePrefix, layersOf, reachOf } from './layer.ts';
import { lastLsnIn, logItems } from './log-items.ts';
import type { ObjectStore } from './object-store.ts';
import { PageParts } from './page-parts.ts';
import { spanOf, type TimePoint, TimelineWriter } from './timeline.ts';
import { makePages, wantsPages } from './upkeep.ts';

/** What the archiver needs of a volume's writer: the `tap` of a Volume. */
export interface ArchivedVolume {
  readonly volumeId: VolumeId;
  readonly volumeEpoch: Epoch;
  readonly pagesPerGroup: number;
  readonly groupCount: number;
  readonly durable: Lsn;
  /** Bytes of log since it was opened. */
  readonly appendedBytes: number;
  /** The group's last record at or below the VDL. */
  lastDurableOf(pg: PgIndex): Lsn;
  /**
   * Durable records in chain order from after `after` on, at most to `through` and about `limitBytes`.
   * @throws VOLUME_LOG_DROPPED where no node has them any more
   */
  fetchLog(pg: PgIndex, of: { after: Lsn; through: Lsn; limitBytes: number }): Promise<Uint8Array>;
  /**
   * Pages of the group that were ever written, from `from` on, counted from its first: each with everything up to `coalesced`, at
   * least up to `least`, and nothing above `shows`.
   */
  copyPages(
    pg: PgIndex,
    of: { from: number; least: Lsn },
  ): Promise<{
    coalesced: Lsn;
    shows: Lsn;
    next: number;
    pages: readonly { page: number; content: Uint8Array }[];
  }>;
  /** The nodes keep what lies above `after`. */
  holdLog(pg: PgIndex, after: Lsn): void;
}

export interface ArchiverOptions {
  volume: ArchivedVolume;
  /** What the volume began as; absent where it began empty. */
  base?: ArchiveDescriptor['base'];
  store: ObjectStore;
  clock: Clock;
  /** Log that the nodes keep for the archive while it does not get on. */
  heldBytesMax?: number;
  /** Takes lines for people. */
  log?(text: string): void;
}

/** How old the end of the archive may be while it is not asked for: what a disaster may cost. */
const FLUSH_MS = 5_000;
/** Points in time lie this far apart at least. */
const POINT_MS = 1_000;
/** How soon it is seen that there is log for a whole layer. */
const LOOK_MS = 250;
const FETCH_BYTES = 1024 * 1024;
/** A layer is held in memory until it is whole. */
const LAYER_BYTES_MAX = 16 * 1024 * 1024;
const RETRY_MS = 1_000;
const KEEP_MS = 60_000;
const GUARD_MS = 1_000;
const LAST_WORDS_MS = 10_000;
/** A day of seconds in which the store was away. */
const POINTS_MAX = 86_400;
const HELD_BYTES_MAX = 1024 * 1024 * 1024;
const EVERYTHING = Number.MAX_SAFE_INTEGER as Lsn;

export class Archiver implements AsyncDisposable {
  readonly #options: ArchiverOptions;
  readonly #timeline: TimelineWriter;
  readonly #closing = new AbortController();
  /** How far each group's layers reach; undefined until the store has said. */
  #reached: Lsn[] | undefined;
  /** The same when everything was archived last: layers may reach further than what is told. */
  #reachedThen: readonly Lsn[] = [];
  #archived = 0 as Lsn;
  /** Up to here points have been told, by this archiver or one before. */
  #told = 0 as Lsn;
  /** What the volume had appended when everything was archived last. */
  #bytesThen = 0;
  /** The same with what went ahead since. */
  #bytesGone = 0;
  /** Pages were copied while the volume went on: no point below is whole. */
  #readableFrom = 0 as Lsn;
  /** The nodes need not keep anything for us any more. */
  #letGo = false;
  #points: TimePoint[] = [];
  #asked = new Deferred<void>();
  #waiting: { lsn: number; done: Deferred<void> }[] = [];
  #failure: string | undefined;
  #running: Promise<void> | undefined;
  #keeping: Promise<unknown> | undefined;

  constructor(options: ArchiverOptions) {
    this.#options = options;
    const { volume, store } = options;
    this.#timeline = new TimelineWriter(store, { volume: volume.volumeId, epoch: volume.volumeEpoch });
  }

  /** Everything of the volume up to here is in the archive. */
  get archived(): Lsn {
    return this.#archived;
  }

  /** Why it does not get on, where it does not. */
  get failure(): string | undefined {
    return this.#failure;
  }

  start(): void {
    this.#running ??= this.#run();
    this.#keeping ??= Promise.all([this.#keep(), this.#guard()]);
  }

  /**
   * Resolves when everything up to `lsn`, which is durable, is in the archive (what is durable now unless given), with the point that
   * gives it: that one, or where pages had to be copied a later one.
   * @throws the signal's reason, ARCHIVE_STORE_FAILED when it closes
   */
  async flush(signal?: AbortSignal, lsn: Lsn = this.#options.volume.durable): Promise<Lsn> {
    const { durable } = this.#options.volume;
    assert(lsn <= durable, () => `LSN ${lsn} is to be archived, the VDL is ${durable}`);
    if (lsn <= this.#archived) return this.#pointFrom(lsn);
    const done = new Deferred<void>();
    const waiter = { lsn, done };
    const onAbort = () => done.reject(signal?.reason);
    signal?.addEventListener('abort', onAbort, { once: true });
    this.#waiting.push(waiter);
    this.#asked.resolve();
    try {
      await done.promise;
      return this.#pointFrom(lsn);
    } finally {
      signal?.removeEventListener('abort', onAbort);
      this.#waiting = this.#waiting.filter((other) => other !== waiter);
    }
  }

  #pointFrom(lsn: Lsn): Lsn {
    return lsn >= this.#readableFrom ? lsn : this.#archived;
  }

  /** Brings nothing more into the archive: what is missing there the next writer brings. */
  async [Symbol.asyncDispose](): Promise<void> {
    const closed = archiveErrors.ARCHIVE_STORE_FAILED(['go on', 'its volume is closed']);
    this.#closing.abort(closed);
    this.#asked.resolve();
    // A store that does not answer holds nobody up who ends.
    const { clock } = this.#options;
    await Promise.race([Promise.all([this.#running, this.#keeping]), clock.sleep(LAST_WORDS_MS)]);
    for (const { done } of this.#waiting) done.reject(closed);
  }

  async #run(): Promise<void> {
    const { clock } = this.#options;
    const { signal } = this.#closing;
    while (!signal.aborted) {
      try {
        await this.#round();
        this.#failure = undefined;
        const ended = new AbortController();
        const pause = this.#pause(ended.signal);
        await Promise.race([this.#asked.promise, pause]);
        ended.abort();
        // It may be at a layer: no other is begun beside it.
        await pause;
        this.#asked = new Deferred();
        if (this.#waiting.length > 0) this.#asked.resolve();
      } catch (error) {
        if (signal.aborted) return;
        this.#failed(error);
        await clock.sleep(RETRY_MS, signal).catch(() => {});
      }
    }
  }

  /** Takes points until the next round is due, and archives whole layers ahead of it: whoever asks then waits for less. */
  async #pause(signal: AbortSignal): Promise<void> {
    const { clock } = this.#options;
    const both = AbortSignal.any([signal, this.#closing.signal]);
    const startMs = clock.nowMs();
    let pointMs = startMs + POINT_MS;
    while (clock.nowMs() < startMs + FLUSH_MS && !both.aborted) {
      if (!(await this.#goAhead())) await clock.sleep(LOOK_MS, both).catch(() => {});
      if (clock.nowMs() < pointMs) continue;
      pointMs = clock.nowMs() + POINT_MS;
      this.#takePoint();
    }
  }

  /**
   * A layer of each group that has log, where that is a whole one each on the average: as many objects as the round would write, only
   * sooner. Answers whether there was one.
   */
  async #goAhead(): Promise<boolean> {
    const { volume } = this.#options;
    const reached = this.#reached ?? [];
    const groups = Array.from({ length: volume.groupCount }, (_, at) => {
      const pg = at as PgIndex;
      return { pg, after: reached[pg] ?? (0 as Lsn), through: volume.lastDurableOf(pg) };
    });
    const behind = groups.filter(({ after, through }) => through > after);
    const { appendedBytes } = volume;
    const whole = behind.length * LAYER_BYTES_MAX;
    if (behind.length === 0 || appendedBytes - this.#bytesGone < whole) return false;
    let bytes = 0;
    for (const { pg, after, through } of behind) {
      const layer = await this.#archiveLog(pg, after, through).catch((error: unknown) => {
        // The round copies pages then, and nothing is told before it has.
        if (isCoded(error, 'VOLUME_LOG_DROPPED')) return undefined;
        throw error;
      });
      if (!layer) return false;
      reached[pg] = layer.last;
      bytes += layer.bytes;
      volume.holdLog(pg, layer.last);
    }
    // Less than that: the rest is not durable yet, or one group's. It waits for more, lest layers get small and many.
    this.#bytesGone = bytes < whole ? appendedBytes : this.#bytesGone + bytes;
    return true;
  }

  #takePoint(): void {
    const { volume, clock } = this.#options;
    const lsn = volume.durable;
    if (lsn <= (this.#points.at(-1)?.lsn ?? this.#archived)) return;
    if (this.#points.length >= POINTS_MAX) this.#points.pop();
    this.#points.push({ atMs: clock.wallMs(), lsn });
  }

  /** Everything that is durable now, group by group; then the points up to there. */
  async #round(): Promise<void> {
    this.#reached ??= await this.#begin();
    const { volume } = this.#options;
    this.#takePoint();
    const lsn = volume.durable;
    const bytes = volume.appendedBytes;
    // Read in the same turn: what each group has at or below that point.
    const ends = Array.from({ length: volume.groupCount }, (_, pg) => volume.lastDurableOf(pg as PgIndex));
    for (const [pg, through] of ends.entries()) await this.#archiveGroup(pg as PgIndex, through);
    // What pages show that were copied in this round is archived in the next.
    if (lsn < this.#readableFrom) return this.#asked.resolve();
    const whole = this.#points.filter((point) => point.lsn <= lsn && point.lsn >= this.#readableFrom);
    if (whole.length > 0) await this.#timeline.add(whole);
    // Not before they are in the store: a put that fails would take these seconds along.
    this.#points = this.#points.filter((point) => point.lsn > lsn);
    this.#archived = lsn;
    this.#told = lsn;
    this.#bytesThen = volume.appendedBytes;
    this.#bytesGone = bytes;
    this.#reachedThen = [...this.#reached];
    if (this.#letGo) this.#holdAgain();
    for (const { lsn: asked, done } of this.#waiting) if (asked <= lsn) done.resolve();
  }

  /** What the store has already, and the descriptor where there is none. */
  async #begin(): Promise<Lsn[]> {
    const { volume, base, store, clock } = this.#options;
    const { volumeId, pagesPerGroup } = volume;
    if (!(await readDescriptor(store, volumeId)))
      await writeDescriptor(store, {
        volume: volumeId,
        pagesPerGroup,
        createdAtMs: clock.wallMs(),
        ...(base && { base }),
      });
    this.#told = (await spanOf(store, volumeId))?.last.lsn ?? this.#told;
    const layers = layersOf(await store.list(archivePrefix(volumeId)), pagesPerGroup);
    const groups = Map.groupBy(layers, ({ pg }) => pg);
    const count = Math.max(volume.groupCount, ...[...groups.keys()].map((pg) => pg + 1));
    return Array.from({ length: count }, (_, pg) => {
      const reach = reachOf(groups.get(pg as PgIndex) ?? []);
      if (pg < volume.groupCount) volume.holdLog(pg as PgIndex, reach);
      return reach;
    });
  }

  async #archiveGroup(pg: PgIndex, through: Lsn): Promise<void> {
    const { volume } = this.#options;
    const reached = this.#reached ?? [];
    for (let after = reached[pg] ?? (0 as Lsn); after < through; after = reached[pg]) {
      try {
        reached[pg] = (await this.#archiveLog(pg, after, through)).last;
      } catch (error) {
        if (!isCoded(error, 'VOLUME_LOG_DROPPED')) throw error;
        reached[pg] = await this.#copy(pg);
      }
      volume.holdLog(pg, reached[pg]);
    }
  }

  /** One layer of log. Answers how far it reaches, and how much log that is. */
  async #archiveLog(pg: PgIndex, after: Lsn, through: Lsn): Promise<{ last: Lsn; bytes: number }> {
    const { volume, store } = this.#options;
    const { volumeId, pagesPerGroup } = volume;
    const { records, last, bytes } = await this.#gather(pg, after, through);
    const span = {
      after,
      through: last,
      readableFrom: last,
      toldBefore: last,
      firstPage: 0,
      endPage: pagesPerGroup,
    };
    await writePart(store, volumeId, {
      part: { kind: 'log', pg, ...span },
      groupPage: (pg * pagesPerGroup) as PageNumber,
      items: logItems(records),
    });
    return { last, bytes };
  }

  /** The group's pages as they are now, more or less. Answers where its log goes on. */
  async #copy(pg: PgIndex): Promise<Lsn> {
    const { volume, store, log } = this.#options;
    const { volumeId, pagesPerGroup } = volume;
    log?.(
      `protection group ${pg}: its log before now is not on the storage nodes; its pages are copied to the archive`,
    );
    // Nothing more goes from here on, so that the log is there that goes on from the first page.
    volume.holdLog(pg, 0 as Lsn);
    let parts: PageParts | undefined;
    let through = 0 as Lsn;
    for (let from = 0; from < pagesPerGroup;) {
      this.#closing.signal.throwIfAborted();
      const { coalesced, shows, next, pages } = await volume.copyPages(pg, { from, least: through });
      if (!parts) {
        through = coalesced;
        const toldBefore = this.#told;
        parts = new PageParts(store, { volume: volumeId, pg, through, toldBefore, pagesPerGroup });
      }
      await parts.add(pages, { next, readableFrom: shows });
      if (shows > this.#readableFrom) this.#readableFrom = shows;
      from = next;
    }
    return through;
  }

  /** Records of one layer. */
  async #gather(
    pg: PgIndex,
    after: Lsn,
    through: Lsn,
  ): Promise<{ records: readonly Uint8Array[]; last: Lsn; bytes: number }> {
    const { volume } = this.#options;
    const records: Uint8Array[] = [];
    let last = after;
    let bytes = 0;
    while (last < through && bytes < LAYER_BYTES_MAX) {
      this.#closing.signal.throwIfAborted();
      const more = await volume.fetchLog(pg, { after: last, through, limitBytes: FETCH_BYTES });
      const lsn = lastLsnIn(more);
      if (lsn === undefined)
        throw archiveErrors.ARCHIVE_BAD_LOG([`the storage nodes gave none of group ${pg} after LSN ${last}`]);
      last = lsn;
      records.push(more);
      bytes += more.length;
    }
    return { records, last, bytes };
  }

  /** Makes page layers now and then, beside the rounds. */
  async #keep(): Promise<void> {
    const { volume, store, clock, log } = this.#options;
    const { signal } = this.#closing;
    while (!signal.aborted) {
      await clock.sleep(KEEP_MS, signal).catch(() => {});
      try {
        const descriptor = this.#archived > 0 ? await readDescriptor(store, volume.volumeId) : undefined;
        if (!descriptor || signal.aborted) continue;
        const layers = layersOf(await store.list(archivePrefix(volume.volumeId)), volume.pagesPerGroup);
        for (const [pg, ofGroup] of Map.groupBy(layers, (layer) => layer.pg)) {
          const at = this.#reachedThen[pg];
          if (at === undefined || at > this.#archived || !wantsPages(ofGroup)) continue;
          await makePages(store, { descriptor, pg, at, clock, signal });
          log?.(`protection group ${pg}: pages up to LSN ${at} are in the archive`);
        }
      } catch (error) {
        if (signal.aborted) return;
        if (!isCoded(error)) throw error;
        log?.(`no pages are made in the archive for now: ${describeError(error)}`);
      }
    }
  }

  #holdAgain(): void {
    const { volume } = this.#options;
    this.#letGo = false;
    for (const [pg, after] of (this.#reached ?? []).entries())
      if (pg < volume.groupCount) volume.holdLog(pg as PgIndex, after);
  }

  /** What the nodes keep for us has a limit, also while the store does not answer. */
  async #guard(): Promise<void> {
    const { clock } = this.#options;
    const { signal } = this.#closing;
    while (!signal.aborted) {
      await clock.sleep(GUARD_MS, signal).catch(() => {});
      if (!signal.aborted) this.#bound();
    }
  }

  #bound(): void {
    const { volume, heldBytesMax = HELD_BYTES_MAX, log } = this.#options;
    if (this.#letGo || volume.appendedBytes - this.#bytesThen <= heldBytesMax) return;
    this.#letGo = true;
    for (let pg = 0; pg < volume.groupCount; pg++) volume.holdLog(pg as PgIndex, EVERYTHING);
    log?.(`the archive is ${heldBytesMax} bytes of log behind: the storage nodes keep no more for it`);
  }

  #failed(error: unknown): void {
    if (!isCoded(error)) throw error;
    const why = describeError(error);
    if (why !== this.#failure) this.#options.log?.(`the archive does not get on: ${why}`);
    this.#failure = why;
  }
}
