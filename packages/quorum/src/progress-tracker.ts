/**
 * The writer's view of what is durable: SCLs from acks become PGCLs, the volume chain is walked to the VCL, and the last
 * consistency point on the way is the VDL (P18 §2.3). Nothing else in Rokka decides what may be acknowledged.
 *
 * - A PGCL comes from SCLs, never from counting acks of a record: a record can be on four members, none of which has the
 *   ones before it (aurora.md trap 5).
 * - The VCL is found by walking, record by record in LSN order, while each is at or below its group's PGCL. It is neither
 *   the least nor the greatest PGCL, and a group without records cannot hold it back (trap 4).
 * - PGCL, VCL and VDL never fall within one writer's life.
 *
 * LSNs are dense in one writer's life, so the outstanding records are a ring of 16-bit slots (group and CPL bit) indexed
 * by LSN: two bytes a record, no object, each record walked once for the VCL and once for the VDL.
 */
import { assert, must, mutant, type Lsn, type PgIndex } from '@rokka/kernel';
import { quorumErrors } from './errors.ts';
import { compilePoint, POINT_UNKNOWN, type Member, type QuorumExpression } from './expression.ts';

const CPL_BIT = 0x8000;
const PG_BITS = 0x7fff;
const WINDOW_MIN = 1024;
const WINDOW_MAX = 2 ** 25;

export interface TrackedGroup {
  readonly pg: PgIndex;
  /** Acks name members by their place in this list. */
  readonly members: readonly Member[];
  readonly write: QuorumExpression;
  /** Last record of the group that the recovery kept, 0 where there is none. */
  readonly lastLsn: Lsn;
  /** What is known of the members' SCLs, from recovery. */
  readonly scls?: ReadonlyMap<Member, Lsn>;
}

interface Group {
  readonly members: readonly Member[];
  readonly scls: Float64Array;
  readonly point: (scls: Float64Array) => number;
  pgcl: Lsn;
  /** Last record allocated, and last record at or below the VDL. */
  lastLsn: Lsn;
  lastDurableLsn: Lsn;
}

export class ProgressTracker {
  readonly #groups: Group[] = [];
  readonly #firstLsn: Lsn;
  #window = new Uint16Array(WINDOW_MIN);
  #vcl: Lsn;
  #vdl: Lsn;
  #lastLsn: Lsn;
  /** Next LSN to be allocated, to be judged for the VCL, to be passed by the VDL. */
  #next: Lsn;
  #vclNext: Lsn;
  #vdlNext: Lsn;
  /** Last consistency point at or below the VCL. */
  #lastCpl: Lsn;

  /** @param options.vdl what recovery found (0 for a new volume); @param options.nextLsn the first LSN of this writer */
  constructor(options: { vdl: Lsn; nextLsn: Lsn; groups: Iterable<TrackedGroup> }) {
    assert(options.nextLsn > options.vdl, 'a writer starts above what is durable');
    this.#firstLsn = options.nextLsn;
    this.#vcl = options.vdl;
    this.#vdl = options.vdl;
    this.#lastLsn = options.vdl;
    this.#lastCpl = options.vdl;
    this.#next = options.nextLsn;
    this.#vclNext = options.nextLsn;
    this.#vdlNext = options.nextLsn;
    for (const group of options.groups) this.setGroup(group);
  }

  get vcl(): Lsn {
    return this.#vcl;
  }

  get vdl(): Lsn {
    return this.#vdl;
  }

  /** Last LSN allocated, or the recovered VDL: the next record's link in the volume chain. */
  get lastLsn(): Lsn {
    return this.#lastLsn;
  }

  /** Last record of the group: the next one's link in the segment chain. */
  lastLsnOf(pg: PgIndex): Lsn {
    return this.#group(pg).lastLsn;
  }

  pgcl(pg: PgIndex): Lsn {
    return this.#group(pg).pgcl;
  }

  /** The highest SCL that a member has reported, undefined where it has not. */
  scl(pg: PgIndex, member: number): Lsn | undefined {
    const scl = must(this.#group(pg).scls[member], 'no such member');
    return scl === POINT_UNKNOWN ? undefined : (scl as Lsn);
  }

  /**
   * Adds a group, or gives it other members or another write rule. SCLs of members that stay are kept, and so is the
   * PGCL: it must not fall because a newcomer starts from nothing (trap 17). Answers whether the VDL advanced.
   */
  setGroup(group: TrackedGroup): boolean {
    assert(group.pg <= PG_BITS, () => `protection group ${group.pg} is beyond ${PG_BITS}`);
    const before = this.#groups[group.pg];
    const scls = Float64Array.from(group.members, (member) => {
      const place = before ? before.members.indexOf(member) : -1;
      const known = place < 0 ? POINT_UNKNOWN : (before?.scls[place] ?? POINT_UNKNOWN);
      return Math.max(known, group.scls?.get(member) ?? POINT_UNKNOWN);
    });
    const point = compilePoint(group.write, group.members);
    this.#groups[group.pg] = {
      members: [...group.members],
      scls,
      point,
      pgcl: Math.max(before?.pgcl ?? group.lastLsn, point(scls)) as Lsn,
      lastLsn: before?.lastLsn ?? group.lastLsn,
      lastDurableLsn: before?.lastDurableLsn ?? group.lastLsn,
    };
    return this.#advance();
  }

