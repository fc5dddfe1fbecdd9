/** Filters of lists of commands and invocations. */
import type { CommandFilter } from '@aws-sdk/client-ssm';
import { ssmFailures } from './ssm-failures.ts';

/** What filters look at. */
export interface Filtered {
  readonly atMs: number;
  readonly status: string;
  readonly details: string;
  readonly document: string;
  /** Undefined where the list does not know it. */
  readonly isFinished: boolean | undefined;
}

/** Whether it passes all of them. @throws InvalidFilterKey, ValidationException */
export function passes(item: Filtered, filters: readonly CommandFilter[] = []): boolean {
  return filters.every(({ key, value = '' }) => passesOne(item, key ?? '', value));
}

function passesOne(item: Filtered, key: string, value: string): boolean {
  switch (key) {
    case 'InvokedAfter':
      return item.atMs >= timeOf(value);
    case 'InvokedBefore':
      return item.atMs < timeOf(value);
    case 'Status':
      return value === item.status || value === item.details;
    case 'DocumentName':
      return value === item.document;
    case 'ExecutionStage':
      if (item.isFinished === undefined) throw ssmFailures.filterKey(key);
      if (value !== 'Executing' && value !== 'Complete')
        throw ssmFailures.invalid('ExecutionStage is Executing or Complete.');
      return item.isFinished === (value === 'Complete');
    default:
      throw ssmFailures.filterKey(key);
  }
}

export function timeOf(value: string): number {
  const atMs = Date.parse(value);
  if (Number.isNaN(atMs))
    throw ssmFailures.invalid(`${value.slice(0, 64)} is no time such as 2026-07-07T00:00:00Z.`);
  return atMs;
}
