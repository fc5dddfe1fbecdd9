/**
 * Turns log into pages on full segments, behind the path of a commit: records that can never be truncated and that no read
 * needs to look behind (at or below VDL and PGMRPL) are applied, generation by generation.
 *
 * Works in slices at the end of a turn, each a few milliseconds at most, one segment at a time. A generation that has begun
 * is carried through: where the disk is full, its step is repeated until there is space.
 */
import { assert, isCoded, mutant, type Clock, type CodedError, type Lsn } from '@rokka/kernel';
import { encodeCoalescedEntry } from './control-state.ts';
import { diskError } from './log-files.ts';
import { ENTRY } from './log-format.ts';
import type { LogReader } from './log-reader.ts';
import type { StorageLog } from './log.ts';
import type { PageGeneration } from './page-file.ts';
import { buildPage } from './page-reader.ts';
import { lower, type Segment } from './segment.ts';

export interface CoalescerOptions {
  log: StorageLog;
  reader: LogReader;
  clock: Clock;
  segments: () => Iterable<Segment>;
  segmentOf: (id: number) => Segment | undefined;
  /** Coalesce a segment when its pages lack more log than this, or one of them more records than this. */
  segmentLogBytes: number;
  pageRecords: number;
  /** Coalesce whatever pins the oldest log file when the log is larger than this. */
  logBytes: number;
  /** A record cannot be read. The segment is taken up again when it has been repaired. */
  onDamage: (segment: Segment, error: CodedError) => void;
  /** A disk error that is no full disk: the node cannot go on. */
  onFailure: (error: CodedError) => void;
}

const SLICE_MS = 1;
/** While the backlog is twice what it should be, keeping up comes before latency. */
const HURRIED_SLICE_MS = 4;
/**
 * After a slice the node leaves the processor alone for so many times as long as the slice took: commits share it with
 * this work, and they come first (P17 §3.3). In a hurry it waits less, far behind not at all.
 */
const REST_FACTOR = 4;
const HURRIED_REST_FACTOR = 1;
const REST_MS_MAX = 50;
const FAR_BEHIND = 4;
/** Steps of each kind in a slice; the clock is looked at between them. */
const SLICE_RECORDS = 4_096;
const SLICE_PAGES = 128;
/** Pages of a generation: the more records a page gets at a time, the fewer writes. Some 100 bytes of memory each. */
const GENERATION_PAGES = 65_536;
const RETRY_MS = 500;

/** The generation being made: first its extent, then page after page, then the files are synced. */
interface Work {
  segment: Segment;
  /** Generations follow each other until the pages contain everything up to here. */
  goal: Lsn;
  /** The next record that may still belong to this generation. */
  ordinal: number;
  /** Its last record. */
  lsn: Lsn;
  pages: Set<number>;
  /** Pages left to make; undefined until the extent is known. */
  rest: Iterator<number> | undefined;
  staged: PageGeneration | undefined;
}

export class Coalescer {
  readonly #options: CoalescerOptions;
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
    const { segmentLogBytes, pageRecords, log, logBytes, segments, segmentOf } = this.#options;
    for (const segment of segments()) {
      if (segment.uncoalescedBytes <= segmentLogBytes && segment.deepestPage <= pageRecords) continue;
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
    const { pageFile, hydration, damaged, dropped } = segment;
    if (!pageFile || pageFile.busy || hydration || damaged || dropped) return false;
    return this.#target(segment) > segment.coalesced;
  }

