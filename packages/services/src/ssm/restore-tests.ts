/** Whether the restore tests that somebody has scheduled go well: for whoever looks after the cluster. Pure. */
import { dueTimes } from '../timetable.ts';
import type { AssociationRecord } from './association-records.ts';
import { currentOf, lastRunOf, ruleOf } from './association-runs.ts';

const DOCUMENT = 'Rokka-RestoreVssSnapshot';
/** Times that have passed without a success. */
const MISSED_MAX = 2;

export interface RestoreTest {
  /** Its name, or its id. */
  readonly association: string;
  /** Of the last run that has ended. */
  readonly failedAtMs?: number;
  readonly why?: string;
  readonly succeededAtMs?: number;
  /** The last success, or the association where there was none, is older than twice its interval. */
  readonly isOverdue: boolean;
}

/** Undefined for what is no restore test. */
export function restoreTestOf(association: AssociationRecord, nowMs: number): RestoreTest | undefined {
  const { id, succeededAtMs } = association;
  const { document, name = id } = currentOf(association);
  if (document !== DOCUMENT) return undefined;
  const run = lastRunOf({ ...association, runs: association.runs.filter(({ end }) => end) });
  const hasFailed = run?.end?.status === 'Failed';
  return {
    association: name,
    ...(hasFailed && { failedAtMs: run.takenAtMs, why: run.end.why ?? run.end.details }),
    ...(succeededAtMs !== undefined && { succeededAtMs }),
    isOverdue: isOverdue(association, nowMs),
  };
}

function isOverdue(association: AssociationRecord, nowMs: number): boolean {
  const rule = ruleOf(association);
  const afterMs = association.succeededAtMs ?? association.createdAtMs;
  const of = { afterMs, untilMs: nowMs, timesMax: MISSED_MAX };
  return rule !== undefined && dueTimes(rule, of).length >= MISSED_MAX;
}
