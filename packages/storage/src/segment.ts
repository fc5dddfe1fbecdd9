/**
 * One segment in memory: the epochs it obeys, its chain with the places of its records, and for each page of a full
 * segment the records that its pages on disk do not contain yet. All of it is rebuilt from the log at start.
 *
 * Invariants:
 * - `generation.lsn <= vdl`: what is in the pages can never be truncated.
 * - Answers use `durableScl`, which is what the last flush covers; the chain in memory may be ahead of it by one batch.
 * - A segment whose log gave back less than it had acknowledged is damaged: its SCL is unknown, not low.
 * - What is unknown starts over like a newcomer when the writer says how far anything can have been acknowledged, and counts
 *   again when it has all of that.
 * - A newcomer that is still being filled tells nobody an SCL: `toldScl`, never `durableScl`, leaves the node.
 * - Members change only together with their epoch.
 */
import {
  assert,
  mutant,
  type CodedError,
  type Epoch,
  type Lsn,
  type NodeId,
  type PageNumber,
  type PgIndex,
  type VolumeId,
} from '@rokka/kernel';
import { FLAG_INIT } from '@rokka/quorum';
import { laterEpoch, SCL_UNKNOWN } from './control-state.ts';
import type { CopiedEntry, Generation, Hydration, SegmentControl } from './control-state.ts';
import { storageErrors } from './errors.ts';
import { nameMembers, sameMembers } from './membership.ts';
import type {
  CreateSegment,
  Epochs,
  Fence,
  MemberAddress,
  SegmentKind,
  TruncationRange,
} from './messages.ts';
import type { PageFile } from './page-file.ts';
import { PlacedChain, type ChainWatcher } from './placed-chain.ts';

