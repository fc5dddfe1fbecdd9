/** Preferred windows, in UTC: `04:10-04:40` of each day for backups, `sun:05:00-sun:05:30` of each week for maintenance. */
import type { Random } from '@rokka/kernel';

const DAYS = ['sun', 'mon', 'tue', 'wed', 'thu', 'fri', 'sat'];
const MINUTE_MS = 60_000;
const DAY_MINUTES = 1440;
const WEEK_MINUTES = 7 * DAY_MINUTES;
/** The shortest that AWS takes, and the one that is drawn. */
const WINDOW_MINUTES = 30;
/** 1970 began on a Thursday. */
const FIRST_DAY = 4;

interface Span {
  readonly from: number;
  readonly minutes: number;
}

export const isBackupWindow = (text: string) => isLongEnough(backupSpan(text));
export const isMaintenanceWindow = (text: string) => isLongEnough(maintenanceSpan(text));

/** Whether the time lies in a maintenance window. */
export function isInMaintenance(window: string, wallMs: number): boolean {
  const span = maintenanceSpan(window);
  if (!span) return false;
  const now = Math.floor(wallMs / MINUTE_MS) + FIRST_DAY * DAY_MINUTES;
  return modulo(now - span.from, WEEK_MINUTES) < span.minutes;
}

export function drawBackupWindow(random: Random): string {
  const from = random.below(DAY_MINUTES);
  return `${timeOf(from)}-${timeOf(from + WINDOW_MINUTES)}`;
}

export function drawMaintenanceWindow(random: Random): string {
  const from = random.below(WEEK_MINUTES);
  return `${dayTimeOf(from)}-${dayTimeOf(from + WINDOW_MINUTES)}`;
}

function backupSpan(text: string): Span | undefined {
  const match = /^(\d\d):(\d\d)-(\d\d):(\d\d)$/.exec(text);
  return match ? spanOf(minuteOf(match[1], match[2]), minuteOf(match[3], match[4]), DAY_MINUTES) : undefined;
}

function maintenanceSpan(text: string): Span | undefined {
  const match = /^([a-z]{3}):(\d\d):(\d\d)-([a-z]{3}):(\d\d):(\d\d)$/.exec(text.toLowerCase());
  if (!match) return undefined;
  const at = (day: string, hour: string, minute: string) =>
    DAYS.includes(day) ? DAYS.indexOf(day) * DAY_MINUTES + minuteOf(hour, minute) : NaN;
  return spanOf(at(match[1], match[2], match[3]), at(match[4], match[5], match[6]), WEEK_MINUTES);
}

function spanOf(from: number, to: number, of: number): Span | undefined {
  return Number.isNaN(from + to) ? undefined : { from, minutes: modulo(to - from, of) };
}

function minuteOf(hour: string, minute: string): number {
  const [hours, minutes] = [Number(hour), Number(minute)];
  return hours < 24 && minutes < 60 ? hours * 60 + minutes : NaN;
}

const isLongEnough = (span: Span | undefined) =>
  span !== undefined && span.minutes >= WINDOW_MINUTES && span.minutes <= DAY_MINUTES;

const two = (value: number) => String(value).padStart(2, '0');
const timeOf = (minute: number) =>
  `${two(Math.floor(modulo(minute, DAY_MINUTES) / 60))}:${two(modulo(minute, 60))}`;
const dayTimeOf = (minute: number) =>
  `${DAYS[Math.floor(modulo(minute, WEEK_MINUTES) / DAY_MINUTES)]}:${timeOf(minute)}`;
const modulo = (value: number, of: number) => ((value % of) + of) % of;
