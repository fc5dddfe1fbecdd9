/**
 * Crash recovery as a state machine without I/O. Its driver raises the volume epoch in the registry, then sends fences
 * and feeds in what comes back, in any order and as often as it likes:
 *
 * 1. Fence every member of every group. An answer counts only if it carries this recovery's epoch: the node made the epoch
 *    durable and read its state in one step (aurora.md trap 1). `canTrust(pg)` tells when a group has a read quorum.
 * 2. When all have, `decision()` is made, once; nothing that comes later changes it.
 * 3. Fence every member again, at the same epoch, with `decision.ranges`. It answers with its chain clipped; where ranges
 *    cut, only this shows the exact last kept record of a group, which the next record's link must name (trap 8).
 * 4. Carry out `repairs()`, until a write quorum of every group has everything that was kept (trap 3); feed in the states.
 * 5. `canServe()`: fence, range and records are on a write quorum of every group (trap 2). `start()` is what the writer
 *    begins with. One unfenced group would be enough for the old writer to go on.
 *
 * Fault model: any member may never answer, answer late, answer twice, be damaged, or hydrate as a newcomer (then it is
 * unknown, never "has not": traps 14, 17). If every holder of a group's last record is lost between 2 and 4, members that
 * answer later may have it as well. Where those who answered are a read quorum without it, `isOutdated()`: it was never
 * acknowledged, and another recovery, under a new epoch, decides anew from whoever is left.
 */
import { assert, must, mutant, type Epoch, type Lsn, type PgIndex } from '@rokka/kernel';
import { quorumErrors } from './errors.ts';
import { membersOf, satisfied, type Member } from './expression.ts';
import type { QuorumFormulas } from './formulas.ts';
import { LSN_ALLOCATION_LIMIT } from './lsn-allocator.ts';
import { decideRecovery, isKnown, type RecoveryDecision, type SegmentAnswer } from './recovery-decision.ts';
import type { TruncationRange } from './truncation.ts';

export interface RecoveringGroup {
  readonly pg: PgIndex;
  /** In a joint membership those of `joint`: reads must satisfy both sides. */
  readonly formulas: QuorumFormulas;
}

/** `member` lacks the records in (after, through]; each of `sources` has them, and there is one at least. */
export interface Repair {
  readonly pg: PgIndex;
  readonly member: Member;
  readonly after: Lsn;
  readonly through: Lsn;
  readonly sources: readonly Member[];
}

/** A group that recovery waits for, and the members that do not count yet. */
export interface Lack {
  readonly pg: PgIndex;
  readonly lacks: 'read quorum' | 'last kept record' | 'write quorum';
  readonly members: readonly Member[];
}

/** What the new writer begins with. */
export interface VolumeStart {
  readonly volumeEpoch: Epoch;
  readonly vdl: Lsn;
  readonly nextLsn: Lsn;
  readonly ranges: readonly TruncationRange[];
  /** `lastLsn` is each group's last kept record, 0 where there is none. */
  readonly groups: readonly { pg: PgIndex; lastLsn: Lsn; scls: ReadonlyMap<Member, Lsn> }[];
}

interface Group {
  formulas: QuorumFormulas;
  members: readonly Member[];
  readonly answers: Map<Member, SegmentAnswer>;
}

export class Recovery {
  readonly #volumeEpoch: Epoch;
  readonly #allocationLimit: number;
  readonly #ranges: readonly TruncationRange[];
  readonly #groups: ReadonlyMap<PgIndex, Group>;
  #decision: RecoveryDecision | undefined;

