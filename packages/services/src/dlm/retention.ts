/**
 * Which snapshots of a schedule go once there is a new one. Pure. What counts is a set: the snapshots that one due time has made of an
 * instance, or of a volume. The newest good one never goes.
 */
import type { RetainRule } from './dlm-records.ts';

export interface SnapshotGroup {
  readonly atMs: number;
  /** Good: it holds what it shall, or what is left of that. */
  readonly state: 'pending' | 'good' | 'failed';
  readonly snapshots: readonly string[];
}

const DAY_MS = 24 * 3_600_000;

/** Those that are too many or too old, and those that failed before the newest good one: they hold nothing. */
export function going<G extends SnapshotGroup>(groups: readonly G[], rule: RetainRule, nowMs: number): G[] {
  const good = groups.filter(({ state }) => state === 'good').sort((a, b) => b.atMs - a.atMs);
  if (good.length === 0) return [];
  const failed = groups.filter(({ state, atMs }) => state === 'failed' && atMs < good[0].atMs);
  const old =
    'Count' in rule
      ? good.slice(rule.Count)
      : good.slice(1).filter(({ atMs }) => atMs < keptSinceMs(rule, nowMs));
  return [...old, ...failed];
}

/** Months and years as the calendar has them: of 31 March, the last day of February is a month before. */
export function keptSinceMs(
  { Interval, IntervalUnit }: Exclude<RetainRule, { readonly Count: number }>,
  nowMs: number,
): number {
  if (IntervalUnit === 'DAYS') return nowMs - Interval * DAY_MS;
  if (IntervalUnit === 'WEEKS') return nowMs - Interval * 7 * DAY_MS;
  const now = new Date(nowMs);
  const months = IntervalUnit === 'YEARS' ? Interval * 12 : Interval;
  const before = new Date(nowMs);
  before.setUTCMonth(now.getUTCMonth() - months);
  if (before.getUTCDate() !== now.getUTCDate()) before.setUTCDate(0);
  return before.getTime();
}
