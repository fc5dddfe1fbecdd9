/**
 * How the runs of an association begin and end. Pure. A time that is due while one has not ended is skipped, as AWS does it; what somebody asks for
 * waits for that end instead, once however often it was asked for.
 */
import { must } from '@rokka/kernel';
import { type DueRule, dueTimes } from '../timetable.ts';
import type {
  AssociationRecord,
  AssociationRun,
  AssociationVersionRecord,
  RunEnd,
} from './association-records.ts';
import { dueRuleOf } from './schedule-expression.ts';

/** Of those that have ended. */
const RUNS_KEPT = 100;

export const currentOf = ({ versions }: AssociationRecord): AssociationVersionRecord => must(versions.at(-1));

/** The one that counts since another one does. */
export const versionOfRun = ({ versions }: AssociationRecord, { version }: AssociationRun) =>
  must(versions.find((each) => each.version === version));

/** The one that goes on. */
export const goingOf = ({ runs }: AssociationRecord) => runs.find(({ end }) => !end);

/** The last one that was not skipped, whether it has ended or not. */
export const lastRunOf = ({ runs }: AssociationRecord) =>
  runs.findLast(({ end }) => end?.status !== 'Skipped');

export function ruleOf(association: AssociationRecord): DueRule | undefined {
  const { schedule, createdAtMs } = currentOf(association);
  return schedule === undefined ? undefined : dueRuleOf(schedule, createdAtMs);
}

/** The time that is to be taken: of several that have passed, the last one. */
export function dueTimeOf(association: AssociationRecord, nowMs: number): number | undefined {
  const rule = ruleOf(association);
  const afterMs = Math.max(currentOf(association).createdAtMs, association.dueMs ?? 0);
  return rule && dueTimes(rule, { afterMs, untilMs: nowMs }).at(-1);
}

type Beginning = Pick<AssociationRun, 'id' | 'takenAtMs'>;

/** At a time that is due. One that was taken already stays so. */
export function withDueRun(
  association: AssociationRecord,
  { dueMs, ...beginning }: Beginning & { dueMs: number },
): AssociationRecord {
  if ((association.dueMs ?? 0) >= dueMs) return association;
  const run = begun(association, beginning);
  const taken: AssociationRun = goingOf(association)
    ? { ...run, end: { status: 'Skipped', details: 'Skipped', counts: {}, atMs: run.takenAtMs } }
    : run;
  return { ...association, dueMs, runs: kept([...association.runs, taken]) };
}

/** Since somebody asks for it. One that waits already is done in its place. */
export function withAskedRun(association: AssociationRecord, beginning: Beginning): AssociationRecord {
  const going = goingOf(association);
  const others = association.runs.filter((run) => run.end || run === going);
  return { ...association, runs: kept([...others, begun(association, beginning)]) };
}

/** The first end stays. */
export function withEnd(association: AssociationRecord, id: string, end: RunEnd): AssociationRecord {
  const run = association.runs.find((each) => each.id === id);
  if (!run || run.end) return association;
  const succeededAtMs = end.status === 'Success' ? run.takenAtMs : association.succeededAtMs;
  return {
    ...association,
    runs: association.runs.map((each) => (each === run ? { ...run, end } : each)),
    ...(succeededAtMs !== undefined && { succeededAtMs }),
  };
}

const begun = (association: AssociationRecord, beginning: Beginning): AssociationRun => ({
  ...beginning,
  version: currentOf(association).version,
});

function kept(runs: readonly AssociationRun[]): AssociationRun[] {
  const tooMany = runs.filter(({ end }) => end).slice(0, -RUNS_KEPT);
  return runs.filter((run) => !tooMany.includes(run));
}
