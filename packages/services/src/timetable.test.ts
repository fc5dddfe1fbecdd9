/** When schedules are due: tables. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type DueRule, dueTimes, whyNoPattern } from './timetable.ts';

const DAY = '2026-03-31T';
const iso = (ms: number) => new Date(ms).toISOString().slice(0, 16);
const due = (rule: DueRule, after: string, until: string) =>
  dueTimes(rule, { afterMs: Date.parse(`${after}Z`), untilMs: Date.parse(`${until}Z`) }).map(iso);

const ROWS: [what: string, rule: DueRule, after: string, until: string, times: string[]][] = [
  [
    'once a day',
    { Interval: 24, Times: ['03:15'] },
    `${DAY}00:00`,
    '2026-04-02T00:00',
    [`${DAY}03:15`, '2026-04-01T03:15'],
  ],
  [
    'at its very time, once',
    { Interval: 24, Times: ['03:15'] },
    `${DAY}00:00`,
    `${DAY}03:15`,
    [`${DAY}03:15`],
  ],
  ['not at the time that was taken', { Interval: 24, Times: ['03:15'] }, `${DAY}03:15`, `${DAY}23:59`, []],
  [
    'every 8 hours, before its time too',
    { Interval: 8, Times: ['09:30'] },
    `${DAY}00:00`,
    `${DAY}23:59`,
    [`${DAY}01:30`, `${DAY}09:30`, `${DAY}17:30`],
  ],
  [
    'every hour',
    { Interval: 1, Times: ['23:59'] },
    `${DAY}10:00`,
    `${DAY}12:00`,
    [`${DAY}10:59`, `${DAY}11:59`],
  ],
  [
    'every 12 hours',
    { Interval: 12, Times: ['18:00'] },
    `${DAY}00:00`,
    `${DAY}23:59`,
    [`${DAY}06:00`, `${DAY}18:00`],
  ],
  [
    'before 1970 is no time at all',
    { Interval: 24, Times: ['00:00'] },
    '1970-01-01T00:00',
    '1970-01-02T00:00',
    ['1970-01-02T00:00'],
  ],
  ['nothing backwards', { Interval: 1, Times: ['00:00'] }, `${DAY}12:00`, `${DAY}10:00`, []],
  [
    'on weekdays',
    { CronExpression: 'cron(15 3 ? * MON-FRI *)' },
    '2026-04-02T04:00',
    '2026-04-07T00:00',
    ['2026-04-03T03:15', '2026-04-06T03:15'],
  ],
  [
    '2 is Monday',
    { CronExpression: 'cron(0 18 ? * 2 *)' },
    '2026-04-01T00:00',
    '2026-04-14T00:00',
    ['2026-04-06T18:00', '2026-04-13T18:00'],
  ],
  [
    'the last day of the month',
    { CronExpression: 'cron(0 10 L * ? *)' },
    '2026-02-01T00:00',
    '2026-03-31T10:00',
    ['2026-02-28T10:00', '2026-03-31T10:00'],
  ],
  [
    'the third Friday',
    { CronExpression: 'cron(0 10 ? * 6#3 *)' },
    '2026-01-01T00:00',
    '2026-02-28T00:00',
    ['2026-01-16T10:00', '2026-02-20T10:00'],
  ],
  [
    'every twelve hours',
    { CronExpression: 'cron(5 0/12 * * ? *)' },
    `${DAY}00:05`,
    '2026-04-01T00:05',
    [`${DAY}12:05`, '2026-04-01T00:05'],
  ],
  [
    'at a rate, counted from when it began',
    { everyMs: 45 * 60_000, fromMs: Date.parse(`${DAY}10:10Z`) },
    `${DAY}10:00`,
    `${DAY}12:25`,
    [`${DAY}10:55`, `${DAY}11:40`, `${DAY}12:25`],
  ],
  [
    'at a rate, not at the time that was taken',
    { everyMs: 45 * 60_000, fromMs: Date.parse(`${DAY}10:10Z`) },
    `${DAY}10:55`,
    `${DAY}11:39`,
    [],
  ],
  ['once', { atMs: Date.parse(`${DAY}10:10Z`) }, `${DAY}10:09`, '2026-05-01T00:00', [`${DAY}10:10`]],
  ['once, and not again', { atMs: Date.parse(`${DAY}10:10Z`) }, `${DAY}10:10`, '2026-05-01T00:00', []],
  ['not before', { atMs: Date.parse(`${DAY}10:10Z`) }, `${DAY}00:00`, `${DAY}10:09`, []],
];

test('the times at which a schedule is due', () => {
  for (const [what, rule, after, until, times] of ROWS)
    assert.deepEqual(due(rule, after, until), times, what);
});

test('of years without a look the last one counts', () => {
  const times = due({ Interval: 24, Times: ['06:00'] }, '2020-01-01T00:00', '2026-03-31T12:00');
  assert.deepEqual([times.length, times.at(-1)], [366, `${DAY}06:00`]);
});

test('patterns that are none, are due too often, too seldom, or never', () => {
  const nowMs = Date.parse(`${DAY}00:00Z`);
  const why = (fields: string, gapMsMin = 3_600_000) => whyNoPattern(`cron(${fields})`, { nowMs, gapMsMin });
  for (const fields of [
    '0 12 * * ? *',
    '15 3 ? * MON-FRI *',
    '0 1 1 1 ? *',
    '0 0/1 * * ? *',
    '0 10 L * ? 2026',
  ])
    assert.equal(why(fields), undefined, fields);
  assert.match(why('99 12 * * ? *') ?? '', /^cannot be read: /);
  assert.match(why('0 12 * * ?') ?? '', /^is not cron/);
  assert.match(why('0 0 12 * * ? *') ?? '', /^is not cron/);
  assert.match(whyNoPattern('rate(1 day)', { nowMs, gapMsMin: 0 }) ?? '', /^is not cron/);
  assert.equal(why('0/30 12 * * ? *'), 'is due more than once in 60 minutes');
  assert.equal(why('1,31 0 * * ? *'), 'is due more than once in 60 minutes');
  assert.equal(why('1,31 0 * * ? *', 1_800_000), undefined);
  assert.equal(why('1,30 0 * * ? *', 1_800_000), 'is due more than once in 30 minutes');
  assert.equal(why('0 1 29 2 ? *'), 'is due less than once a year');
  assert.equal(why('0 0 1 1 ? 2020'), 'is never due any more');
  assert.equal(why('0 0 30 2 ? *'), 'is never due any more');
});
