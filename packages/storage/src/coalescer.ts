/**
 * Turns log into pages on full segments, behind the path of a commit: records that can never be truncated and that no read
 * needs to look behind (at or below VDL and PGMRPL) are applied, generation by generation.
 *
 * Works in slices at the end of a turn, each a few milliseconds at most, one segment at a time. A generation that has begun
 * is carried through: where the disk is full, its step is repeated until there is space.
 */
import { assert, isCoded, PAGE_SIZE, type Clock, type CodedError, type Lsn } from '@rokka/kernel';
import { applyRecord, FLAG_INIT } from '@rokka/quorum';
import { encodeCoalescedEntry } from './control-state.ts';
import { diskError } from './log-files.ts';
import { ENTRY } from './log-format.ts';
import type { LogReader } from './log-reader.ts';
import type { StorageLog } from './log.ts';
import type { NewPage, PageGeneration } from './page-file.ts';
import type { IndexedRecord } from './record-index.ts';
import { lower, type Segment } from './segment.ts';

export interface CoalescerOptions {
  log: StorageLog;
  reader: LogReader;
  clock: Clock;
  segments: () => Iterable<Segment>;
  segmentOf: (id: number) => Segment | undefined;
  /** Coalesce a segment when its pages lack more log than this, or more records. */
  segmentLogBytes: number;
  segmentRecords: number;
  /** Coalesce whatever pins the oldest log file when the log is larger than this. */
  logBytes: number;
  /** A disk error that is no full disk: the node cannot go on. */
  onFailure: (error: CodedError) => void;
}

const SLICE_MS = 1;
const SLICE_RECORDS = 128;
const GENERATION_PAGES = 256;
const RETRY_MS = 500;

/** The generation being made. */
interface Work {
  segment: Segment;
  /** Generations follow each other until the pages contain everything up to here. */
  goal: Lsn;
  /** The next record to apply. */
  ordinal: number;
  lsn: Lsn;
  pages: Map<number, NewPage>;
  staged: PageGeneration | undefined;
}

export class Coalescer {
  readonly #options: CoalescerOptions;
  readonly #place: IndexedRecord = { lsn: 0 as Lsn, page: 0, file: 0, offset: 0, length: 0, flags: 0 };
  #work: Work | undefined;
  #scheduled = false;
  #closed = false;
  generationCount = 0;

  constructor(options: CoalescerOptions) {
    this.#options = options;
  }

  /** Looks whether there is anything to do; cheap, called after each flush. */
  consider(): void {
    if (this.#work || this.#closed) return;
    const segment = this.#choose();
    if (!segment) return;
    this.#begin(segment, this.#target(segment));
    this.#schedule();
  }

  /** Brings the pages of one segment as far as they may go, whatever the thresholds say. */
  demand(segment: Segment): void {
    if (this.#work || this.#closed || !this.#ready(segment)) return;
    this.#begin(segment, this.#target(segment));
    this.#schedule();
  }

  close(): void {
    this.#closed = true;
  }

  #choose(): Segment | undefined {
    const { segmentLogBytes, segmentRecords, log, logBytes, segments, segmentOf } = this.#options;
    for (const segment of segments()) {
      const records = segment.chain.index.end - segment.chain.index.firstAbove(segment.coalesced);
      if (segment.uncoalescedBytes <= segmentLogBytes && records <= segmentRecords) continue;
      if (this.#ready(segment)) return segment;
    }
    if (log.sizeBytes <= logBytes) return undefined;
    for (const [id, lsn] of log.oldest ?? []) {
      const segment = segmentOf(id);
      if (segment && segment.kind === 'full' && segment.coalesced < lsn && this.#ready(segment))
        return segment;
    }
    return undefined;
  }

  #ready(segment: Segment): boolean {
    return segment.pageFile !== undefined && !segment.damaged && this.#target(segment) > segment.coalesced;
  }

  /** The last record that may go into pages now. */
  #target(segment: Segment): Lsn {
    const bound = lower(lower(segment.pgmrpl, segment.vdl), segment.durableScl);
    return segment.chain.lastAtOrBelow(bound);
  }

  #begin(segment: Segment, goal: Lsn): void {
    const ordinal = segment.chain.index.firstAbove(segment.coalesced);
    this.#work = { segment, goal, ordinal, lsn: segment.coalesced, pages: new Map(), staged: undefined };
  }

