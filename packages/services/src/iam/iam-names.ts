/** What IAM takes for names, paths and tags (IAM API Reference: the patterns stand with each operation). */
import type { Tag as SdkTag } from '@aws-sdk/client-iam';
import type { Tag } from './documents.ts';
import { iamFailures } from './iam-failures.ts';

const TAGS_MAX = 50;

/** @throws ValidationError */
export function checkedName(member: string, name: string | undefined, max: number): string {
  if (name !== undefined && name.length <= max && /^[\w+=,.@-]+$/.test(name)) return name;
  throw iamFailures.validation(
    `${member} ${JSON.stringify(name)} must be 1 to ${max} letters, digits and _+=,.@- characters`,
  );
}

/** `/` where none is given. @throws ValidationError */
export function checkedPath(path: string | undefined): string {
  if (path === undefined || path === '/') return '/';
  if (path.length <= 512 && /^\/[!-~]+\/$/.test(path) && !path.includes('//')) return path;
  throw iamFailures.validation(
    `Path ${JSON.stringify(path)} must begin and end with / and be at most 512 printable characters`,
  );
}

/** @throws ValidationError */
export function checkedDescription(text: string | undefined): string | undefined {
  if (text === undefined || text.length <= 1000) return text;
  throw iamFailures.validation(`Description has ${text.length} characters, 1000 are allowed`);
}

/** @throws ValidationError, InvalidInputException */
export function checkedTags(tags: readonly SdkTag[] | undefined): Tag[] {
  const checked = (tags ?? []).map(({ Key, Value }) => ({
    Key: checkedTagKey(Key),
    Value: checkedTagValue(Value),
  }));
  const keys = new Set(checked.map(({ Key }) => Key.toLowerCase()));
  if (keys.size < checked.length)
    throw iamFailures.invalidInput(
      'Duplicate tag keys found. Please note that Tag keys are case insensitive.',
    );
  return checked;
}

function checkedTagKey(key: string | undefined): string {
  if (key !== undefined && /^[\p{L}\p{Z}\p{N}_.:/=+\-@]{1,128}$/u.test(key) && !/^aws:/i.test(key))
    return key;
  throw iamFailures.validation(
    `Tag key ${JSON.stringify(key)} must be 1 to 128 letters, digits, spaces and _.:/=+-@`,
  );
}

function checkedTagValue(value: string | undefined): string {
  if (value !== undefined && /^[\p{L}\p{Z}\p{N}_.:/=+\-@]{0,256}$/u.test(value)) return value;
  throw iamFailures.validation(
    `Tag value ${JSON.stringify(value)} must be at most 256 letters, digits, spaces and _.:/=+-@`,
  );
}

/** @throws ValidationError */
export function checkedTagKeys(keys: readonly string[] | undefined): string[] {
  if ((keys ?? []).length > TAGS_MAX)
    throw iamFailures.validation(`TagKeys has more than ${TAGS_MAX} members`);
  return (keys ?? []).map(checkedTagKey);
}

/** The tags with these put over them. @throws LimitExceededException */
export function withTags(tags: readonly Tag[], added: readonly Tag[]): Tag[] {
  const merged = [
    ...withoutTags(
      tags,
      added.map(({ Key }) => Key),
    ),
    ...added,
  ];
  if (merged.length > TAGS_MAX) throw iamFailures.limitExceeded('tags of an entity', TAGS_MAX);
  return merged;
}

export function withoutTags(tags: readonly Tag[], keys: readonly string[]): Tag[] {
  const gone = new Set(keys.map((key) => key.toLowerCase()));
  return tags.filter(({ Key }) => !gone.has(Key.toLowerCase()));
}
