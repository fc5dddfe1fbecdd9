/** Filters and pages, as all Describe operations have them. */
import type { Filter } from '@aws-sdk/client-ec2';
import { ANY, type Element, globMatches, ONE } from '../glob.ts';
import type { Scope } from '../scope.ts';
import type { GivenTag, Tag } from '../tags.ts';
import type { Ec2Services } from './ec2-context.ts';
import { ec2Failures } from './ec2-failures.ts';

const PAGE_MIN = 5;
const PAGE_MAX = 1000;
const VALUES_MAX = 200;

type Value = string | number | boolean | Date | undefined;
/** For each filter's name, what of an item it looks at: one of these must match one of the filter's values. */
export type FilterTable<T> = Readonly<Record<string, (item: T) => readonly Value[]>>;

/** Filters that AWS has, of what nothing here has. */
export const ofNothing = (...names: readonly string[]): FilterTable<unknown> =>
  Object.fromEntries(names.map((name) => [name, () => []]));

const TAG = 'tag:';

/** @throws InvalidParameterValue for a filter that is none, or has no value or too many */
export function filtered<T>(
  items: readonly T[],
  filters: readonly Filter[] = [],
  of: { table: FilterTable<T>; tagsOf?: (item: T) => readonly Tag[] },
): T[] {
  let left = [...items];
  for (const { Name = '', Values = [] } of filters) {
    const look = lookOf(Name, of);
    if (!look) throw ec2Failures.parameter(`The filter '${Name.slice(0, 64)}' is invalid`);
    if (Values.length === 0 || Values.length > VALUES_MAX)
      throw ec2Failures.parameter(`The filter '${Name.slice(0, 64)}' has 1 to ${VALUES_MAX} values.`);
    const patterns = Values.map(patternOf);
    const matches = (text: string) => patterns.some((pattern) => globMatches(pattern, text));
    left = left.filter((item) => look(item).some((value) => value !== undefined && matches(textOf(value))));
  }
  return left;
}

function lookOf<T>(
  name: string,
  { table, tagsOf }: { table: FilterTable<T>; tagsOf?: (item: T) => readonly Tag[] },
): FilterTable<T>[string] | undefined {
  if (tagsOf && name === 'tag-key') return (item) => tagsOf(item).map(({ Key }) => Key);
  if (tagsOf && name.startsWith(TAG)) {
    const key = name.slice(TAG.length);
    return (item) => tagsOf(item).flatMap(({ Key, Value }) => (Key === key ? [Value] : []));
  }
  return Object.hasOwn(table, name) ? table[name] : undefined;
}

/** As AWS writes them: times with milliseconds. */
const textOf = (value: NonNullable<Value>) => (value instanceof Date ? value.toISOString() : String(value));

/** A backslash takes the meaning of what follows. */
function patternOf(text: string): Element[] {
  const out: Element[] = [];
  for (let at = 0; at < text.length; at++) {
    const isEscaped = text[at] === '\\' && at + 1 < text.length;
    if (isEscaped) out.push(text.charCodeAt(++at));
    else out.push(text[at] === '*' ? ANY : text[at] === '?' ? ONE : text.charCodeAt(at));
  }
  return out;
}

export interface ListInput {
  readonly Filters?: Filter[] | undefined;
  readonly MaxResults?: number | undefined;
  readonly NextToken?: string | undefined;
}

/**
 * All of them unless the input wants pages.
 * @param of.items by ascending key
 * @param of.ids that the input names: a list of these has no pages
 * @throws InvalidParameterValue, InvalidParameterCombination, InvalidNextToken
 */
export function pageOf<T>(
  { pages }: Ec2Services,
  of: {
    items: readonly T[];
    keyOf: (item: T) => string;
    input: ListInput;
    scope: Scope;
    asked: readonly unknown[];
    ids?: readonly string[] | undefined;
    max?: number;
  },
): { items: T[]; NextToken?: string } {
  const { max = PAGE_MAX, ids = [] } = of;
  const { MaxResults, NextToken, Filters } = of.input;
  if (MaxResults !== undefined && ids.length > 0)
    throw ec2Failures.combination('MaxResults cannot be used with ids: the list has no pages then.');
  if (
    MaxResults !== undefined &&
    !(Number.isInteger(MaxResults) && MaxResults >= PAGE_MIN && MaxResults <= max)
  )
    throw ec2Failures.parameter(
      `Value ( ${MaxResults} ) for parameter maxResults is invalid. It is ${PAGE_MIN} to ${max}.`,
    );
  const { items, next } = pages.page({
    items: of.items,
    keyOf: of.keyOf,
    limit: MaxResults ?? Infinity,
    token: NextToken === '' ? undefined : NextToken,
    scope: [of.scope.account, of.scope.region, JSON.stringify([of.asked, ids, Filters ?? []])],
    refuse: () => ec2Failures.nextToken('The NextToken is not one that this list gave.'),
  });
  return { items, ...(next !== undefined && { NextToken: next }) };
}

/** Of what an answer shows. */
export const tagsShown = ({ Tags = [] }: { Tags?: GivenTag[] | undefined }): Tag[] =>
  Tags.map(({ Key = '', Value = '' }) => ({ Key, Value }));
