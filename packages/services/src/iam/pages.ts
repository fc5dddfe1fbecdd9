/**
 * Answers in pages. The marker says after which name the next page begins, so that what is made or deleted meanwhile
 * shifts nothing. Items need names that differ.
 */
import { iamFailures } from './iam-failures.ts';

const PAGE_DEFAULT = 100;
const PAGE_MAX = 1000;

export interface PageInput {
  Marker?: string | undefined;
  MaxItems?: number | undefined;
}

export interface Page<T> {
  items: T[];
  /** As IAM's answers have it. */
  more: { IsTruncated: boolean; Marker?: string };
}

/** @throws ValidationError */
export function pageOf<T>(items: readonly T[], input: PageInput, nameOf: (item: T) => string): Page<T> {
  const { MaxItems: count = PAGE_DEFAULT, Marker } = input;
  if (!Number.isInteger(count) || count < 1 || count > PAGE_MAX)
    throw iamFailures.validation(`MaxItems ${count} must be 1 to ${PAGE_MAX}`);
  const after = Marker === undefined ? undefined : decodeMarker(Marker);
  const sorted = items
    .map((item) => ({ item, name: nameOf(item) }))
    .filter(({ name }) => after === undefined || name > after)
    .sort((a, b) => (a.name < b.name ? -1 : 1));
  const page = sorted.slice(0, count);
  const last = page.at(-1);
  const more =
    sorted.length > count && last
      ? { IsTruncated: true, Marker: encodeMarker(last.name) }
      : { IsTruncated: false };
  return { items: page.map(({ item }) => item), more };
}

const encodeMarker = (name: string) => Buffer.from(`after:${name}`).toString('base64url');

function decodeMarker(marker: string): string {
  const text = Buffer.from(marker, 'base64url').toString();
  if (text.startsWith('after:')) return text.slice('after:'.length);
  throw iamFailures.validation('Marker is not one that this service gave');
}
