/** Filters and pages, as all Describe operations have them. */
import type { Filter } from '@aws-sdk/client-rds';
import { rdsFailures } from './rds-failures.ts';
import type { RdsServices } from './rds-context.ts';
import type { Scope } from '../scope.ts';

const PAGE_MIN = 20;
const PAGE_MAX = 100;

export interface ListInput {
  readonly Filters?: Filter[] | undefined;
  readonly MaxRecords?: number | undefined;
  readonly Marker?: string | undefined;
}

/** For each filter's name, what of an item it looks at: one of these must be among the filter's values. */
export type FilterTable<T> = Readonly<Record<string, (item: T) => readonly (string | undefined)[]>>;

/** @throws InvalidParameterValue for a filter that is none */
export function filtered<T>(
  items: readonly T[],
  filters: readonly Filter[] = [],
  table: FilterTable<T>,
): T[] {
  let left = [...items];
  for (const { Name = '', Values = [] } of filters) {
    const look = Object.hasOwn(table, Name) ? table[Name] : undefined;
    if (!look) throw rdsFailures.parameter(`Unrecognized filter name: ${Name.slice(0, 64)}`);
    if (Values.length === 0) throw rdsFailures.parameter(`The filter ${Name} needs a value.`);
    left = left.filter((item) => look(item).some((value) => value !== undefined && Values.includes(value)));
  }
  return left;
}

/**
 * @param of.items by ascending key
 * @param of.asked what else the list was of
 * @throws InvalidParameterValue
 */
export function pageOf<T>(
  { pages }: RdsServices,
  of: {
    items: readonly T[];
    keyOf: (item: T) => string;
    input: ListInput;
    scope: Scope;
    asked: readonly unknown[];
  },
): { items: T[]; Marker?: string } {
  const { MaxRecords: limit = PAGE_MAX, Marker: token, Filters } = of.input;
  if (!Number.isInteger(limit) || limit < PAGE_MIN || limit > PAGE_MAX)
    throw rdsFailures.parameter(
      `Invalid value ${limit} for MaxRecords. Must be between ${PAGE_MIN} and ${PAGE_MAX}`,
    );
  const { items, next } = pages.page({
    items: of.items,
    keyOf: of.keyOf,
    limit,
    token: token === '' ? undefined : token,
    scope: [of.scope.account, of.scope.region, JSON.stringify([of.asked, Filters ?? []])],
    refuse: () => rdsFailures.parameter('The marker is not one that this list gave.'),
  });
  return { items, ...(next !== undefined && { Marker: next }) };
}
