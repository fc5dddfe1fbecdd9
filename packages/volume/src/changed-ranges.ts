/**
 * Which bytes of a page a write changes: what is shipped instead of the page. A Postgres commit rewrites its whole WAL
 * page and changes some 400 bytes of it.
 *
 * Invariants: outside the ranges both contents are equal; ranges begin and end with a change, ascend, are disjoint, and
 * are at most RECORD_RANGES_MAX.
 */
import { assert, PAGE_SIZE } from '@rokka/kernel';
import { RECORD_RANGES_MAX } from '@rokka/quorum';

export interface ByteRange {
  offset: number;
  length: number;
}

/**
 * Changed places nearer to each other than this become one range. A range of its own costs RECORD_RANGE_BYTES (4), so
 * up to 4 equal bytes between are free; up to 7 cost at most 3 bytes on the wire, less than it costs to encode the range
 * once and to apply it on every full member. The comparison steps by words of as many bytes: places in one word, or in
 * neighbouring ones (up to 14 equal bytes between), become one range as well, because to look closer costs more.
 */
const GAP_BYTES = 8;
const WORD_BYTES = 8;
/** Below this the comparison itself is cheaper than the call that finds two contents equal. */
const QUICK_EQUAL_BYTES = 256;
const ZEROES = new Uint8Array(PAGE_SIZE);

/**
 * The ranges in [from, to) where two contents of a page differ; none where they are equal. `before` undefined stands for
 * a page of zeroes. What lies outside [from, to) may be anything. Both contents are aligned to words.
 */
export function changedRanges(
  before: Uint8Array | undefined,
  after: Uint8Array,
  span: { from: number; to: number } = { from: 0, to: PAGE_SIZE },
): ByteRange[] {
  const old = before ?? ZEROES;
  const { from, to } = span;
  assert(from >= 0 && to <= PAGE_SIZE, () => `bytes [${from}, ${to}) of a page`);
  if (
    to - from >= QUICK_EQUAL_BYTES &&
    Buffer.compare(old.subarray(from, to), after.subarray(from, to)) === 0
  )
    return [];
  const oldWords = wordsOf(old);
  const afterWords = wordsOf(after);
  const end = Math.ceil(to / WORD_BYTES);
  const ranges: ByteRange[] = [];
  let word = nextDifferent(oldWords, afterWords, Math.floor(from / WORD_BYTES), end);
  while (word < end) {
    const past = nextEqual(oldWords, afterWords, word, end);
    let first = Math.max(from, word * WORD_BYTES);
    let last = Math.min(to, past * WORD_BYTES) - 1;
    while (first <= last && old[first] === after[first]) first++;
    while (first <= last && old[last] === after[last]) last--;
    if (first <= last) addRange(ranges, { offset: first, length: last + 1 - first }, GAP_BYTES);
    word = nextDifferent(oldWords, afterWords, past, end);
  }
  return fewEnough(ranges);
}

/** 64-bit words compare twice as fast as 32-bit ones. As floats they would not: NaN differs from itself. */
function wordsOf(content: Uint8Array): BigInt64Array {
  assert(content.length === PAGE_SIZE && content.byteOffset % WORD_BYTES === 0, 'contents are aligned pages');
  return new BigInt64Array(content.buffer, content.byteOffset, PAGE_SIZE / WORD_BYTES);
}

function nextDifferent(a: BigInt64Array, b: BigInt64Array, from: number, end: number): number {
  let word = from;
  while (word < end && a[word] === b[word]) word++;
  return word;
}

function nextEqual(a: BigInt64Array, b: BigInt64Array, from: number, end: number): number {
  let word = from;
  while (word < end && a[word] !== b[word]) word++;
  return word;
}

/** Appends a range, or lets the last one grow over it where less than `gap` lies between them. */
function addRange(ranges: ByteRange[], range: ByteRange, gap: number): void {
  const last = ranges.at(-1);
  if (last && range.offset - (last.offset + last.length) < gap)
    last.length = range.offset + range.length - last.offset;
  else ranges.push(range);
}

/** Joins the nearest ranges until a record can hold them. Ends: 8192 / (1 + 32) < 255, so a gap of 32 always does. */
function fewEnough(ranges: ByteRange[]): ByteRange[] {
  let few = ranges;
  for (let gap = GAP_BYTES * 2; few.length > RECORD_RANGES_MAX; gap *= 2) {
    const joined: ByteRange[] = [];
    for (const range of few) addRange(joined, range, gap);
    few = joined;
  }
  return few;
}
