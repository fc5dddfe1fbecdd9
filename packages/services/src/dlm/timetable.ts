/**
 * When a schedule is due. Pure, in UTC, to the minute. An interval divides the day, so its times are the same every day.
 * https://docs.aws.amazon.com/dlm/latest/APIReference/API_CreateRule.html
 */
import { Cron } from 'croner';

/** One of the two. */
export interface DueRule {
  /** Hours: a divisor of 24. */
  readonly Interval?: number;
  /** `HH:MM`, one of them. */
  readonly Times?: readonly string[];
  /** `cron(MINUTE HOUR DAY MONTH WEEKDAY YEAR)`. */
  readonly CronExpression?: string;
}

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;
/** No schedule is due more seldom; so one that is due has been so within this, whenever it was looked at last. */
const LOOK_BACK_MS = 366 * DAY_MS;
/** Of a pattern, that are looked at for too short and too long a time between them. */
const GAPS = 10;

/** Every time after `afterMs`, up to and with `untilMs`, by time; of more than a year, the last year's. */
export function dueTimes(
  rule: DueRule,
  { afterMs, untilMs }: { afterMs: number; untilMs: number },
): number[] {
  const next = nextOf(rule);
  const times: number[] = [];
  let dueMs = next(Math.max(afterMs, untilMs - LOOK_BACK_MS));
  for (; dueMs !== undefined && dueMs <= untilMs; dueMs = next(dueMs)) times.push(dueMs);
  return times;
}

/** Why a pattern is none that is carried out, as a part of a sentence; undefined where it is. */
export function whyNoPattern(expression: string, nowMs: number): string | undefined {
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
    if (after - dueMs < HOUR_MS) return 'is due more than once an hour';
    if (after - dueMs > LOOK_BACK_MS) return 'is due less than once a year';
    dueMs = after;
  }
  return undefined;
}

/** The first one after a time. */
type Next = (afterMs: number) => number | undefined;

function nextOf({ Interval = 24, Times: [time] = ['00:00'], CronExpression }: DueRule): Next {
  if (CronExpression !== undefined) return nextOfPattern(patternOf(CronExpression) ?? '');
  const [hours, minutes] = time.split(':').map(Number);
  const stepMs = Interval * HOUR_MS;
  const offsetMs = hours * HOUR_MS + minutes * MINUTE_MS;
  return (afterMs) => (Math.floor((afterMs - offsetMs) / stepMs) + 1) * stepMs + offsetMs;
}

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
