/** When associations run: tables. The patterns themselves are in ../timetable.test.ts. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { dueTimes } from '../timetable.ts';
import { dueRuleOf, whyNoSchedule } from './schedule-expression.ts';

const FROM = Date.parse('2026-03-31T10:10:20Z');
const UNTIL = Date.parse('2026-04-02T10:10:20Z');
const due = (expression: string) =>
  dueTimes(dueRuleOf(expression, FROM), { afterMs: FROM, untilMs: UNTIL }).map((ms) =>
    new Date(ms).toISOString().slice(5, 19),
  );

const TIMES: [expression: string, times: string[]][] = [
  ['rate(1 day)', ['04-01T10:10:20', '04-02T10:10:20']],
  ['rate(20 hours)', ['04-01T06:10:20', '04-02T02:10:20']],
  ['rate(1500 minutes)', ['04-01T11:10:20']],
  ['cron(0 4 * * ? *)', ['04-01T04:00:00', '04-02T04:00:00']],
  ['cron(15 3 ? * THU *)', ['04-02T03:15:00']],
  ['at(2026-04-01T00:00:30)', ['04-01T00:00:30']],
  ['at(2026-04-03T00:00:00)', []],
];

const GOOD = ['rate(30 minutes)', 'rate(366 days)', 'cron(0/30 * * * ? *)', 'at(2026-03-31T10:10:21)'];

const BAD: [expression: string, why: RegExp][] = [
  ['rate(29 minutes)', /more than once in 30 minutes$/],
  ['rate(1 minute)', /more than once in 30 minutes$/],
  ['rate(367 days)', /less than once a year$/],
  ['rate(0 days)', /^is not rate/],
  ['rate(1.5 hours)', /^is not rate/],
  ['rate(1 week)', /^is not rate/],
  ['rate(1  day)', /^is not rate/],
  ['cron(0/29 * * * ? *)', /more than once in 30 minutes$/],
  ['cron(0 4 * * ?)', /^is not cron/],
  ['cron(0 4 30 2 ? *)', /never due any more$/],
  ['at(2026-03-31T10:10:20)', /never due any more$/],
  ['at(2026-02-31T10:99:20)', /^is not rate/],
  ['at(2026-04-01)', /^is not rate/],
  ['daily', /^is not rate/],
];

test('the times at which associations run', () => {
  for (const [expression, times] of TIMES) assert.deepEqual(due(expression), times, expression);
});

test('schedules that are none, or are due too often, too seldom, or never', () => {
  for (const expression of [...GOOD, ...TIMES.map(([each]) => each)])
    assert.equal(whyNoSchedule(expression, FROM), undefined, expression);
  for (const [expression, why] of BAD) assert.match(whyNoSchedule(expression, FROM) ?? '', why, expression);
});
