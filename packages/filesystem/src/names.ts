/**
 * Names and link targets are bytes, and Linux gives them no encoding. They travel as JavaScript strings with one
 * character a byte (latin1), so that every sequence of bytes survives, can be compared and can be a key of a Map.
 * Where people read or type a name it is UTF-8: convert at that border, with nameFromUtf8 and nameToUtf8.
 */
import { assert } from '@rokka/kernel';
import { refuse } from './errors.ts';
import { NAME_BYTES_MAX, TARGET_BYTES_MAX } from './layout.ts';

/** The byte string of a text that people wrote. */
export function nameFromUtf8(text: string): string {
  return Buffer.from(text, 'utf8').toString('latin1');
}

/** The text to show for a byte string; bytes that are no UTF-8 become U+FFFD. */
export function nameToUtf8(name: string): string {
  return Buffer.from(name, 'latin1').toString('utf8');
}

/** Refuses what cannot be looked up. @throws ENAMETOOLONG */
export function checkNameLength(name: string): void {
  if (name.length > NAME_BYTES_MAX) {
    refuse('ENAMETOOLONG', `a name has at most ${NAME_BYTES_MAX} bytes, this one ${name.length}`);
  }
}

/** Refuses what cannot name a new entry. @throws ENAMETOOLONG, EINVAL, EEXIST */
export function checkNewName(name: string): void {
  checkNameLength(name);
  if (name === '.' || name === '..') refuse('EEXIST', `every directory has its '${name}' already`);
  const why = nameProblem(name);
  if (why) refuse('EINVAL', `name ${JSON.stringify(name)} ${why}`);
}

/** @throws ENAMETOOLONG, EINVAL */
export function checkTarget(target: string): void {
  assertBytes(target);
  if (target.length === 0 || target.includes('\0')) {
    refuse('EINVAL', 'a link target is not empty and has no zero byte');
  }
  if (target.length > TARGET_BYTES_MAX) {
    refuse('ENAMETOOLONG', `a link target has at most ${TARGET_BYTES_MAX} bytes, this one ${target.length}`);
  }
}

/** What keeps `name` from naming an entry, or undefined. The checker asks it about names on the volume. */
export function nameProblem(name: string): string | undefined {
  assertBytes(name);
  if (name === '') return 'is empty';
  if (name.length > NAME_BYTES_MAX) return 'is too long';
  if (name === '.' || name === '..') return 'is reserved';
  if (name.includes('/') || name.includes('\0')) return 'has a slash or a zero byte';
  return undefined;
}

/** Text that was not converted would silently lose the high bits of its characters on the volume. */
function assertBytes(text: string): void {
  for (let i = 0; i < text.length; i++) {
    assert(text.charCodeAt(i) < 256, () => `not a byte string: ${JSON.stringify(text)}; use nameFromUtf8`);
  }
}
