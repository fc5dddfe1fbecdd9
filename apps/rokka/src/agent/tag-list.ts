/** Tags as documents are given them: `Key=Environment,Value=Test;Key=User,Value=One`. */
import { isReservedOfSnapshots } from '@rokka/services';
import { rokkaErrors } from '../errors.ts';

export interface Tag {
  readonly Key: string;
  readonly Value: string;
}

const TAG = /^Key=([^,]{1,128}),Value=([^;]{0,256})$/;

/** @throws ROKKA_TAGS_INVALID */
export function parseTags(text: string): Tag[] {
  const parts = text.split(';').filter((part) => part.trim() !== '');
  const tags = parts.map((part) => {
    const [, Key, Value] = TAG.exec(part.trim()) ?? [];
    if (Key === undefined || Value === undefined)
      throw rokkaErrors.ROKKA_TAGS_INVALID([`"${part}" is none: Key=NAME,Value=TEXT;Key=…`]);
    return { Key, Value };
  });
  const reserved = tags.find(({ Key }) => isReservedOfSnapshots(Key));
  if (reserved) throw rokkaErrors.ROKKA_TAGS_INVALID([`${reserved.Key} is reserved`]);
  if (new Set(tags.map(({ Key }) => Key)).size < tags.length)
    throw rokkaErrors.ROKKA_TAGS_INVALID(['a key is there twice']);
  return tags;
}