  #schedule(): void {
    if (this.#scheduled || this.#closed) return;
    this.#scheduled = true;
    this.#options.clock.soon(() => {
      this.#scheduled = false;
      this.#slice();
    });
  }

  #slice(): void {
    const work = this.#work;
    if (!work || this.#closed) return;
    try {
      // Once staged, a generation's number stands in the table: it is carried through even then.
      if (work.segment.damaged && !work.staged) return this.#abandon();
      if (!work.staged && this.#apply(work)) {
        const { segment, pages, lsn } = work;
        work.staged = segment.pageFile?.stage([...pages.values()], lsn, segment.generation.number + 1);
      } else if (work.staged?.step()) {
        return this.#commit(work, work.staged);
      }
    } catch (error) {
      return this.#failed(work, error);
    }
    this.#schedule();
  }

  /** Applies a slice of records. Answers whether the generation is gathered. */
  #apply(work: Work): boolean {
    const { clock } = this.#options;
    const { index } = work.segment.chain;
    const untilMs = clock.nowMs() + SLICE_MS;
    for (let count = 0; count < SLICE_RECORDS; count++) {
      if (work.ordinal >= index.end || index.lsnAt(work.ordinal) > work.goal) return true;
      const page = index.pageAt(work.ordinal);
      if (work.pages.size === GENERATION_PAGES && !work.pages.has(page)) return true;
      this.#applyOne(work, page);
      work.ordinal++;
      if (clock.nowMs() >= untilMs) break;
    }
    return false;
  }

  #applyOne(work: Work, page: number): void {
    const place = work.segment.chain.index.read(work.ordinal, this.#place);
    const init = (place.flags & FLAG_INIT) !== 0;
    let target = work.pages.get(page);
    if (!target) {
      const base = init ? undefined : work.segment.pageFile?.read(page);
      target = { page, lsn: place.lsn, content: base ? base.content : new Uint8Array(PAGE_SIZE) };
      work.pages.set(page, target);
    }
    // A lost base stays lost, whatever comes on top, until a record that starts the page anew.
    if (init) target.content ??= new Uint8Array(PAGE_SIZE);
    if (target.content) applyRecord(this.#options.reader.record(place), target.content);
    target.lsn = place.lsn;
    work.lsn = place.lsn;
  }

  /** Both page files are synced: say so in the log, and count on it when that is durable. */
  #commit(work: Work, staged: PageGeneration): void {
    const { log } = this.#options;
    const { segment } = work;
    const { generation } = staged;
    log.append(ENTRY.COALESCED, encodeCoalescedEntry({ id: segment.id, generation }));
    log.whenDurable(() => {
      assert(generation.lsn <= segment.vdl, 'pages hold a record that may still be truncated');
      staged.complete();
      segment.completeGeneration(generation);
      this.generationCount++;
      this.#work = undefined;
      if (segment.coalesced < work.goal && this.#ready(segment)) {
        this.#begin(segment, work.goal);
        this.#schedule();
      } else {
        this.consider();
      }
    });
  }

  #failed(work: Work, error: unknown): void {
    if (isCoded(error, 'STORAGE_LOG_DAMAGED')) {
      work.segment.fault = error;
      return this.#abandon();
    }
    if (error instanceof Error && !isCoded(error) && (error as NodeJS.ErrnoException).code === undefined)
      throw error;
    const failure = diskError(error, work.segment.pageFile?.path ?? '');
    if (failure.code !== 'STORAGE_DISK_FULL') return this.#options.onFailure(failure);
    this.#options.clock.after(RETRY_MS, () => this.#schedule());
  }

  /** Nothing of an unfinished generation was ever counted, so it can be forgotten; its slots with it, until the next start. */
  #abandon(): void {
    this.#work = undefined;
    this.#options.clock.after(RETRY_MS, () => this.consider());
  }
}
