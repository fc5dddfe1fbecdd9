/**
 * When an association runs, as State Manager is told: `rate(1 day)`, `cron(0 4 * * ? *)`, `at(2026-12-01T04:00:00)`. Pure, in UTC.
 * https://docs.aws.amazon.com/systems-manager/latest/userguide/reference-cron-and-rate-expressions.html
 */
import { type DueRule, whyNoPattern } from '../timetable.ts';

const MINUTE_MS = 60_000;
/** AWS's limit, for rates and patterns. */
const GAP_MS_MIN = 30 * MINUTE_MS;
/** A pattern is due once a year at least, and so is a rate. */
const GAP_MS_MAX = 366 * 24 * 60 * MINUTE_MS;

const UNITS_MS: Readonly<Record<string, number>> = {
  minute: MINUTE_MS,
  hour: 60 * MINUTE_MS,
  day: 24 * 60 * MINUTE_MS,
};
const RATE = /^rate\(([1-9][0-9]{0,5}) (minute|hour|day)s?\)$/;
const MOMENT = /^at\((\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2})\)$/;

export const isRate = (expression: string) => expression.startsWith('rate(');

/** Of one that `whyNoSchedule` lets through. @param fromMs when it began to count */
export function dueRuleOf(expression: string, fromMs: number): DueRule {
  const everyMs = rateMsOf(expression);
  if (everyMs !== undefined) return { everyMs, fromMs };
  const atMs = momentOf(expression);
  return atMs === undefined ? { CronExpression: expression } : { atMs };
}

/** Why it is none that is carried out, as a part of a sentence; undefined where it is. */
export function whyNoSchedule(expression: string, nowMs: number): string | undefined {
  if (expression.startsWith('cron(')) return whyNoPattern(expression, { nowMs, gapMsMin: GAP_MS_MIN });
  const everyMs = rateMsOf(expression);
  if (everyMs !== undefined) {
    if (everyMs < GAP_MS_MIN) return `is due more than once in ${GAP_MS_MIN / MINUTE_MS} minutes`;
    return everyMs > GAP_MS_MAX ? 'is due less than once a year' : undefined;
  }
  const atMs = momentOf(expression);
  if (atMs !== undefined) return atMs > nowMs ? undefined : 'is never due any more';
  return 'is not rate(NUMBER UNIT), cron(MINUTE HOUR DAY MONTH WEEKDAY YEAR) or at(2026-12-01T04:00:00)';
}

function rateMsOf(expression: string): number | undefined {
  const [, count, unit] = RATE.exec(expression) ?? [];
  return count === undefined ? undefined : Number(count) * UNITS_MS[unit];
}

function momentOf(expression: string): number | undefined {
  const [, text] = MOMENT.exec(expression) ?? [];
  const atMs = text === undefined ? NaN : Date.parse(`${text}Z`);
  return Number.isNaN(atMs) ? undefined : atMs;
}
