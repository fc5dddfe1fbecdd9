/**
 * Looks for bits that have flipped at rest, slowly and for ever: page after page, batch after batch of the log. What it
 * finds is mended from peers (repair.ts), while there still are peers that have it (P17 §3.3, step 8).
 *
 * A batch is checked as a whole, because a replay reads it as a whole: records that are sound by themselves are written
 * once more at the end of the log, those that are not come from a peer, and a new manifest states everything else. The
 * damaged bytes stay where they are until their file is dropped; a replay passes over them.
 */
import { isCoded, must, type Clock, type Lsn } from '@rokka/kernel';
import { recordIsSound } from '@rokka/quorum';
import { storageErrors } from './errors.ts';
import { alignUp, BATCH_ALIGN_BYTES, batchAt } from './log-format.ts';
import type { IndexedRecord } from './record-index.ts';
import { rewriteRecords } from './record-repair.ts';
import type { Repairer } from './repair.ts';
import type { Segment } from './segment.ts';
import type { SegmentStore } from './store.ts';

export interface ScrubberOptions {
  store: SegmentStore;
  repairer: Repairer;
  clock: Clock;
  /** 0 for never by itself. */
  bytesPerSecond: number;
  /** Takes lines for people. */
  log?: ((line: string) => void) | undefined;
}

/** Bytes that are looked at in one go, unless one batch is longer. */
const STEP_BYTES = 256 * 1024;
/** Where in a batch the word with its length ends. */
const BATCH_LENGTH_END = 16;
const STEP_MS_MIN = 10;
/** Between two passes over a node that holds next to nothing. */
const PASS_MS = 60_000;

export class Scrubber implements AsyncDisposable {
  readonly #options: ScrubberOptions;
  readonly #closing = new AbortController();
  /** Batches that are known to be damaged, and have been made up for: `file/offset`. */
  readonly #known = new Set<string>();
  #cancel: (() => void) | undefined;
  #pass: Iterator<number> | undefined;
  #mending: Promise<void> | undefined;
  passCount = 0;
  scannedBytes = 0;
  damagedPages = 0;
  damagedBatches = 0;

  constructor(options: ScrubberOptions) {
    this.#options = options;
    // The start has made up for those already.
    for (const { file, offset } of options.store.damages) this.#known.add(`${file}/${offset}`);
    if (options.bytesPerSecond > 0) this.#later(PASS_MS / 60);
  }