  /** A record was given `lsn`, which is the one after the last. */
  allocated(pg: PgIndex, lsn: Lsn, cpl: boolean): void {
    assert(lsn === this.#next, () => `LSN ${lsn} allocated, ${this.#next} is next`);
    const group = this.#group(pg);
    if (lsn - this.#vdlNext >= this.#window.length) this.#growWindow();
    this.#window[lsn & (this.#window.length - 1)] = cpl ? pg | CPL_BIT : pg;
    group.lastLsn = lsn;
    this.#lastLsn = lsn;
    this.#next = (lsn + 1) as Lsn;
  }

  /**
   * A member has every record of the group up to `scl` on its disk. Acks may be late, repeated or out of order. Answers
   * whether the VDL advanced.
   *
   * @throws QUORUM_IMPOSSIBLE_SCL where the writer has not made such a record
   */
  acknowledged(pg: PgIndex, member: number, scl: Lsn): boolean {
    const group = this.#group(pg);
    const known = must(group.scls[member], 'no such member');
    if (scl <= known) return false;
    // Below the writer's first LSN a member may still stand on records that its truncation is about to take away: it has
    // everything that was kept, and they count for nothing above.
    if (scl > group.lastLsn && scl >= this.#firstLsn)
      throw quorumErrors.QUORUM_IMPOSSIBLE_SCL([pg, must(group.members[member]), scl, group.lastLsn]);
    group.scls[member] = scl;
    // Who holds more than the group is complete to is still the same.
    if (scl <= group.pgcl) return false;
    const point = group.point(group.scls);
    if (point <= group.pgcl) return false;
    group.pgcl = point as Lsn;
    return this.#advance();
  }

  /** A member no longer has what it said it has. What was durable by its word stays so; its next word counts from nothing. */
  forgot(pg: PgIndex, member: number): void {
    const { scls } = this.#group(pg);
    assert(member in scls, 'no such member');
    scls[member] = POINT_UNKNOWN;
  }

  /**
   * The read point of a volume translated to one group: its last record at or below `lsn`, which a segment's SCL must
   * have reached (trap 23). For the VDL, or for anything from there to the last LSN; below it only the VDL's answer is
   * kept, and is never too low.
   */
  lastLsnAtOrBelow(pg: PgIndex, lsn: Lsn): Lsn {
    const group = this.#group(pg);
    if (lsn >= group.lastLsn) return group.lastLsn;
    for (let at = lsn; at >= this.#vdlNext; at--) {
      if ((this.#slot(at) & PG_BITS) === pg) return at;
    }
    return group.lastDurableLsn;
  }

  /** Walks the volume chain over everything that has become complete. */
  #advance(): boolean {
    let lsn = this.#vclNext;
    for (; lsn < this.#next; lsn++) {
      const slot = this.#slot(lsn);
      if (lsn > this.#completeThrough(slot & PG_BITS)) break;
      if (slot & CPL_BIT) this.#lastCpl = lsn;
    }
    if (lsn === this.#vclNext) return false;
    this.#vclNext = lsn;
    this.#vcl = (lsn - 1) as Lsn;
    const durable = mutant('ack-at-vcl') ? this.#vcl : this.#lastCpl;
    if (durable <= this.#vdl) return false;
    this.#vdl = durable;
    for (let at = this.#vdlNext; at <= this.#vdl; at++)
      this.#groups[this.#slot(at) & PG_BITS].lastDurableLsn = at;
    this.#vdlNext = (this.#vdl + 1) as Lsn;
    return true;
  }

  #completeThrough(pg: number): Lsn {
    const pgcls = () => this.#groups.map(({ pgcl }) => pgcl);
    if (mutant('vcl-min-pgcl')) return Math.min(...pgcls()) as Lsn;
    if (mutant('vcl-max-pgcl')) return Math.max(...pgcls()) as Lsn;
    return this.#groups[pg].pgcl;
  }

  /** `&` takes its operands modulo 2^32, which is exact for every safe integer. */
  #slot(lsn: Lsn): number {
    return this.#window[lsn & (this.#window.length - 1)];
  }

  #growWindow(): void {
    const window = new Uint16Array(this.#window.length * 2);
    assert(window.length <= WINDOW_MAX, 'the writer ran past its allocation limit');
    for (let at = this.#vdlNext; at < this.#next; at++) window[at & (window.length - 1)] = this.#slot(at);
    this.#window = window;
  }

  #group(pg: PgIndex): Group {
    return must(this.#groups[pg], 'protection group is not tracked');
  }
}