  /** The last record that may go into pages now. */
  #target(segment: Segment): Lsn {
    const readable = mutant('coalesce-above-vdl') ? segment.durableScl : lower(segment.pgmrpl, segment.vdl);
    const bound = lower(readable, segment.durableScl);
    return segment.chain.lastAtOrBelow(bound);
  }

  #begin(segment: Segment, goal: Lsn): void {
    const ordinal = segment.chain.index.firstAbove(segment.coalesced);
    const lsn = segment.coalesced;
    this.#work = { segment, goal, ordinal, lsn, pages: new Set(), rest: undefined, staged: undefined };
  }

  /** The next slice: at the end of this turn, or when the node has rested from one that took `tookMs`. */
  #schedule(tookMs = 0): void {
    if (this.#scheduled || this.#closed) return;
    this.#scheduled = true;
    const run = () => {
      this.#scheduled = false;
      const startedMs = this.#options.clock.nowMs();
      if (this.#slice()) this.#schedule(this.#options.clock.nowMs() - startedMs);
    };
    const restMs = Math.min(REST_MS_MAX, tookMs * this.#restFactor());
    if (restMs < 1) this.#options.clock.soon(run);
    else this.#options.clock.after(restMs, run, { keepAlive: true });
  }

  #restFactor(): number {
    const behind = (this.#work?.segment.uncoalescedBytes ?? 0) / this.#options.segmentLogBytes;
    if (behind > FAR_BEHIND) return 0;
    return behind > 2 ? HURRIED_REST_FACTOR : REST_FACTOR;
  }

  /** Does one slice of the work. Answers whether the next one may follow by itself. */
  #slice(): boolean {
    const work = this.#work;
    if (!work || this.#closed) return false;
    try {
      // Once its number may stand in the table, a generation is carried through even then.
      const { dropped, damaged, hydration } = work.segment;
      if (dropped || ((damaged || hydration) && !work.staged)) this.#abandon();
      else if (!work.rest) {
        this.#measure(work);
        return true;
      } else if (!this.#makePages(work, work.rest) || !this.#staged(work).finish()) return true;
      else this.#commit(work);
    } catch (error) {
      this.#failed(work, error);
    }
    return false;
  }

  /** Finds how far the generation goes. */
  #measure(work: Work): void {
    const { index } = work.segment.chain;
    for (let count = 0; count < SLICE_RECORDS; count++) {
      const page = work.ordinal < index.end ? index.pageAt(work.ordinal) : 0;
      const over = work.ordinal >= index.end || index.lsnAt(work.ordinal) > work.goal;
      if (over || (work.pages.size === GENERATION_PAGES && !work.pages.has(page))) {
        work.rest = [...work.pages].sort((a, b) => a - b).values();
        return;
      }
      work.pages.add(page);
      work.lsn = index.lsnAt(work.ordinal++);
    }
  }

  /** Makes some pages. Answers whether all are made. */
  #makePages(work: Work, rest: Iterator<number>): boolean {
    const { clock, reader, segmentLogBytes } = this.#options;
    const hurried = work.segment.uncoalescedBytes > 2 * segmentLogBytes;
    const untilMs = clock.nowMs() + (hurried ? HURRIED_SLICE_MS : SLICE_MS);
    for (let count = 0; count < SLICE_PAGES; count++) {
      const staged = this.#staged(work);
      if (staged.full) staged.write();
      const { value: page, done } = rest.next() as IteratorResult<number, undefined>;
      if (done) return true;
      const into = staged.nextContent();
      const { lsn, content } = buildPage(work.segment, reader, { page, readPoint: work.lsn, into });
      staged.add({ page, lsn, content });
      if (clock.nowMs() >= untilMs) return false;
    }
    return false;
  }

  #staged(work: Work): PageGeneration {
    const { pageFile, generation } = work.segment;
    assert(pageFile, 'only full segments are coalesced');
    return (work.staged ??= pageFile.begin(generation.number + 1, { pages: work.pages.size }));
  }

  /** Both page files are synced: say so in the log, and count on it when that is durable. */
  #commit(work: Work): void {
    const { log } = this.#options;
    const { segment } = work;
    const staged = this.#staged(work);
    const generation = staged.describe(work.lsn);
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
      this.#options.onDamage(work.segment, error);
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
    if (!this.#work?.segment.dropped) this.#work?.staged?.abandon();
    this.#work = undefined;
    this.#options.clock.after(RETRY_MS, () => this.consider());
  }
}