  /** One whole pass, and the repair of what it finds; for tests and people who do not want to wait. */
  async scrubNow(): Promise<void> {
    const { clock, repairer } = this.#options;
    for (const bytes of this.#walk()) {
      this.scannedBytes += bytes;
      await new Promise<void>((resolve) => clock.soon(resolve));
      if (this.#closing.signal.aborted) return;
    }
    await this.#mending;
    await repairer.settled();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort(storageErrors.STORAGE_CLOSED(['scrub']));
    this.#cancel?.();
    await this.#mending;
  }

  #later(delayMs: number): void {
    this.#cancel = this.#options.clock.after(delayMs, () => {
      if (this.#closing.signal.aborted) return;
      this.#later(this.#step());
    });
  }

  /** Looks at a little more. Answers how long to rest. */
  #step(): number {
    const { bytesPerSecond } = this.#options;
    this.#pass ??= this.#walk();
    const { value, done } = this.#pass.next() as IteratorResult<number, undefined>;
    if (done) this.#pass = undefined;
    this.scannedBytes += value ?? 0;
    return done ? PASS_MS : Math.max(STEP_MS_MIN, ((value ?? 0) * 1_000) / bytesPerSecond);
  }

  /** A pass over everything; yields how many bytes it has looked at since the last time. */
  *#walk(): Generator<number, void> {
    for (const segment of this.#options.store.segments.all) yield* this.#walkPages(segment);
    for (const { file } of this.#options.store.log.extents) yield* this.#walkFile(file);
    this.passCount++;
  }

  *#walkPages(segment: Segment): Generator<number, void> {
    let bytes = 0;
    for (let page = 0; ; page++) {
      const { pageFile, dropped, hydration, pageCount } = segment;
      if (!pageFile || dropped || hydration || pageFile.damaged) return;
      page = pageFile.nextLive(page, pageCount);
      if (page >= pageCount) break;
      this.#checkPage(segment, page);
      bytes += pageFile.slotBytes;
      if (bytes < STEP_BYTES) continue;
      yield bytes;
      bytes = 0;
    }
    yield bytes;
  }

  #checkPage(segment: Segment, page: number): void {
    if (segment.lostPages.has(page) || must(segment.pageFile).read(page)?.content !== undefined) return;
    this.damagedPages++;
    const number = segment.firstPage + page;
    const { store } = this.#options;
    store.noteDamage(segment, storageErrors.STORAGE_PAGE_UNKNOWN([number], { detail: { page: number } }));
  }

  *#walkFile(file: number): Generator<number, void> {
    const { log } = this.#options.store;
    let bytes = 0;
    for (let offset = 0; ;) {
      // It may have been dropped, or have grown, since the last step.
      const extent = log.extents.find((one) => one.file === file);
      if (!extent || offset >= extent.end) break;
      const length = this.#batchLength(file, offset, extent.end);
      if (length === undefined) {
        const next = this.#nextSound(file, offset, extent.end);
        this.#damaged({ file, from: offset, to: next });
        bytes += next - offset;
        offset = next;
      } else {
        bytes += length;
        offset += length;
      }
      if (bytes < STEP_BYTES) continue;
      yield bytes;
      bytes = 0;
    }
    yield bytes;
  }

  #nextSound(file: number, offset: number, end: number): number {
    for (let at = offset + BATCH_ALIGN_BYTES; at < end; at += BATCH_ALIGN_BYTES)
      if (this.#batchLength(file, at, end) !== undefined) return at;
    return end;
  }

  /** Bytes that the batch at `offset` takes, or undefined where there is no sound one. */
  #batchLength(file: number, offset: number, end: number): number | undefined {
    const { log } = this.#options.store;
    const head = new Uint8Array(BATCH_LENGTH_END);
    log.read(file, offset, head);
    const claimed = new DataView(head.buffer).getUint32(12, true);
    if (claimed > end - offset) return undefined;
    const bytes = new Uint8Array(alignUp(Math.max(1, claimed)));
    log.read(file, offset, bytes);
    const batch = batchAt(bytes, 0, { identity: log.identity, file, offset });
    return batch && alignUp(batch.length);
  }

  #damaged(region: { file: number; from: number; to: number }): void {
    const key = `${region.file}/${region.from}`;
    if (this.#known.has(key)) return;
    this.#known.add(key);
    this.damagedBatches++;
    const { store, log } = this.#options;
    log?.(storageErrors.STORAGE_LOG_DAMAGED([store.log.path(region.file), region.from]).message);
    this.#mending = (this.#mending ?? Promise.resolve()).then(() => this.#mend(region));
  }

  async #mend(region: { file: number; from: number; to: number }): Promise<void> {
    const { store, repairer, log } = this.#options;
    const { signal } = this.#closing;
    try {
      // It states all that the batch may have held beside records.
      store.log.rotate();
      for (const segment of store.segments.all) {
        const { sound, damaged } = this.#recordsIn(segment, region);
        for (const error of damaged) store.noteDamage(segment, error);
        await rewriteRecords(segment, sound, { store, signal });
      }
      repairer.consider();
    } catch (error) {
      if (signal.aborted) return;
      if (!isCoded(error)) throw error;
      // A full disk: the next pass meets it again.
      this.#known.delete(`${region.file}/${region.from}`);
      log?.(error.message);
    }
  }

  #recordsIn(segment: Segment, region: { file: number; from: number; to: number }) {
    const { log } = this.#options.store;
    const { index } = segment.chain;
    const place: IndexedRecord = { lsn: 0 as Lsn, page: 0, file: 0, offset: 0, length: 0, flags: 0 };
    const sound = new Map<Lsn, Uint8Array>();
    const damaged = [];
    for (let at = index.first; at < index.end; at++) {
      const { lsn, file, offset, length } = index.read(at, place);
      if (file !== region.file || offset < region.from || offset >= region.to) continue;
      const record = new Uint8Array(length);
      log.read(file, offset, record);
      if (recordIsSound(record)) sound.set(lsn, record);
      else
        damaged.push(
          storageErrors.STORAGE_LOG_DAMAGED([log.path(file), offset], { detail: { lsn, file, offset } }),
        );
    }
    return { sound, damaged };
  }
}
