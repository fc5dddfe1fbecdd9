/** The writes of one mini-transaction gathered by page, because a mini-transaction has one record a page. */
import { assert, PAGE_SIZE, type PageNumber } from '@rokka/kernel';
import { RECORD_HEADER_BYTES, RECORD_RANGE_BYTES } from '@rokka/quorum';
import type { PageWrite } from './page-store.ts';

/** What one mini-transaction does to one page. */
export interface PageChange {
  readonly page: PageNumber;
  /** The page must be in memory: its first write builds on what it held. */
  readonly needsContent: boolean;
  /** The page is all zeroes before `writes`, whatever it held. */
  init: boolean;
  /** In their order; those that a later `init` wiped out are left out. */
  writes: PageWrite[];
}

/** In the order in which the pages are first written. */
export function changesByPage(writes: readonly PageWrite[]): PageChange[] {
  if (writes.length === 1) return [firstWrite(writes[0])];
  const changes = new Map<PageNumber, PageChange>();
  for (const write of writes) {
    const change = changes.get(write.page);
    if (!change) changes.set(write.page, firstWrite(write));
    else addWrite(change, write);
  }
  return [...changes.values()];
}

/**
 * Makes the page's new content in `content`, a whole page. Without `init` only the bytes of the answered span are
 * meaningful: the rest is as in `before` and costs no copy.
 */
export function compose(
  change: PageChange,
  before: Uint8Array | undefined,
  content: Uint8Array,
): { from: number; to: number } {
  let from = PAGE_SIZE;
  let to = 0;
  for (const { offset, bytes } of change.writes) {
    from = Math.min(from, offset);
    to = Math.max(to, offset + bytes.length);
  }
  if (from > to) from = to;
  if (change.init) content.fill(0);
  else if (before) content.set(before.subarray(from, to), from);
  for (const { offset, bytes } of change.writes) content.set(bytes, offset);
  return change.init ? { from: 0, to: PAGE_SIZE } : { from, to };
}

/** About what the records of changes will take, and rarely more. */
export function recordBytes(changes: readonly PageChange[]): number {
  let bytes = 0;
  for (const { writes } of changes) {
    bytes += RECORD_HEADER_BYTES + RECORD_RANGE_BYTES;
    for (const write of writes) bytes += write.bytes.length;
  }
  return bytes;
}

function firstWrite(write: PageWrite): PageChange {
  assertInPage(write);
  return {
    page: write.page,
    needsContent: write.init !== true,
    init: write.init === true,
    writes: [write],
  };
}

function addWrite(change: PageChange, write: PageWrite): void {
  assertInPage(write);
  if (write.init) {
    change.init = true;
    change.writes = [];
  }
  change.writes.push(write);
}

function assertInPage({ page, offset, bytes }: PageWrite): void {
  assert(
    offset >= 0 && offset + bytes.length <= PAGE_SIZE,
    () => `write of bytes [${offset}, ${offset + bytes.length}) to page ${page}`,
  );
}
