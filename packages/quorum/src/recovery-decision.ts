/**
 * What a recovery decides, as one pure function of what the fenced segments answered (P17 §4.3, P18 §2.4).
 *
 * - Each group's PGCL is the greatest SCL of its read quorum, not the fourth: what only one member shows may have been
 *   acknowledged by three that did not answer (aurora.md trap 3).
 * - The VCL is found by walking the volume chain link by link from the highest VDL that any segment was told. A record that
 *   was lost everywhere shows only as a link that leads nowhere (trap 4).
 * - The VDL is the last consistency point on that walk, so mini-transactions are whole or absent.
 * - The range reaches as far as any LSN can have been allocated, and further than every older range, so that whoever sees
 *   both knows that this decision was made in the knowledge of those (truncation.ts).
 */
import { asLsn, must, mutant, type Epoch, type Lsn, type PgIndex } from '@rokka/kernel';
import { quorumErrors } from './errors.ts';
import type { Member } from './expression.ts';
import { Truncation, type TruncationRange } from './truncation.ts';

export interface TailRecord {
  readonly lsn: Lsn;
  readonly previousVolumeLsn: Lsn;
  readonly cpl: boolean;
}

/** A segment's answer to a fence; the storage package's SegmentState has this shape. */
export interface SegmentAnswer {
  readonly volumeEpoch: Epoch;
  readonly scl: Lsn;
  /** Highest VDL that a writer told it: durable for ever. */
  readonly vdl: Lsn;
  readonly ranges: readonly TruncationRange[];
  /** Its records above `vdl` up to `scl`, in chain order. */
  readonly tail: readonly TailRecord[];
  readonly damaged: boolean;
  /** A newcomer that does not hold everything yet: unknown as well (aurora.md trap 17). */
  readonly hydrating?: boolean;
}

/** Whether what the member says of its chain is the truth about it. */
export function isKnown(answer: SegmentAnswer): boolean {
  return !answer.damaged && (answer.hydrating !== true || mutant('hydrating-is-empty'));
}

/** The answers of one group that may be trusted: fenced, undamaged, together a read quorum. */
export interface TrustedGroup {
  readonly pg: PgIndex;
  readonly answers: ReadonlyMap<Member, SegmentAnswer>;
}

export interface DecidedGroup {
  /** The group is complete at least to here; where ranges cut a segment's tail, its chain may end a little lower. */
  readonly pgcl: Lsn;
  /** Members that have every record of the group at or below the VDL. */
  readonly holders: readonly Member[];
  /** Last record of the group that is kept, 0 where there is none; undefined where ranges cut away all that was listed. */
  readonly lastKept: Lsn | undefined;
}

export interface RecoveryDecision {
  readonly vcl: Lsn;
  readonly vdl: Lsn;
  /** To be made durable on a write quorum of every group before anything is written. */
  readonly range: TruncationRange;
  /** `range` and all older ones: what fences and newcomers are to be told from now on. */
  readonly ranges: readonly TruncationRange[];
  /** First LSN of the new writer. */
  readonly nextLsn: Lsn;
  readonly groups: ReadonlyMap<PgIndex, DecidedGroup>;
}

/** One member's answer without what ranges annul. */
interface Reach {
  readonly member: Member;
  readonly vdl: Lsn;
  readonly records: readonly TailRecord[];
  /** The member has every valid record of its group up to here. */
  readonly completeThrough: Lsn;
  /** Where its chain ends, if no range cuts it. */
  readonly end: Lsn | undefined;
}

/**
 * @param options.allocationLimit the largest that was ever in force, in records
 * @param options.ranges ranges known from elsewhere, such as the registry
 * @throws QUORUM_SPLIT_HISTORY, QUORUM_BAD_TAIL, QUORUM_RANGE_BELOW_DURABLE, QUORUM_RANGE_CONFLICT
 */