export class Segment implements ChainWatcher {
  readonly id: number;
  readonly volume: VolumeId;
  readonly pg: PgIndex;
  readonly kind: SegmentKind;
  readonly firstPage: PageNumber;
  readonly pageCount: number;
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
  /** Why the segment may not be served beside that: its log holds what cannot have been written to it. */
  fault: CodedError | undefined;
  /** Why none of its pages may be served, though its log may: they are to be copied from a peer. */
  pagesFault: CodedError | undefined;
  /** Records of the chain that cannot be read from the log any more, until they have been repaired. */
  readonly wounds = new Set<Lsn>();
  /** Pages, counted from the segment's first, that failed their checksum, until they have been repaired. */
  readonly lostPages = new Set<number>();
  /** Counts how often it was told to begin anew, since the process started: what was under way then is void. */
  life = 0;
  /** Since when nobody who answers has pages that reach its base, while it is being filled. */
  sourcelessSinceMs: number | undefined;
  /** The connection on which it was fenced last. */
  fencedOn: symbol | undefined;
  /** A step of its copies is on its way to the log, and counts when it is there. */
  settling = false;
  /** The node was told to drop it: nothing of it is written any more. */
  dropped = false;
  #volumeEpoch: Epoch;
  #membershipEpoch: Epoch;
  #members: readonly MemberAddress[];
  /** A later membership is known that is without this node. */
  #retiredAt: Epoch | undefined;
  #chain: PlacedChain;
  #readFloor: Lsn;
  #hydration: Hydration | undefined;
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
    this.#members = control.members;
    this.#readFloor = control.readFloor;
    this.#hydration = control.hydration;
    this.#volumeEpoch = control.volumeEpoch;
    this.#membershipEpoch = control.membershipEpoch;
    this.vdl = control.vdl;
    this.generation = control.generation;
    this.durableScl = control.logFloor;
    this.#manifestFloor = control.logFloor;
    this.requiredScl = control.hydration?.begun === false ? control.hydration.target : (0 as Lsn);
    this.#chain = new PlacedChain({ base: control.logFloor, ranges: control.ranges, watcher: this });
  }

  get chain(): PlacedChain {
    return this.#chain;
  }

  /** Of the membership epoch, in the writer's order. */
  get members(): readonly MemberAddress[] {
    return this.#members;
  }

  /** The group goes on without this node: it keeps what it has and talks to nobody of it. */
  get retired(): boolean {
    return this.#retiredAt !== undefined;
  }

  get hydration(): Hydration | undefined {
    return this.#hydration;
  }

  /** A newcomer that does not hold everything yet. */
  get hydrating(): boolean {
    return this.#hydration?.reason === 'newcomer';
  }

  /** No read below is right, because a page that came from a peer may contain records up to here. */
  get readFloor(): Lsn {
    return this.#readFloor;
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

  /** The SCL that others may count with (aurora.md trap 17). */
  get toldScl(): Lsn {
    return this.hydrating ? (0 as Lsn) : this.durableScl;
  }

  /** Up to where others may count with its pages: while those are being copied it needs the log from the first byte on. */
  get toldCoalesced(): Lsn {
    return this.#hydration ? (0 as Lsn) : this.coalesced;
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
    if (mutant('damage-is-low-scl')) return false;
    const faulty = this.fault !== undefined || this.pagesFault !== undefined || this.wounds.size > 0;
    return faulty || this.#hydration?.reason === 'rebuild' || this.#fallsShort;
  }

  /** The log of its peers cannot make it whole: what it had acknowledged nobody knows, or its own log contradicts itself. */
  get unknown(): boolean {
    if (mutant('damage-is-low-scl')) return false;
    return this.fault !== undefined || this.requiredScl === SCL_UNKNOWN;
  }

  /** A newcomer has yet to reach what is required; that it hydrates says so already. */
  get #fallsShort(): boolean {
    return this.chain.scl < this.requiredScl && (!this.hydrating || this.unknown);
  }

  /** The records at or below this are in no log file that replay needs: the newest manifest says so. */
  get manifestFloor(): Lsn {
    return this.#manifestFloor;
  }

  /** What goes with every refusal for an epoch: whoever is behind learns all that it needs. */
  get refusalDetail(): Readonly<Record<string, unknown>> {
    return { ...this.epochs, members: this.#members };
  }

  /** Refuses a caller whose epochs are not this segment's. @throws STORAGE_STALE_EPOCH, _UNFENCED, _STALE_MEMBERSHIP */
  demandEpochs(what: string, given: Epochs): void {
    const own = this.epochs;
    const ofMembership = given.membershipEpoch === own.membershipEpoch || mutant('stale-membership-accepted');
    if (given.volumeEpoch === own.volumeEpoch && ofMembership) return;
    const more = { detail: this.refusalDetail };
    if (given.volumeEpoch < own.volumeEpoch)
      throw storageErrors.STORAGE_STALE_EPOCH([what, given.volumeEpoch, own.volumeEpoch], more);
    if (given.volumeEpoch > own.volumeEpoch)
      throw storageErrors.STORAGE_UNFENCED([given.volumeEpoch, own.volumeEpoch], more);
    throw storageErrors.STORAGE_STALE_MEMBERSHIP([given.membershipEpoch, own.membershipEpoch], more);
  }

  /**
   * Refuses a fence that is older than one already obeyed, or whose membership cannot be this node's.
   * @throws STORAGE_STALE_EPOCH, STORAGE_STALE_MEMBERSHIP, STORAGE_NOT_A_MEMBER, STORAGE_MEMBERSHIP_CONFLICT
   */
  demandFence(given: Omit<Fence, 'ranges'>, self: NodeId): void {
    const own = this.epochs;
    const { members, membershipEpoch } = given;
    const more = { detail: this.refusalDetail };
    if (given.volumeEpoch < own.volumeEpoch)
      throw storageErrors.STORAGE_STALE_EPOCH(['fence', given.volumeEpoch, own.volumeEpoch], more);
    if (membershipEpoch < own.membershipEpoch)
      throw storageErrors.STORAGE_STALE_MEMBERSHIP([membershipEpoch, own.membershipEpoch], more);
    if (membershipEpoch > own.membershipEpoch) {
      const place = members.find(({ node }) => node === self);
      if (!place) throw storageErrors.STORAGE_NOT_A_MEMBER([self, membershipEpoch], more);
      // It was made for a group that never was: one of the other kind would count for pages that it never gets.
      if (place.kind === this.kind) return;
    } else if (members.length === 0 || sameMembers(members, this.#members)) return;
    const names = [nameMembers(this.#members), nameMembers(members)] as const;
    throw storageErrors.STORAGE_MEMBERSHIP_CONFLICT([membershipEpoch, ...names], more);
  }

  /** @throws STORAGE_LOG_DAMAGED, STORAGE_SEGMENT_UNKNOWN: unknown is never served */
  demandSound(): void {
    if (mutant('damage-is-low-scl')) return;
    if (this.fault) throw this.fault;
    if (this.#fallsShort) throw storageErrors.STORAGE_SEGMENT_UNKNOWN([this.volume, this.pg]);
  }

  /** Refuses to give what is not complete yet. @throws STORAGE_HYDRATING, and as `demandSound` does */
  demandComplete(): void {
    if (this.hydrating) throw storageErrors.STORAGE_HYDRATING([this.volume, this.pg]);
    this.demandSound();
  }

  /** @throws STORAGE_PAGES_DAMAGED, STORAGE_HYDRATING, and as `demandSound` does */
  demandPages(): void {
    if (this.pagesFault) throw this.pagesFault;
    if (this.#hydration) throw storageErrors.STORAGE_HYDRATING([this.volume, this.pg]);
    this.demandSound();
  }

  /** Nothing came to it yet, and nothing is known to be missing. */
  get isUntouched(): boolean {
    return this.chain.scl === 0 && this.chain.heldCount === 0 && !this.damaged && !this.#hydration;
  }

  /**
   * Whether it can be whole in no other way, where no other member has the log up to `dropped` any more, or has nothing to give up. A
   * newcomer fills itself.
   */
  startsOver(dropped: Lsn): boolean {
    return this.damaged || this.isUntouched || (!this.#hydration && this.chain.scl < dropped);
  }

  /**
   * Whether a writer left it that died before its group was in the registry, so that nobody can have counted with it: a newcomer
   * to the group begins as one, and one of the first six begins anew where its writer says that it may. What is sound and was
   * made for the same members is as good as new.
   * @throws STORAGE_STALE_MEMBERSHIP
   */
  givesWayTo(message: CreateSegment): boolean {
    const { kind, hydrate, anew, members, volumeEpoch, membershipEpoch } = message;
    const isLate = volumeEpoch < this.#volumeEpoch || membershipEpoch < this.#membershipEpoch;
    if (hydrate) return this.isUntouched && !isLate;
    if (this.chain.scl > 0 || this.chain.heldCount > 0) return false;
    const own = this.#membershipEpoch;
    const forSame = membershipEpoch === own && kind === this.kind && sameMembers(members, this.#members);
    if (!anew || (forSame && !this.damaged)) return false;
    if (membershipEpoch >= own) return true;
    throw storageErrors.STORAGE_STALE_MEMBERSHIP([membershipEpoch, own], { detail: this.refusalDetail });
  }

  /** Epochs only rise, and the members are those of the highest membership epoch; none given is no change. */
  adoptEpochs(epochs: Epochs, members: readonly MemberAddress[] = []): void {
    const { membershipEpoch } = epochs;
    if (members.length > 0 && membershipEpoch >= this.#membershipEpoch) this.#members = members;
    this.#volumeEpoch = laterEpoch(this.#volumeEpoch, epochs.volumeEpoch);
    this.#membershipEpoch = laterEpoch(this.#membershipEpoch, membershipEpoch);
    if (this.#retiredAt !== undefined && this.#membershipEpoch >= this.#retiredAt)
      this.#retiredAt = undefined;
  }

  /** Somebody who knows a later membership says that this node is no part of it. */
  learnRetirement(membershipEpoch: Epoch): void {
    if (membershipEpoch > this.#membershipEpoch) this.#retiredAt = membershipEpoch;
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
    const before = this.generation.lsn;
    this.generation = generation;
    // Pages of the same age: nothing that is lacking has changed.
    if (generation.lsn === before) return;
    const end = index.firstAbove(generation.lsn);
    for (let at = index.firstAbove(before); at < end; at++) this.#uncoalescedBytes -= index.lengthAt(at);
    this.#lastOfPage.clear();
    this.#deepestPage = 0;
    for (let at = end; at < index.end; at++) this.#link(at);
  }

  /** What its log says of copies from peers: they replace each other in the order of their generations. */
  copied(entry: Omit<CopiedEntry, 'id'>): void {
    const { generation, hydration, readFloor } = entry;
    assert(generation.number > this.generation.number, 'copies go by the number of their generation');
    const rebuild = hydration?.reason === 'rebuild';
    const restarts = hydration?.begun === true && (hydration.nextPage === 0 || !this.#hydration?.begun);
    this.#readFloor = higher(this.#readFloor, readFloor);
    this.#hydration = hydration;
    if (hydration?.begun === false) {
      this.requiredScl = hydration.target;
      this.fault = undefined;
    }
    this.learnPoints({ vdl: higher(readFloor, generation.lsn) });
    if (restarts) this.#restart(generation, { keepLog: rebuild });
    else this.completeGeneration(generation);
    // Whatever stood in the pages before is forgotten.
    this.pagesFault = undefined;
  }

  /** Base and pages begin anew. A newcomer's log does, too, but for what it has above the base. */
  #restart(generation: Generation, options: { keepLog: boolean }): void {
    this.generation = generation;
    this.lostPages.clear();
    this.#lastOfPage.clear();
    this.#deepestPage = 0;
    this.#uncoalescedBytes = 0;
    if (!options.keepLog) {
      const before = this.#chain;
      const ranges = before.truncation.known;
      this.#chain = new PlacedChain({ base: generation.lsn, ranges, watcher: this });
      this.#chain.takeOver(before);
      this.#chain.settle(this.vdl);
      this.durableScl = lower(this.durableScl, this.#chain.scl);
      return;
    }
    const { index } = this.chain;
    for (let at = index.firstAbove(generation.lsn); at < index.end; at++) this.added(at);
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
      members: [...this.members],
      ranges: this.chain.truncation.known,
      vdl: this.vdl,
      logFloor: this.#manifestFloor,
      // A newcomer has acknowledged nothing.
      acknowledgedScl: this.hydrating ? this.requiredScl : higher(this.chain.scl, this.requiredScl),
      heldThrough: higher(this.chain.highestHeld, this.requiredScl),
      generation: this.generation,
      readFloor: this.#readFloor,
      hydration: this.#hydration,
    };
  }

  /** The manifest made last is on the disk: forget where the records below its floor lie. */
  floorIsDurable(): void {
    this.chain.dropThrough(this.#manifestFloor);
  }
}

export function atSameEpochs(segment: Segment, other: Epochs): boolean {
  return other.volumeEpoch === segment.volumeEpoch && other.membershipEpoch === segment.membershipEpoch;
}

export function lower(a: Lsn, b: Lsn): Lsn {
  return a < b ? a : b;
}

export function higher(a: Lsn, b: Lsn): Lsn {
  return a > b ? a : b;
}
