/** What goes once there is a new set: tables. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { RetainRule } from './dlm-records.ts';
import { going, keptSinceMs, type SnapshotGroup } from './retention.ts';

const DAY_MS = 24 * 3_600_000;
const NOW_MS = Date.UTC(2026, 2, 31, 12);
const daysAgo = (days: number) => NOW_MS - days * DAY_MS;
const LETTERS = { g: 'good', p: 'pending', f: 'failed' } as const;

/** `g3 f2`: a good one of three days ago, and a failed one of two. */
const groups = (text: string): SnapshotGroup[] =>
  text.split(' ').map((word) => ({
    atMs: daysAgo(Number(word.slice(1))),
    state: LETTERS[word[0] as keyof typeof LETTERS],
    snapshots: [word],
  }));

const DAYS = (Interval: number): RetainRule => ({ Interval, IntervalUnit: 'DAYS' });
const ROWS: [what: string, there: string, rule: RetainRule, going: string][] = [
  ['as many as may be', 'g1 g2 g3', { Count: 3 }, ''],
  ['one too many: the oldest', 'g2 g3 g1', { Count: 2 }, 'g3'],
  ['what is pending does not count, nor go', 'p0 g1 g2', { Count: 1 }, 'g2'],
  ['what has failed does not count, and goes after a newer good one', 'g1 f2 g3 f4', { Count: 2 }, 'f2 f4'],
  ['a newer failed one stays for people to see', 'f1 g2 g3', { Count: 1 }, 'g3'],
  ['without a good one nothing goes', 'f1 f2 p3', { Count: 1 }, ''],
  ['older than three days', 'g0 g2 g3 g4 g9', DAYS(3), 'g4 g9'],
  ['the newest one stays, however old', 'g9 g10', DAYS(3), 'g10'],
  ['old, but pending', 'g0 p9', DAYS(3), ''],
];

test('what goes', () => {
  for (const [what, there, rule, expected] of ROWS) {
    const names = going(groups(there), rule, NOW_MS).flatMap(({ snapshots }) => snapshots);
    assert.equal(names.join(' '), expected, what);
  }
});

test('since when a time keeps', () => {
  const since = (Interval: number, IntervalUnit: 'DAYS' | 'WEEKS' | 'MONTHS' | 'YEARS', at = NOW_MS) =>
    new Date(keptSinceMs({ Interval, IntervalUnit }, at)).toISOString().slice(0, 13);
  assert.equal(since(1, 'DAYS'), '2026-03-30T12');
  assert.equal(since(2, 'WEEKS'), '2026-03-17T12');
  assert.equal(since(1, 'MONTHS'), '2026-02-28T12');
  assert.equal(since(3, 'MONTHS'), '2025-12-31T12');
  assert.equal(since(13, 'MONTHS'), '2025-02-28T12');
  assert.equal(since(1, 'YEARS', Date.UTC(2028, 1, 29)), '2027-02-28T00');
});
