/**
 * One segment in memory: the epochs it obeys, its chain with the places of its records, and for each page of a full
 * segment the records that its pages on disk do not contain yet. All of it is rebuilt from the log at start.
 *
 * Invariants:
 * - `generation.lsn <= vdl`: what is in the pages can never be truncated.
 * - Answers use `durableScl`, which is what the last flush covers; the chain in memory may be ahead of it by one batch.
 * - A segment whose log gave back less than it had acknowledged is damaged: its SCL is unknown, not low.
 */
import {
  assert,
  type CodedError,
  type Epoch,
  type Lsn,
  type PageNumber,
  type PgIndex,
  type VolumeId,
} from '@rokka/kernel';
import { FLAG_INIT } from '@rokka/quorum';
import { laterEpoch, SCL_UNKNOWN, type Generation, type SegmentControl } from './control-state.ts';
import { storageErrors } from './errors.ts';
import type { Epochs, MemberAddress, SegmentKind, TruncationRange } from './messages.ts';
import type { PageFile } from './page-file.ts';
import { PlacedChain, type ChainWatcher } from './placed-chain.ts';

export class Segment implements ChainWatcher {
  readonly id: number;
  readonly volume: VolumeId;
  readonly pg: PgIndex;
  readonly kind: SegmentKind;
  readonly firstPage: PageNumber;
  readonly pageCount: number;
  readonly members: MemberAddress[];
  readonly chain: PlacedChain;
  /** Full segments only; opened when the log has been replayed. */
  pageFile: PageFile | undefined;
  generation: Generation;
  vdl: Lsn;
  /** No read below this will come. */
  pgmrpl = 0 as Lsn;
  /** What the writer allows the log to drop. */
  writerFloor = 0 as Lsn;
  /** SCL as of the last flush. */
  durableScl: Lsn;
  /** What the chain must reach again before it counts; 0 where nothing is known to be lost. */
  requiredScl: Lsn;
  /** Why the segment may not be served beside that: damage met while reading. */
  fault: CodedError | undefined;
  #volumeEpoch: Epoch;
  #membershipEpoch: Epoch;
  /** Ordinal of the last record of each page that the pages on disk lack. */
  readonly #lastOfPage = new Map<number, number>();
  #uncoalescedBytes = 0;
  #deepestPage = 0;
  #manifestFloor: Lsn;

  constructor(control: SegmentControl) {
    this.id = control.id;
    this.volume = control.volume;
    this.pg = control.pg;
    this.kind = control.kind;
    this.firstPage = control.firstPage;
    this.pageCount = control.pageCount;
    this.members = control.members;
    this.#volumeEpoch = control.volumeEpoch;
    this.#membershipEpoch = control.membershipEpoch;
    this.vdl = control.vdl;
    this.generation = control.generation;
    this.durableScl = control.logFloor;
    this.#manifestFloor = control.logFloor;
    this.requiredScl = 0 as Lsn;
    this.chain = new PlacedChain({ base: control.logFloor, ranges: control.ranges, watcher: this });
  }

  get volumeEpoch(): Epoch {
    return this.#volumeEpoch;
  }

  get membershipEpoch(): Epoch {
    return this.#membershipEpoch;
  }

