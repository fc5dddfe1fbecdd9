/**
 * When a schedule is due, of snapshots (DLM) or of commands (SSM). Pure, in UTC; patterns and times of day to the minute.
 * https://docs.aws.amazon.com/dlm/latest/APIReference/API_CreateRule.html
 * https://docs.aws.amazon.com/systems-manager/latest/userguide/reference-cron-and-rate-expressions.html
 */
import { Cron } from 'croner';

export type DueRule = CalendarRule | RateRule | MomentRule;

/** One of the two. */
export interface CalendarRule {
  /** Hours: a divisor of 24, so that its times are the same every day. */
  readonly Interval?: number;
  /** `HH:MM`, one of them. */
  readonly Times?: readonly string[];
  /** `cron(MINUTE HOUR DAY MONTH WEEKDAY YEAR)`. */
  readonly CronExpression?: string;
}

/** Again and again, for the first time so long after it began. */
export interface RateRule {
  readonly everyMs: number;
  readonly fromMs: number;
}

/** Once. */
export interface MomentRule {
  readonly atMs: number;
}

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;
/** No schedule is due more seldom; so one that is due has been so within this, whenever it was looked at last. */
const LOOK_BACK_MS = 366 * DAY_MS;
/** Of a pattern, that are looked at for too short and too long a time between them. */
const GAPS = 10;

/**
 * Every time after `afterMs`, up to and with `untilMs`, by time; of more than a year, the last year's.
 * @param of.timesMax of them the first ones
 */
export function dueTimes(
  rule: DueRule,
  { afterMs, untilMs, timesMax = Infinity }: { afterMs: number; untilMs: number; timesMax?: number },
): number[] {
  const next = nextOf(rule);
  const times: number[] = [];
  let dueMs = next(Math.max(afterMs, untilMs - LOOK_BACK_MS));
  for (; dueMs !== undefined && dueMs <= untilMs && times.length < timesMax; dueMs = next(dueMs))
    times.push(dueMs);
  return times;
}

/**
 * Why a pattern is none that is carried out, as a part of a sentence; undefined where it is.
 * @param of.gapMsMin between two times
 */
export function whyNoPattern(
  expression: string,
  { nowMs, gapMsMin }: { nowMs: number; gapMsMin: number },
): string | undefined {
  const pattern = patternOf(expression);
  if (pattern === undefined) return 'is not cron(MINUTE HOUR DAY MONTH WEEKDAY YEAR)';
  let next: Next;
  try {
    next = nextOfPattern(pattern);
  } catch (error) {
    return `cannot be read: ${(error as Error).message}`;
  }
  let dueMs = next(nowMs);
  if (dueMs === undefined) return 'is never due any more';
  for (let gap = 0; gap < GAPS; gap++) {
    const after = next(dueMs);
    if (after === undefined) return undefined;
    if (after - dueMs < gapMsMin) return `is due more than once in ${gapMsMin / MINUTE_MS} minutes`;
    if (after - dueMs > LOOK_BACK_MS) return 'is due less than once a year';
    dueMs = after;
  }
  return undefined;
}

/** The first one after a time. */
type Next = (afterMs: number) => number | undefined;

function nextOf(rule: DueRule): Next {
  if ('atMs' in rule) return (afterMs) => (afterMs < rule.atMs ? rule.atMs : undefined);
  if ('everyMs' in rule) return nextOfRate(rule);
  const { Interval = 24, Times: [time] = ['00:00'], CronExpression } = rule;
  if (CronExpression !== undefined) return nextOfPattern(patternOf(CronExpression) ?? '');
  const [hours, minutes] = time.split(':').map(Number);
  const stepMs = Interval * HOUR_MS;
  const offsetMs = hours * HOUR_MS + minutes * MINUTE_MS;
  return (afterMs) => (Math.floor((afterMs - offsetMs) / stepMs) + 1) * stepMs + offsetMs;
}

const nextOfRate =
  ({ everyMs, fromMs }: RateRule): Next =>
  (afterMs) =>
    fromMs + Math.max(1, Math.floor((afterMs - fromMs) / everyMs) + 1) * everyMs;

/** Its six fields. */
function patternOf(expression: string): string | undefined {
  const [, fields] = /^cron\(([^\n]{11,100})\)$/.exec(expression) ?? [];
  const parts = fields?.trim().split(/\s+/);
  return parts?.length === 6 ? parts.join(' ') : undefined;
}

function nextOfPattern(pattern: string): Next {
  // A question mark says that the other one of the two days decides.
  const cron = new Cron(`0 ${pattern.replaceAll('?', '*')}`, {
    mode: '7-part',
    timezone: 'UTC',
    alternativeWeekdays: true,
    sloppyRanges: true,
  });
  return (afterMs) => cron.nextRun(new Date(afterMs))?.getTime();
}
