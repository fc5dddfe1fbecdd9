/** How long the snapshots of a schedule are kept, checked. */
import type { RetainRule as GivenRule } from '@aws-sdk/client-dlm';
import { dlmFailures } from './dlm-failures.ts';
import { given } from './dlm-inputs.ts';
import type { RetainRule } from './dlm-records.ts';

const COUNT_MAX = 1000;
/** A hundred years. */
const INTERVAL_MAX = { DAYS: 36_500, WEEKS: 5_200, MONTHS: 1_200, YEARS: 100 } as const;

/** @throws InvalidRequestException */
export function checkedRetainRule(rule: GivenRule | undefined): RetainRule {
  const { Count, Interval, IntervalUnit } = given(rule, 'Schedules.RetainRule');
  const isOfTime = Interval !== undefined || IntervalUnit !== undefined;
  if ((Count !== undefined) === isOfTime)
    throw dlmFailures.invalid('RetainRule has either Count, or Interval and IntervalUnit.');
  if (Count !== undefined) return { Count: whole('Count', Count, COUNT_MAX) };
  const unit = given(IntervalUnit, 'RetainRule.IntervalUnit');
  if (!Object.hasOwn(INTERVAL_MAX, unit))
    throw dlmFailures.invalid('RetainRule.IntervalUnit is DAYS, WEEKS, MONTHS or YEARS.');
  const interval = given(Interval, 'RetainRule.Interval');
  return { Interval: whole('Interval', interval, INTERVAL_MAX[unit]), IntervalUnit: unit };
}

function whole(member: string, value: number, max: number): number {
  if (Number.isInteger(value) && value >= 1 && value <= max) return value;
  throw dlmFailures.invalid(`RetainRule.${member} of ${value} is not valid: it is 1 to ${max}.`);
}
