/**
 * What one segment knows of its chain of records: which came without a gap (up to the SCL), which wait above a hole, and
 * which LSNs recoveries have annulled. Records come in any order and more than once; only their two links matter here.
 *
 * Invariants: every record of the protection group from the base to the SCL was accepted; the SCL is the LSN of a record
 * (or the base) and never annulled; it falls only by a truncation.
 */
import { assert, mutant, type Lsn } from '@rokka/kernel';
import { AscendingRing } from './ascending-ring.ts';
import { quorumErrors } from './errors.ts';
import { Truncation, type TruncationRange } from './truncation.ts';

/**
 * - `appended`: the SCL advanced, by this record and any that waited for it;
 * - `held`: kept above a hole;
 * - `duplicate`: known already, or at or below the SCL;
 * - `annulled`: it, or the record before it, lies in a truncation range: drop it;
 * - `full`: too many wait above holes: drop it, gossip brings it again in order;
 * - `contradicts`: its links disagree with the chain. Either it is damaged or this segment has not heard of a truncation:
 *   drop it and ask for the ranges.
 */
export type Acceptance = 'appended' | 'held' | 'duplicate' | 'annulled' | 'full' | 'contradicts';

/** Records in (after, through] are missing, `through` is known to exist: what to fetch from a peer. */
export interface ChainHole {
  readonly after: Lsn;
  readonly through: Lsn;
}

export const ISLANDS_MAX = 65_536;

export class SegmentChain {
  #scl: Lsn;
  /** Last record that can never be truncated: the base, or the last at or below the highest VDL told. */
  #floor: Lsn;
  /** A VDL that was told before the chain had come so far. */
  #settling: Lsn | undefined;
  /** The chain's LSNs above the floor: where the SCL falls back to when a truncation cuts it. */
  readonly #tail = new AscendingRing();
  /** Records above holes, by the record before them. */
  readonly #islands = new Map<Lsn, Lsn>();
  readonly #islandsMax: number;
  #truncation: Truncation;
  #top: Lsn;

  /** @param options.base the segment has everything up to this record and it is durable for ever */
  constructor(options: { base: Lsn; ranges?: Iterable<TruncationRange>; islandsMax?: number }) {
    this.#scl = options.base;
    this.#floor = options.base;
    this.#islandsMax = options.islandsMax ?? ISLANDS_MAX;
    this.#truncation = Truncation.of(options.ranges ?? []);
    this.#top = this.#truncation.top;
    this.#demandKept();
  }

  get scl(): Lsn {
    return this.#scl;
  }

  /** Every truncation range this segment has heard of, by epoch. */
  get truncation(): Truncation {
    return this.#truncation;
  }

  get islandCount(): number {
    return this.#islands.size;
  }

