/**
 * Which bytes of a page a write changes: what is shipped instead of the page. A Postgres commit rewrites its whole WAL
 * page and changes some 400 bytes of it.
 *
 * Invariants: outside the ranges both contents are equal; ranges ascend, are disjoint and at most RECORD_RANGES_MAX.
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
 * once and to apply it on every full member. Eight is also the word that the comparison steps by.
 */
const GAP_BYTES = 8;
const WORD_BYTES = 8;
/** Below this the comparison itself is cheaper than the call that finds two contents equal. */
const QUICK_EQUAL_BYTES = 256;
const ZEROES = new Uint8Array(PAGE_SIZE);

/**
 * The ranges in [from, to) where two contents of a page differ; none where they are equal. `before` undefined stands for
 * a page of zeroes. What lies outside [from, to) is not looked at.
 */
export function changedRanges(
  before: Uint8Array | undefined,
  after: Uint8Array,
  span: { from: number; to: number } = { from: 0, to: PAGE_SIZE },
): ByteRange[] {
  const old = before ?? ZEROES;
  const { from, to } = span;
  assert(old.length === PAGE_SIZE && after.length === PAGE_SIZE, 'contents are whole pages');
  assert(from >= 0 && to <= PAGE_SIZE, () => `bytes [${from}, ${to}) of a page`);
  if (
    to - from >= QUICK_EQUAL_BYTES &&
    Buffer.compare(old.subarray(from, to), after.subarray(from, to)) === 0
  )
    return [];
  const ranges: ByteRange[] = [];
  if (isAligned(old) && isAligned(after)) scanWords(old, after, span, ranges);
  else scanBytes(old, after, span, ranges);
  return fewEnough(ranges);
}

function isAligned(content: Uint8Array): boolean {
  return content.byteOffset % WORD_BYTES === 0;
}

/** As scanBytes, skipping equal words: 0.7 us for a page, where 32-bit words take 1.4 and bytes more than 5. */
function scanWords(
  old: Uint8Array,
  after: Uint8Array,
  { from, to }: { from: number; to: number },
  ranges: ByteRange[],
): void {
  const oldWords = new BigInt64Array(old.buffer, old.byteOffset, PAGE_SIZE / WORD_BYTES);
  const afterWords = new BigInt64Array(after.buffer, after.byteOffset, PAGE_SIZE / WORD_BYTES);
  const end = Math.ceil(to / WORD_BYTES);
  for (let word = Math.floor(from / WORD_BYTES); word < end; word++) {
    if (oldWords[word] === afterWords[word]) continue;
    const at = word * WORD_BYTES;
    scanBytes(old, after, { from: Math.max(from, at), to: Math.min(to, at + WORD_BYTES) }, ranges);
  }
}

/** Appends the changed bytes of [from, to) to `ranges`, of which the last may grow over a small gap. */
function scanBytes(
  old: Uint8Array,
  after: Uint8Array,
  { from, to }: { from: number; to: number },
  ranges: ByteRange[],
): void {
  let last = ranges.at(-1);
  for (let at = from; at < to; at++) {
    if (old[at] === after[at]) continue;
    if (last && at - (last.offset + last.length) < GAP_BYTES) last.length = at + 1 - last.offset;
    else ranges.push((last = { offset: at, length: 1 }));
  }
}

/** Joins the nearest ranges until a record can hold them. Ends: 8192 / (1 + 32) < 255, so a gap of 32 always does. */
function fewEnough(ranges: ByteRange[]): ByteRange[] {
  let few = ranges;
  for (let gap = GAP_BYTES * 2; few.length > RECORD_RANGES_MAX; gap *= 2) {
    const joined: ByteRange[] = [];
    for (const range of few) {
      const last = joined.at(-1);
      if (last && range.offset - (last.offset + last.length) < gap)
        last.length = range.offset + range.length - last.offset;
      else joined.push({ ...range });
    }
    few = joined;
  }
  return few;
}