  get epochs(): Epochs {
    return { volumeEpoch: this.#volumeEpoch, membershipEpoch: this.#membershipEpoch };
  }

  /** Pages contain everything up to here. */
  get coalesced(): Lsn {
    return this.kind === 'full' ? this.generation.lsn : this.durableScl;
  }

  /** Bytes of log that the pages do not contain; 0 for tails. */
  get uncoalescedBytes(): number {
    return this.#uncoalescedBytes;
  }

  /** Records that a read of the most changed page has to apply, or had to before a truncation. */
  get deepestPage(): number {
    return this.#deepestPage;
  }

  get damaged(): boolean {
    return this.fault !== undefined || this.chain.scl < this.requiredScl;
  }

  /** The records at or below this are in no log file that replay needs: the newest manifest says so. */
  get manifestFloor(): Lsn {
    return this.#manifestFloor;
  }

  /** Refuses a caller whose epochs are not this segment's. @throws STORAGE_STALE_EPOCH, _UNFENCED, _STALE_MEMBERSHIP */
  demandEpochs(what: string, given: Epochs): void {
    const own = this.epochs;
    const more = { detail: { ...own } };
    if (given.volumeEpoch < own.volumeEpoch)
      throw storageErrors.STORAGE_STALE_EPOCH([what, given.volumeEpoch, own.volumeEpoch], more);
    if (given.volumeEpoch > own.volumeEpoch)
      throw storageErrors.STORAGE_UNFENCED([given.volumeEpoch, own.volumeEpoch], more);
    if (given.membershipEpoch !== own.membershipEpoch)
      throw storageErrors.STORAGE_STALE_MEMBERSHIP([given.membershipEpoch, own.membershipEpoch], more);
  }

  /** Refuses a fence that is older than one already obeyed. @throws STORAGE_STALE_EPOCH, STORAGE_STALE_MEMBERSHIP */
  demandFence(given: Epochs): void {
    const own = this.epochs;
    const more = { detail: { ...own } };
    if (given.volumeEpoch < own.volumeEpoch)
      throw storageErrors.STORAGE_STALE_EPOCH(['fence', given.volumeEpoch, own.volumeEpoch], more);
    if (given.membershipEpoch < own.membershipEpoch)
      throw storageErrors.STORAGE_STALE_MEMBERSHIP([given.membershipEpoch, own.membershipEpoch], more);
  }

  /** @throws STORAGE_LOG_DAMAGED, STORAGE_PAGES_DAMAGED: unknown is never served */
  demandSound(): void {
    if (this.fault) throw this.fault;
    if (this.chain.scl < this.requiredScl)
      throw storageErrors.STORAGE_SEGMENT_UNKNOWN([this.volume, this.pg]);
  }

  /** Epochs only rise. */
  adoptEpochs(epochs: Epochs): void {
    this.#volumeEpoch = laterEpoch(this.#volumeEpoch, epochs.volumeEpoch);
    this.#membershipEpoch = laterEpoch(this.#membershipEpoch, epochs.membershipEpoch);
  }

  /** @throws QUORUM_RANGE_BELOW_DURABLE, QUORUM_RANGE_CONFLICT; then nothing has changed */
  truncate(ranges: readonly TruncationRange[]): void {
    const whole = this.chain.scl >= this.requiredScl;
    this.chain.truncate(ranges);
    this.durableScl = lower(this.durableScl, this.chain.scl);
    if (this.chain.scl >= this.requiredScl) return;
    // A whole chain fell because it was told to. In a damaged one, what it must reach may be annulled now: for ever unknown.
    if (whole) this.requiredScl = this.chain.scl;
    else if (this.chain.truncation.covers(this.requiredScl)) this.requiredScl = SCL_UNKNOWN;
  }

  /** The points that every ship carries. They only rise: an old message changes nothing. */
  learnPoints(points: { vdl: Lsn; pgmrpl?: Lsn; logFloor?: Lsn }): void {
    if (points.vdl > this.vdl) {
      this.vdl = points.vdl;
      this.chain.settle(points.vdl);
    }
    this.pgmrpl = higher(this.pgmrpl, points.pgmrpl ?? this.pgmrpl);
    this.writerFloor = higher(this.writerFloor, points.logFloor ?? this.writerFloor);
  }

  added(ordinal: number): void {
    const { index } = this.chain;
    if (this.kind === 'tail' || index.lsnAt(ordinal) <= this.generation.lsn) return;
    this.#link(ordinal);
    this.#uncoalescedBytes += index.lengthAt(ordinal);
  }

  removing(ordinal: number): void {
    const { index } = this.chain;
    if (this.kind === 'tail') return;
    assert(index.lsnAt(ordinal) > this.generation.lsn, 'a coalesced record is never truncated');
    const page = index.pageAt(ordinal);
    const previous = index.previousOfPage(ordinal);
    if (previous === undefined) this.#lastOfPage.delete(page);
    else this.#lastOfPage.set(page, previous);
    this.#uncoalescedBytes -= index.lengthAt(ordinal);
  }

  /**
   * Ordinals of the records to apply to the base of `page` for a read at `readPoint`, oldest first: those above `baseLsn`,
   * from the last INIT on.
   */
  recordsOfPage(
    page: number,
    options: { baseLsn: Lsn; readPoint: Lsn },
  ): { ordinals: number[]; fromZero: boolean } {
    const { index } = this.chain;
    const ordinals: number[] = [];
    let ordinal = this.#lastOfPage.get(page);
    while (ordinal !== undefined && index.lsnAt(ordinal) > options.baseLsn) {
      if (index.lsnAt(ordinal) <= options.readPoint) {
        ordinals.push(ordinal);
        if (index.flagsAt(ordinal) & FLAG_INIT) return { ordinals: ordinals.reverse(), fromZero: true };
      }
      ordinal = index.previousOfPage(ordinal);
    }
    return { ordinals: ordinals.reverse(), fromZero: false };
  }

  /** The pages on disk contain everything up to `generation.lsn`, and the log says so durably. */
  completeGeneration(generation: Generation): void {
    const { index } = this.chain;
    const end = index.firstAbove(generation.lsn);
    for (let at = index.firstAbove(this.generation.lsn); at < end; at++)
      this.#uncoalescedBytes -= index.lengthAt(at);
    this.generation = generation;
    this.#lastOfPage.clear();
    this.#deepestPage = 0;
    for (let at = end; at < index.end; at++) this.#link(at);
  }

  #link(ordinal: number): void {
    const { index } = this.chain;
    const page = index.pageAt(ordinal);
    const restart = (index.flagsAt(ordinal) & FLAG_INIT) !== 0;
    const depth = index.link(ordinal, this.#lastOfPage.get(page), { restart });
    this.#lastOfPage.set(page, ordinal);
    if (depth > this.#deepestPage) this.#deepestPage = depth;
  }

  /** For a manifest about to be written. What it says of the floor counts once it is durable (`floorIsDurable`). */
  control(): SegmentControl {
    const bound = lower(lower(this.writerFloor, this.vdl), lower(this.durableScl, this.coalesced));
    this.#manifestFloor = higher(this.chain.base, this.chain.lastAtOrBelow(bound));
    return {
      id: this.id,
      volume: this.volume,
      pg: this.pg,
      ...this.epochs,
      kind: this.kind,
      firstPage: this.firstPage,
      pageCount: this.pageCount,
      members: this.members,
      ranges: this.chain.truncation.known,
      vdl: this.vdl,
      logFloor: this.#manifestFloor,
      acknowledgedScl: higher(this.chain.scl, this.requiredScl),
      generation: this.generation,
    };
  }

  /** The manifest made last is on the disk: forget where the records below its floor lie. */
  floorIsDurable(): void {
    this.chain.dropThrough(this.#manifestFloor);
  }
}

export function lower(a: Lsn, b: Lsn): Lsn {
  return a < b ? a : b;
}

export function higher(a: Lsn, b: Lsn): Lsn {
  return a > b ? a : b;
}