export function decideRecovery(options: {
  volumeEpoch: Epoch;
  allocationLimit: number;
  ranges: Iterable<TruncationRange>;
  groups: readonly TrustedGroup[];
}): RecoveryDecision {
  const { volumeEpoch, allocationLimit, groups } = options;
  let truncation = Truncation.of(options.ranges);
  let hint = asLsn(0);
  for (const { answers } of groups) {
    for (const { ranges, vdl } of answers.values()) {
      truncation = truncation.with(ranges);
      if (vdl > hint) hint = vdl;
    }
  }
  const reached = groups.map(({ pg, answers }) => ({ pg, reaches: reachesOf({ pg, answers, truncation }) }));
  const place = (reaches: readonly Reach[]) =>
    mutant('fourth-highest-scl') ? Math.min(3, reaches.length - 1) : 0;
  const best = reached.map(({ reaches }) => must(reaches[place(reaches)], 'a trusted group has answers'));
  const { vcl, vdl } = walk(
    hint,
    best.flatMap(({ records }) => records),
  );

  // Void ranges count too: it costs nothing to end above them.
  const top = truncation.known.reduce((top, { through }) => Math.max(top, through), vdl as number);
  const reach = mutant('short-range') ? 1 : allocationLimit;
  const range = { volumeEpoch, after: vdl, through: asLsn(top + reach) };
  const decided = reached.map(({ pg, reaches }, index): [PgIndex, DecidedGroup] => {
    const pgcl = best[index].completeThrough;
    const needed = Math.min(pgcl, vdl);
    const holders = reaches.filter(({ completeThrough }) => completeThrough >= needed);
    // Each holder has all that is kept, so whichever of them shows the last of it is right.
    const shown = holders.map((holder) => lastRecord(holder, vdl));
    const lastKept = shown.find((lsn) => lsn !== undefined);
    return [pg, { pgcl, holders: holders.map(({ member }) => member), lastKept }];
  });
  return {
    vcl,
    vdl,
    range,
    ranges: truncation.with([range]).known,
    nextLsn: asLsn(mutant('reuse-lsns') ? vdl + 1 : range.through + 1),
    groups: new Map(decided),
  };
}

/** The members' valid chains, the longest first. All are of one history, so each is a part of the longest. */
function reachesOf(group: TrustedGroup & { truncation: Truncation }): Reach[] {
  const { pg, answers, truncation } = group;
  const reaches = [...answers].map(([member, answer]) => reachOf(member, answer, truncation));
  reaches.sort((a, b) => b.completeThrough - a.completeThrough);
  for (const reach of reaches) demandOneHistory(pg, reach, must(reaches[0]));
  return reaches;
}

function reachOf(member: Member, answer: SegmentAnswer, truncation: Truncation): Reach {
  const { vdl, scl, tail } = answer;
  const annulsDurable = truncation.covering(vdl);
  if (annulsDurable) {
    const { after, through } = annulsDurable;
    throw quorumErrors.QUORUM_RANGE_BELOW_DURABLE([after, through, vdl]);
  }
  // What follows an annulled record hangs on it. Up to the start of the range the member has everything.
  const cut = tail.findIndex(({ lsn }) => truncation.covers(lsn));
  const records = cut < 0 ? tail : tail.slice(0, cut);
  const stray = cut < 0 ? undefined : tail.slice(cut).find(({ lsn }) => !truncation.covers(lsn));
  if (stray) throw quorumErrors.QUORUM_BAD_TAIL([member, stray.lsn, tail[cut].lsn]);
  const annuls = truncation.covering(cut < 0 ? scl : tail[cut].lsn);
  return {
    member,
    vdl,
    records,
    completeThrough: annuls ? annuls.after : scl,
    end: annuls ? undefined : scl,
  };
}

/** The member's last record at or below `vdl`, if its answer shows it: the tail begins above what it was told is durable. */
function lastRecord({ records, end }: Reach, vdl: Lsn): Lsn | undefined {
  const listed = records.findLast(({ lsn }) => lsn <= vdl);
  if (listed) return listed.lsn;
  return end !== undefined && end <= vdl ? end : undefined;
}

/** Two segments that hold one LSN hold the same record (aurora.md I4); else no choice between them would be safe. */
function demandOneHistory(pg: PgIndex, reach: Reach, best: Reach): void {
  let at = 0;
  for (const record of reach.records) {
    // Below its own hint the longest chain no longer lists its records.
    if (record.lsn <= best.vdl) continue;
    while (at < best.records.length && best.records[at].lsn < record.lsn) at++;
    const twin = best.records[at];
    if (
      twin?.lsn !== record.lsn ||
      twin.previousVolumeLsn !== record.previousVolumeLsn ||
      twin.cpl !== record.cpl
    )
      throw quorumErrors.QUORUM_SPLIT_HISTORY([pg, record.lsn, reach.member, best.member]);
  }
}

/** Along the volume chain from `hint`, which is durable, as far as links and records agree. */
function walk(hint: Lsn, records: TailRecord[]): { vcl: Lsn; vdl: Lsn } {
  let vcl = hint;
  let vdl = hint;
  for (const record of records.sort((a, b) => a.lsn - b.lsn)) {
    if (record.lsn <= hint) continue;
    if (record.previousVolumeLsn !== vcl) break;
    vcl = record.lsn;
    if (record.cpl) vdl = vcl;
  }
  return { vcl, vdl };
}