  /** Takes note of a record. The next in order costs no search and no allocation; hence two bare arguments. */
  accept(lsn: Lsn, previousPgLsn: Lsn): Acceptance {
    // The SCL is not annulled, so a link to it is not either; above the top range, nor is the record.
    if (previousPgLsn !== this.#scl || lsn <= this.#top || lsn <= previousPgLsn)
      return this.#acceptOther(lsn, previousPgLsn);
    this.#append(lsn);
    if (this.#islands.size > 0) this.#drain();
    return 'appended';
  }

  /** Whether a truncation forbids the record: it lies in a range, or follows one that does. */
  annuls(lsn: Lsn, previousPgLsn: Lsn): boolean {
    return this.#truncation.covers(lsn) || this.#truncation.covers(previousPgLsn);
  }

  /**
   * A writer says that everything up to `vdl` is durable, so no truncation will reach below it. That holds for this chain
   * only once it has come as far: one that has not heard of the last truncation may end in records that are annulled.
   */
  settle(vdl: Lsn): void {
    // A chain that always lags a little still passes the VDL that it was told a while ago.
    if (this.#settling !== undefined && this.#settling <= this.#scl) {
      this.#raiseFloor(this.#settling);
      this.#settling = undefined;
    }
    if (vdl <= this.#scl) this.#raiseFloor(vdl);
    else this.#settling ??= vdl;
  }

  /**
   * Takes note of truncation ranges, before anything else is accepted, served or told to peers. Answers whether the SCL
   * fell; records for which `annuls` answers true are to be forgotten.
   *
   * @throws QUORUM_RANGE_BELOW_DURABLE, QUORUM_RANGE_CONFLICT; then nothing has changed
   */
  truncate(ranges: Iterable<TruncationRange>): boolean {
    const before = this.#truncation;
    this.#truncation = before.with(ranges);
    if (this.#truncation === before) return false;
    try {
      this.#demandKept();
    } catch (error) {
      this.#truncation = before;
      throw error;
    }
    this.#top = this.#truncation.top;
    const scl = this.#scl;
    this.#clip();
    for (const [previous, lsn] of this.#islands)
      if (this.annuls(lsn, previous)) this.#islands.delete(previous);
    const fell = this.#scl < scl;
    this.#drain();
    return fell;
  }

  /** The writer of this epoch serves: ranges that it has made meaningless may be forgotten (see Truncation.served). */
  served(volumeEpoch: TruncationRange['volumeEpoch']): void {
    this.#truncation = this.#truncation.served(volumeEpoch);
  }

  /** Last record of the chain at or below `lsn`, which must not be below what was settled. */
  lastAtOrBelow(lsn: Lsn): Lsn {
    assert(lsn >= this.#floor, () => `LSN ${lsn} is below the settled ${this.#floor}`);
    const count = this.#tail.countThrough(lsn);
    return count === 0 ? this.#floor : (this.#tail.at(count - 1) as Lsn);
  }

  /**
   * The chain's records above `lsn`, in order; `lsn` must not be below what was settled. What a segment says of itself
   * (SegmentState.tail) is this and not "all records up to the SCL": one that waited above a hole may belong to a branch
   * that a truncation, not heard of yet, has cut off, and the chain has gone past it.
   */
  above(lsn: Lsn): Lsn[] {
    assert(lsn >= this.#floor, () => `LSN ${lsn} is below the settled ${this.#floor}`);
    const lsns: Lsn[] = [];
    for (let i = this.#tail.countThrough(lsn); i < this.#tail.length; i++) lsns.push(this.#tail.at(i) as Lsn);
    return lsns;
  }

  /** The holes below the records that wait, lowest first; those above all of them only peers can tell. */
  holes(limit: number): ChainHole[] {
    const holes: ChainHole[] = [];
    let end = this.#scl;
    for (const [previous, lsn] of [...this.#islands].sort((a, b) => a[0] - b[0])) {
      if (previous > end) holes.push({ after: end, through: previous });
      if (holes.length === limit) break;
      if (lsn > end) end = lsn;
    }
    return holes;
  }

  #acceptOther(lsn: Lsn, previousPgLsn: Lsn): Acceptance {
    if (lsn <= previousPgLsn) return 'contradicts';
    if (this.annuls(lsn, previousPgLsn) && !mutant('annulled-records-count')) return 'annulled';
    if (lsn <= this.#scl) return 'duplicate';
    if (previousPgLsn === this.#scl) {
      this.#append(lsn);
      this.#drain();
      return 'appended';
    }
    if (previousPgLsn < this.#scl) return 'contradicts';
    const held = this.#islands.get(previousPgLsn);
    if (held !== undefined) return held === lsn ? 'duplicate' : 'contradicts';
    if (this.#islands.size >= this.#islandsMax) return 'full';
    this.#islands.set(previousPgLsn, lsn);
    return 'held';
  }

  #append(lsn: Lsn): void {
    this.#tail.push(lsn);
    this.#scl = lsn;
  }

  #drain(): void {
    for (let next = this.#islands.get(this.#scl); next !== undefined; next = this.#islands.get(this.#scl)) {
      this.#islands.delete(this.#scl);
      this.#append(next);
    }
  }

  #raiseFloor(vdl: Lsn): void {
    const count = this.#tail.countThrough(vdl);
    if (count === 0) return;
    this.#floor = this.#tail.at(count - 1) as Lsn;
    this.#tail.dropLowest(count);
  }

  /** Everything after an annulled record hangs on it, so the chain ends before the first. */
  #clip(): void {
    if (mutant('scl-not-clipped')) return;
    for (let i = 0; i < this.#tail.length; i++) {
      if (!this.#truncation.covers(this.#tail.at(i) as Lsn)) continue;
      this.#tail.keepLowest(i);
      this.#scl = i === 0 ? this.#floor : (this.#tail.at(i - 1) as Lsn);
      return;
    }
  }

  #demandKept(): void {
    const range = this.#truncation.covering(this.#floor);
    if (range) throw quorumErrors.QUORUM_RANGE_BELOW_DURABLE([range.after, range.through, this.#floor]);
  }
}
