/**
 * Where the blocks of one file lie, as a sorted list of mappings: pure functions that never change the list but say how
 * to change it, so that a change can be written to the volume first and be adopted afterwards.
 *
 * A block without a mapping is a hole. A block whose mapping is not `written` owns its page, yet reads as zeroes: what
 * fallocate gives, whatever the page held before. Invariants: sorted by block, disjoint, and no two neighbours that
 * could be one.
 */
import type { PageNumber } from '@rokka/kernel';
import { EXTENT_PAGES_MAX, pageAfter, type PageRun } from './layout.ts';

export interface Mapping {
  /** First block of the file, counted from 0. */
  readonly block: number;
  readonly page: PageNumber;
  readonly count: number;
  readonly written: boolean;
}

/** Of a file. */
export interface ByteRange {
  readonly offset: number;
  readonly length: number;
}

export interface BlockRange {
  readonly block: number;
  readonly count: number;
}

/** A part of a range that is all hole (no page) or lies in one mapping. */
export interface Segment extends BlockRange {
  readonly page: PageNumber | undefined;
  readonly written: boolean;
}

/** As for Array.splice: `added` takes the place of `deleteCount` mappings from index `from` on. */
export interface Splice {
  readonly from: number;
  readonly deleteCount: number;
  readonly added: readonly Mapping[];
}

/** Index of the first mapping that ends after `block`: the one that holds it, if any does. */
export function indexAt(mappings: readonly Mapping[], block: number): number {
  let low = 0;
  let high = mappings.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    const { block: first, count } = mappings[middle];
    if (first + count > block) high = middle;
    else low = middle + 1;
  }
  return low;
}

/** The whole range as segments, in order. */
export function segmentsOf(mappings: readonly Mapping[], range: BlockRange): Segment[] {
  const end = range.block + range.count;
  const segments: Segment[] = [];
  let block = range.block;
  for (let i = indexAt(mappings, block); block < end; i++) {
    const mapping = i < mappings.length ? mappings[i] : undefined;
    const holeEnd = Math.min(end, mapping?.block ?? end);
    if (holeEnd > block) {
      segments.push({ block, count: holeEnd - block, page: undefined, written: false });
      block = holeEnd;
    }
    if (!mapping || block === end) continue;
    const count = Math.min(end, mapping.block + mapping.count) - block;
    const page = pageAfter(mapping.page, block - mapping.block);
    segments.push({ block, count, page, written: mapping.written });
    block += count;
  }
  return segments;
}

/** The pages that belong to a range, written or not. */
export function pagesOf(mappings: readonly Mapping[], range: BlockRange): PageRun[] {
  const runs: PageRun[] = [];
  for (const { page, count } of segmentsOf(mappings, range))
    if (page !== undefined) runs.push({ page, count });
  return runs;
}

/** How to make `replacement` (sorted, within the range) all that the range maps. Touches as few mappings as can be. */
export function replaceRange(
  mappings: readonly Mapping[],
  range: BlockRange,
  replacement: readonly Mapping[],
): Splice {
  const end = range.block + range.count;
  let from = indexAt(mappings, range.block);
  let to = from;
  while (to < mappings.length && mappings[to].block < end) to += 1;

  const parts: Mapping[] = [];
  // The neighbours take part because the new mappings may continue them.
  if (from > 0) parts.push(mappings[from - 1]);
  if (from < to && mappings[from].block < range.block) parts.push(before(mappings[from], range.block));
  for (const mapping of replacement) parts.push(mapping);
  if (from < to && endOf(mappings[to - 1]) > end) parts.push(after(mappings[to - 1], end));
  if (to < mappings.length) parts.push(mappings[to]);

  const added = coalesce(parts);
  from = Math.max(0, from - 1);
  to = Math.min(mappings.length, to + 1);
  let head = 0;
  let tail = added.length;
  while (head < tail && from < to && same(added[head], mappings[from])) {
    head += 1;
    from += 1;
  }
  while (head < tail && from < to && same(added[tail - 1], mappings[to - 1])) {
    tail -= 1;
    to -= 1;
  }
  return { from, deleteCount: to - from, added: added.slice(head, tail) };
}

function coalesce(parts: readonly Mapping[]): Mapping[] {
  const out: Mapping[] = [];
  for (const part of parts) {
    const last = out.at(-1);
    if (last && canJoin(last, part)) out[out.length - 1] = { ...last, count: last.count + part.count };
    else out.push(part);
  }
  return out;
}

/** Whether `b` continues `a` in the file and on the volume. */
export function canJoin(a: Mapping, b: Mapping): boolean {
  return (
    a.written === b.written &&
    endOf(a) === b.block &&
    a.page + a.count === b.page &&
    a.count + b.count <= EXTENT_PAGES_MAX
  );
}

const endOf = (mapping: Mapping): number => mapping.block + mapping.count;

function same(a: Mapping, b: Mapping): boolean {
  return a.block === b.block && a.page === b.page && a.count === b.count && a.written === b.written;
}

function before({ block, page, written }: Mapping, end: number): Mapping {
  return { block, page, count: end - block, written };
}

function after({ block, page, count, written }: Mapping, start: number): Mapping {
  return { block: start, page: pageAfter(page, start - block), count: block + count - start, written };
}
