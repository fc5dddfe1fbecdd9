/**
 * The page cache without its waiting: what is in memory can be read and changed, for what is not NotReady says what
 * lacks. PageCache waits for it on the event loop, SharedPageStore by blocking its worker.
 *
 * Invariants:
 * - `apply` checks everything that can fail before it changes anything; then the sink takes the records, then the pages
 *   change, by the very records: what is replayed after a crash cannot differ from what was read before it.
 * - A page that is not in memory is durable as a whole below, so that fetching it loses nothing.
 */
import { assert, clearBytes, copyBytes, must, PAGE_SIZE, type PageNumber } from '@rokka/kernel';
import { applyRecord, recordLengthAt } from '@rokka/quorum';
import { changedRanges, type ByteRange } from './changed-ranges.ts';
import { changesByPage, compose, type PageChange, recordBytes } from './page-changes.ts';
import { PageFrames } from './page-frames.ts';
import { NotReady, type PageStore, type PageWrite, type Ticket } from './page-store.ts';
import { RecordArena } from './record-arena.ts';
import { MTR_BYTES_MAX, type RecordSink } from './record-sink.ts';

/** An operation needs all its pages in memory at once, so a cache of less than some MiB serves no filesystem. */
export const PAGE_CACHE_BYTES_DEFAULT = 256 * 1024 * 1024;
/** Handed out for pages that were never mapped. */
const ZEROES = new Uint8Array(PAGE_SIZE);
/** A record needs a range; an INIT of a page that stays all zeroes has this one. */
const EMPTY_RANGE: readonly ByteRange[] = [{ offset: 0, length: 0 }];
const WHOLE_PAGE = { from: 0, to: PAGE_SIZE };

export class CachedPages implements PageStore {
  readonly #sink: RecordSink;
  readonly #frames: PageFrames;
  readonly #arena = new RecordArena();
  readonly #scratch = new Uint8Array(PAGE_SIZE);
  #refused: { bytes: number; records: number } | undefined;

  constructor(sink: RecordSink, options: { sizeBytes: number }) {
    assert(sink.durable >= sink.applied, 'an empty cache would read past what is not durable yet');
    this.#sink = sink;
    this.#frames = new PageFrames(options);
  }

  get mappedPages(): number {
    return this.#sink.mappedPages;
  }

  get pagesMax(): number {
    return this.#sink.pagesMax;
  }

  get applied(): Ticket {
    return this.#sink.applied;
  }

  get durable(): Ticket {
    return this.#sink.durable;
  }

  /** Most pages that are in memory at once. */
  get capacity(): number {
    return this.#frames.count;
  }

  get pagesHeld(): number {
    return this.#frames.pages;
  }

  get evictions(): number {
    return this.#frames.evictions;
  }

  /**
   * What the sink had no room for when `apply` last threw NotReady for room; undefined where it was frames that lacked,
   * all of them holding pages that are not durable yet.
   */
  get refused(): { bytes: number; records: number } | undefined {
    return this.#refused;
  }

  has(page: PageNumber): boolean {
    return page >= this.#sink.mappedPages || this.#frames.has(page);
  }

  page(page: PageNumber): Uint8Array {
    const frame = this.#frames.use(page);
    if (frame !== undefined) return this.#frames.content(frame);
    if (page >= this.#sink.mappedPages) return ZEROES;
    throw new NotReady({ pages: [page] });
  }

  apply(writes: readonly PageWrite[]): Ticket {
    const changes = changesByPage(writes);
    this.#frames.beginRound();
    const arriving = this.#checkPages(changes);
    if (!this.#frames.reserve(arriving, this.#sink.durable)) {
      this.#refused = undefined;
      throw new NotReady({ room: true });
    }
    this.#arena.begin(recordBytes(changes));
    const changed = changes.filter((change) => this.#encode(change));
    if (changed.length === 0) return this.#sink.applied;
    const bytes = this.#arena.bytes;
    assert(bytes <= MTR_BYTES_MAX, () => `mini-transaction of ${bytes} bytes`);
    if (!this.#sink.hasRoom(bytes, changed.length)) {
      this.#refused = { bytes, records: changed.length };
      throw new NotReady({ room: true });
    }
    const mtr = this.#arena.take();
    const ticket = this.#sink.append(mtr, changed.length);
    this.#applyRecords(mtr, changed, ticket);
    return ticket;
  }

  /**
   * Takes in what was fetched for a page that is not here. The caller knows that the page did not change since the fetch
   * began. Pages named in `keep` do not leave for it. False where no page may leave.
   */
  admit(page: PageNumber, content: Uint8Array | undefined, keep: Iterable<PageNumber> = []): boolean {
    this.#frames.beginRound();
    for (const kept of keep) this.#frames.keep(kept);
    if (!this.#frames.reserve(1, this.#sink.durable)) return false;
    const frame = this.#frames.content(this.#frames.place(page, { awaited: true }));
    if (content) copyBytes(frame, content);
    else clearBytes(frame);
    return true;
  }

  /** How many frames the changes will need beyond those that their pages have. @throws NotReady for what lacks */
  #checkPages(changes: readonly PageChange[]): number {
    assert(changes.length <= this.#frames.count, () => `${changes.length} pages in a mini-transaction`);
    const missing: PageNumber[] = [];
    let last = -1;
    let arriving = 0;
    for (const { page, needsContent } of changes) {
      last = Math.max(last, page);
      if (this.#frames.use(page) !== undefined) continue;
      if (needsContent && page < this.#sink.mappedPages) missing.push(page);
      arriving++;
    }
    const mapPages = last >= this.#sink.mappedPages ? last + 1 : 0;
    if (missing.length > 0 || mapPages > 0) throw new NotReady({ pages: missing, mapPages });
    return arriving;
  }

  /** Adds the record of a change to the arena. False where the page is here and stays as it is: then there is none. */
  #encode(change: PageChange): boolean {
    const { page } = change;
    const frame = this.#frames.find(page);
    const before = frame === undefined ? undefined : this.#frames.content(frame);
    const content = this.#scratch;
    // Nothing below has a page that is only inherited: its record begins anew, whatever of it changes.
    const adopts = before !== undefined && this.#sink.inherits?.(page) === true;
    if (adopts) content.set(before);
    const changed = compose(change, before, content);
    const init = change.init || adopts;
    const span = adopts ? WHOLE_PAGE : changed;
    if (before && init && !adopts && Buffer.compare(before, content) === 0) return false;
    const ranges = changedRanges(init ? undefined : before, content, span);
    if (ranges.length === 0 && !init) return false;
    this.#arena.addRecord({ page, init, ranges: ranges.length > 0 ? ranges : EMPTY_RANGE, content });
    return true;
  }

  /** From the records and not from the writes, whose bytes may be views of frames that this very loop fills. */
  #applyRecords(mtr: Uint8Array, changed: readonly PageChange[], ticket: Ticket): void {
    const view = new DataView(mtr.buffer, mtr.byteOffset, mtr.byteLength);
    let at = 0;
    for (const { page } of changed) {
      const length = must(recordLengthAt(view, at));
      const frame = this.#frames.find(page) ?? this.#frames.place(page, { awaited: false });
      applyRecord(mtr.subarray(at, at + length), this.#frames.content(frame));
      this.#frames.changed(frame, ticket);
      at += length;
    }
    assert(at === mtr.length, 'a record for each changed page');
  }
}