  /**
   * @param options.groups every group of the volume's geometry
   * @param options.allocationLimit in records; the largest that was ever in force for this volume
   * @param options.ranges ranges known from elsewhere, such as the registry
   */
  constructor(options: {
    volumeEpoch: Epoch;
    groups: Iterable<RecoveringGroup>;
    allocationLimit?: number;
    ranges?: Iterable<TruncationRange>;
  }) {
    this.#volumeEpoch = options.volumeEpoch;
    this.#allocationLimit = options.allocationLimit ?? LSN_ALLOCATION_LIMIT;
    this.#ranges = [...(options.ranges ?? [])];
    const groups = [...options.groups].map(({ pg, formulas }): [PgIndex, Group] => {
      return [pg, { formulas, members: membersIn(formulas), answers: new Map() }];
    });
    this.#groups = new Map(groups);
    assert(groups.length > 0 && this.#groups.size === groups.length, 'groups of a volume, once each');
  }

  /**
   * A member's answer to a fence of this recovery, the first or a later one; the latest counts.
   *
   * @throws QUORUM_SUPERSEDED (stop: another recovery has begun), QUORUM_UNFENCED, QUORUM_LOST_WRITES,
   * QUORUM_IMPOSSIBLE_SCL
   */
  answered(pg: PgIndex, member: Member, answer: SegmentAnswer): void {
    const group = this.#group(pg);
    assert(group.members.includes(member), () => `${member} is not a member of protection group ${pg}`);
    if (answer.volumeEpoch > this.#volumeEpoch)
      throw quorumErrors.QUORUM_SUPERSEDED([pg, member, answer.volumeEpoch, this.#volumeEpoch]);
    if (answer.volumeEpoch < this.#volumeEpoch)
      throw quorumErrors.QUORUM_UNFENCED([pg, member, answer.volumeEpoch, this.#volumeEpoch]);
    const decision = this.#decision;
    if (decision && isKnown(answer)) {
      if (answer.vdl > decision.vdl)
        throw quorumErrors.QUORUM_LOST_WRITES([pg, member, answer.vdl, decision.vdl]);
      if (knows(answer, decision.range) && answer.scl > decision.vdl)
        throw quorumErrors.QUORUM_IMPOSSIBLE_SCL([pg, member, answer.scl, decision.vdl]);
    }
    group.answers.set(member, answer);
  }

  /**
   * The group's membership has changed while it recovers (membership.ts `forceReplacement`, `giveUpReplacement`). What was decided
   * stands: the read rule asks for no less than before, or no more writes can have been completed than the new one sees. Who may
   * serve is counted by the new write rule.
   */
  reform(pg: PgIndex, formulas: QuorumFormulas): void {
    const group = this.#group(pg);
    group.formulas = formulas;
    group.members = membersIn(formulas);
    for (const member of group.answers.keys())
      if (!group.members.includes(member)) group.answers.delete(member);
  }

  /** Members of the group that are fenced and known. */
  knownIn(pg: PgIndex): Set<Member> {
    const { answers } = this.#group(pg);
    return new Set([...answers].filter(([, answer]) => isKnown(answer)).map(([member]) => member));
  }

  /** Whether undamaged, fenced members that answered are a read quorum of the group. */
  canTrust(pg: PgIndex): boolean {
    const { formulas, answers } = this.#group(pg);
    return satisfied(formulas.read, (member) => this.#known(answers.get(member)));
  }

  /**
   * What is kept and what is annulled, as soon as every group can be trusted; undefined before.
   *
   * @throws QUORUM_SPLIT_HISTORY, QUORUM_BAD_TAIL, QUORUM_RANGE_BELOW_DURABLE, QUORUM_RANGE_CONFLICT
   */
  decision(): RecoveryDecision | undefined {
    if (this.#decision) return this.#decision;
    const pgs = [...this.#groups.keys()];
    if (!pgs.every((pg) => this.canTrust(pg))) return undefined;
    this.#decision = decideRecovery({
      volumeEpoch: this.#volumeEpoch,
      allocationLimit: this.#allocationLimit,
      ranges: this.#ranges,
      groups: pgs.map((pg) => ({
        pg,
        answers: new Map([...this.#group(pg).answers].filter(([, answer]) => isKnown(answer))),
      })),
    });
    return this.#decision;
  }

  /**
   * Last record of the group that is kept; undefined until it is known. Where ranges cut away all that the holders listed, they
   * were told that what lies below is durable: it is known when a holder, or else a read quorum, has answered with the range applied.
   */
  lastKept(pg: PgIndex): Lsn | undefined {
    const decided = this.#decision?.groups.get(pg);
    if (!decided || decided.lastKept !== undefined) return decided?.lastKept;
    const holder = decided.holders.find((member) => this.#clipped(pg, member));
    if (holder !== undefined) return this.#clipped(pg, holder)?.scl;
    const { formulas, members } = this.#group(pg);
    if (!satisfied(formulas.read, (member) => this.#clipped(pg, member) !== undefined)) return undefined;
    const scls = members.map((member) => this.#clipped(pg, member)?.scl ?? 0);
    return Math.max(...scls) as Lsn;
  }

  /**
   * Whether a read quorum of some group has answered with the range applied, and nobody has what was to be kept.
   * @param isThere who can still give it: a member may have answered and be gone since
   */
  isOutdated(isThere: (member: Member) => boolean): boolean {
    return [...this.#groups].some(([pg, { formulas, members }]) => {
      const reads = satisfied(formulas.read, (member) => this.#clipped(pg, member) !== undefined);
      const isWhole = this.#servable(pg);
      return reads && !isWhole && !members.some((member) => isThere(member) && this.#complete(pg, member));
    });
  }

  /** What must be copied for every member that answered to be complete; a write quorum of each group is enough to serve. */
  repairs(): Repair[] {
    const repairs: Repair[] = [];
    for (const [pg, group] of this.#groups) {
      const through = this.lastKept(pg);
      if (through === undefined) continue;
      const sources = group.members.filter((member) => this.#complete(pg, member));
      if (sources.length === 0) continue;
      for (const member of group.members) {
        const answer = this.#clipped(pg, member);
        if (answer && answer.scl < through) repairs.push({ pg, member, after: answer.scl, through, sources });
      }
    }
    return repairs;
  }

  /** Whether fence, truncation range and every kept record are on a write quorum of every group. */
  canServe(): boolean {
    return [...this.#groups.keys()].every((pg) => this.#servable(pg));
  }

  /** What stands between now and the next step, for whoever chases members or explains the wait. */
  waitingFor(): Lack[] {
    const lacks: Lack[] = [];
    for (const [pg, { members, answers }] of this.#groups) {
      if (!this.canTrust(pg)) {
        const unknown = members.filter((member) => !this.#known(answers.get(member)));
        lacks.push({ pg, lacks: 'read quorum', members: unknown });
      } else if (this.#decision && this.lastKept(pg) === undefined) {
        const holders = must(this.#decision.groups.get(pg)).holders;
        lacks.push({ pg, lacks: 'last kept record', members: holders });
      } else if (this.#decision && !this.#servable(pg)) {
        const behind = members.filter((member) => !this.#complete(pg, member));
        lacks.push({ pg, lacks: 'write quorum', members: behind });
      }
    }
    return lacks;
  }

  /** Where the new writer begins. Only after `canServe`. */
  start(): VolumeStart {
    assert(this.canServe(), 'a volume may serve only when a write quorum of every group is whole');
    const { vdl, nextLsn, ranges } = must(this.#decision);
    const groups = [...this.#groups].map(([pg, { answers }]) => {
      const clipped = [...answers].filter(([member]) => this.#clipped(pg, member));
      const scls = new Map(clipped.map(([member, { scl }]) => [member, scl]));
      return { pg, lastLsn: must(this.lastKept(pg)), scls };
    });
    return { volumeEpoch: this.#volumeEpoch, vdl, nextLsn, ranges, groups };
  }

  #servable(pg: PgIndex): boolean {
    if (mutant('no-re-replication'))
      return satisfied(this.#group(pg).formulas.write, (member) => this.#clipped(pg, member) !== undefined);
    if (mutant('serve-on-read-quorum'))
      return satisfied(this.#group(pg).formulas.read, (member) => this.#complete(pg, member));
    return satisfied(this.#group(pg).formulas.write, (member) => this.#complete(pg, member));
  }

  #complete(pg: PgIndex, member: Member): boolean {
    const kept = this.lastKept(pg);
    const answer = this.#clipped(pg, member);
    return kept !== undefined && answer !== undefined && answer.scl >= kept;
  }

  #known(answer: SegmentAnswer | undefined): boolean {
    return answer !== undefined && isKnown(answer);
  }

  /** The member's answer, if it is sound and was given with this recovery's range applied. */
  #clipped(pg: PgIndex, member: Member): SegmentAnswer | undefined {
    const answer = this.#group(pg).answers.get(member);
    if (!answer || !isKnown(answer) || !this.#decision) return undefined;
    return knows(answer, this.#decision.range) ? answer : undefined;
  }

  #group(pg: PgIndex): Group {
    return must(this.#groups.get(pg), 'protection group is not part of this recovery');
  }
}

function membersIn({ write, read }: QuorumFormulas): Member[] {
  return [...new Set([...membersOf(write), ...membersOf(read)])];
}

function knows(answer: SegmentAnswer, range: TruncationRange): boolean {
  return answer.ranges.some(
    (known) =>
      known.volumeEpoch === range.volumeEpoch &&
      known.after === range.after &&
      known.through === range.through,
  );
}
