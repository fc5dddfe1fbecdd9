/** Pages, as all lists have them. */
import type { Scope } from '../scope.ts';
import type { SsmServices } from './ssm-context.ts';
import { ssmFailures } from './ssm-failures.ts';

/**
 * @param of.items by ascending key
 * @param of.asked what the list was of, filters included
 * @throws ValidationException, InvalidNextToken
 */
export function pageOf<T>(
  { pages }: SsmServices,
  of: {
    items: readonly T[];
    keyOf: (item: T) => string;
    input: { MaxResults?: number | undefined; NextToken?: string | undefined };
    scope: Scope;
    asked: readonly unknown[];
    limits: { min: number; max: number };
  },
): { items: T[]; NextToken?: string } {
  const { min, max } = of.limits;
  const { MaxResults: limit = max, NextToken: token } = of.input;
  if (!Number.isInteger(limit) || limit < min || limit > max)
    throw ssmFailures.invalid(`MaxResults of ${limit} is not valid: it is ${min} to ${max}.`);
  const { items, next } = pages.page({
    items: of.items,
    keyOf: of.keyOf,
    limit,
    token: token === '' ? undefined : token,
    scope: [of.scope.account, of.scope.region, JSON.stringify(of.asked)],
    refuse: ssmFailures.nextToken,
  });
  return { items, ...(next !== undefined && { NextToken: next }) };
}

/** Keys by which the newest comes first: times as text, counted down. */
export const newestFirst = (atMs: number, id: string) =>
  `${String(Number.MAX_SAFE_INTEGER - atMs).padStart(16, '0')}/${id}`;
