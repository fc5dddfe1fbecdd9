/**
 * The content of files: reading, writing, length, and fallocate.
 *
 * Invariant: no written block lies beyond the end of a file, and in its last block the bytes beyond the end are zero.
 * So a file can grow by its length alone.
 */
import { copyBytes, PAGE_SIZE, type PageNumber } from '@rokka/kernel';
import { NotReady, type PageStore, type PageWrite } from '@rokka/volume';
import { refuse } from './errors.ts';
import {
  pagesOf,
  replaceRange,
  segmentsOf,
  type BlockRange,
  type ByteRange,
  type Mapping,
  type Segment,
} from './extents.ts';
import type { Inode } from './inode.ts';
import { FILE_BYTES_MAX, pageAfter } from './layout.ts';
import { withoutSetId } from './mode.ts';
import { transact, type Transaction } from './transaction.ts';
import type { Tree } from './tree.ts';

const ZEROES = new Uint8Array(PAGE_SIZE);

export interface AllocateRange extends ByteRange {
  /** The file keeps its length. */
  readonly keepSize?: boolean;
  /** The range becomes a hole and reads as zeroes; needs keepSize, as in Linux. */
  readonly punchHole?: boolean;
  /** The range reads as zeroes and has its pages. */
  readonly zeroRange?: boolean;
}

/**
 * Fills `into` from `offset` on; answers how many bytes there were. What its reader will want next is named to the store: recovery reads
 * the log in pages of 8 KiB, and would wait for a storage node at each of them.
 * @throws NotReady with all pages that are missing
 */
export function readFile(store: PageStore, inode: Inode, offset: number, into: Uint8Array): number {
  const length = Math.max(0, Math.min(into.length, inode.record.sizeBytes - offset));
  if (length === 0) return 0;
  const segments = segmentsOf(inode.extents, blocksOf({ offset, length }));
  const missing = absentPages(store, segments);
  const ahead = pagesAhead(store, inode, { offset, length });
  if (missing.length > 0) throw new NotReady({ pages: missing, ahead });
  if (ahead.length > 0) store.willNeed?.(ahead);
  for (const { block, count, page, written } of segments) {
    const from = Math.max(offset, block * PAGE_SIZE);
    const to = Math.min(offset + length, (block + count) * PAGE_SIZE);
    if (!written || page === undefined) {
      into.fill(0, from - offset, to - offset);
      continue;
    }
    for (let at = from; at < to;) {
      const index = Math.floor(at / PAGE_SIZE) - block;
      const start = (block + index) * PAGE_SIZE;
      const end = Math.min(to, start + PAGE_SIZE);
      const content = store.page(pageAfter(page, index));
      copyBytes(into, content.subarray(at - start, end - start), at - offset);
      at = end;
    }
  }
  return length;
}

/** All of `bytes` at `offset`, as one mini-transaction. @throws NotReady, FsError EFBIG, ENOSPC */
export function writeFile(
  tree: Tree,
  inode: Inode,
  data: { offset: number; bytes: Uint8Array; keepSetId: boolean },
): void {
  const { offset, bytes, keepSetId } = data;
  if (bytes.length === 0) return;
  const end = offset + bytes.length;
  if (end > FILE_BYTES_MAX) refuse('EFBIG', `a file has at most ${FILE_BYTES_MAX} bytes`);
  const { record } = inode;
  const mode = keepSetId ? record.mode : withoutSetId(record.mode);
  const range = blocksOf({ offset, length: bytes.length });
  const segments = segmentsOf(inode.extents, range);

  if (end <= record.sizeBytes && mode === record.mode && segments.every(({ written }) => written)) {
    // The common case, a page of a database written again: no metadata changes but times, and those can wait.
    // Before the change is anywhere: an inode that is thought to have been written to, and was not, does no harm.
    tree.timesDirty.add(inode);
    inode.dataTicket = tree.store.apply(pageWrites(tree.store, segments, data));
    inode.ticket = inode.dataTicket;
    record.mtime = record.ctime = tree.now();
    return;
  }
  transact(tree, (change) => {
    const draft = change.editEssential(inode);
    draft.mode = mode;
    draft.sizeBytes = Math.max(draft.sizeBytes, end);
    draft.mtime = draft.ctime = tree.now();
    const filled = fillRange(change, inode, segments);
    for (const write of pageWrites(tree.store, filled, data)) change.write(write);
    change.remap(inode, replaceRange(inode.extents, range, filled.map(asWritten)), []);
  });
}

/** Sets the length within `change`; the caller sets times. @throws FsError EFBIG */
export function resizeFile(change: Transaction, inode: Inode, sizeBytes: number): void {
  if (sizeBytes > FILE_BYTES_MAX) refuse('EFBIG', `a file has at most ${FILE_BYTES_MAX} bytes`);
  const draft = change.editEssential(inode);
  const former = draft.sizeBytes;
  draft.sizeBytes = sizeBytes;
  if (sizeBytes > former) return;
  zeroBytes(change, inode, { offset: sizeBytes, length: blockEnd(sizeBytes) - sizeBytes });
  const block = blockEnd(sizeBytes) / PAGE_SIZE;
  const last = inode.extents.at(-1);
  if (last) releaseBlocks(change, inode, { block, count: Math.max(0, last.block + last.count - block) });
}

/** As fallocate(2). @throws NotReady, FsError EINVAL, EFBIG, ENOSPC, EOPNOTSUPP */
export function allocateRange(tree: Tree, inode: Inode, options: AllocateRange): void {
  const { offset, length, keepSize = false, punchHole = false, zeroRange = false } = options;
  if (offset < 0 || length <= 0) refuse('EINVAL', `no range: offset ${offset}, length ${length}`);
  if (punchHole && (zeroRange || !keepSize))
    refuse('EOPNOTSUPP', 'a hole is punched with keepSize, and alone');
  const end = offset + length;
  if (end > FILE_BYTES_MAX) refuse('EFBIG', `a file has at most ${FILE_BYTES_MAX} bytes`);
  transact(tree, (change) => {
    const draft = change.editEssential(inode);
    draft.mode = withoutSetId(draft.mode);
    draft.mtime = draft.ctime = tree.now();
    if (!keepSize) draft.sizeBytes = Math.max(draft.sizeBytes, end);
    if (punchHole || zeroRange) zeroEdges(change, inode, options);
    if (punchHole) return releaseBlocks(change, inode, wholeBlocksOf(options));
    const range = blocksOf(options);
    const nothing = { block: range.block + range.count, count: 0 };
    reserveBlocks(change, inode, { range, erase: zeroRange ? wholeBlocksOf(options) : nothing });
  });
}

function releaseBlocks(change: Transaction, inode: Inode, range: BlockRange): void {
  if (range.count === 0) return;
  change.remap(inode, replaceRange(inode.extents, range, []), pagesOf(inode.extents, range));
}

/** Gives every block of `range` a page, and makes those in `erase`, a part of it, read as zeroes. */
function reserveBlocks(
  change: Transaction,
  inode: Inode,
  blocks: { range: BlockRange; erase: BlockRange },
): void {
  const { range, erase } = blocks;
  const eraseEnd = erase.block + erase.count;
  const parts = [
    { block: range.block, count: erase.block - range.block },
    erase,
    { block: eraseEnd, count: range.block + range.count - eraseEnd },
  ];
  const segments = parts.flatMap((part) => segmentsOf(inode.extents, part));
  const mappings = fillRange(change, inode, segments).map(({ block, count, page, written }) => {
    const erased = block >= erase.block && block < eraseEnd;
    return { block, count, page, written: written && !erased };
  });
  change.remap(inode, replaceRange(inode.extents, range, mappings), []);
}

type FilledSegment = Segment & { readonly page: PageNumber };

/** The segments with pages for their holes. */
function fillRange(change: Transaction, inode: Inode, segments: readonly Segment[]): FilledSegment[] {
  const filled: FilledSegment[] = [];
  for (const { block, count, page, written } of segments) {
    if (page !== undefined) {
      filled.push({ block, count, page, written });
      continue;
    }
    let next = block;
    for (const run of change.takePages(inode, count, pageBehind(inode, filled, block))) {
      filled.push({ block: next, count: run.count, page: run.page, written: false });
      next += run.count;
    }
  }
  return filled;
}

/** The page right behind that of the block before, so that a file that grows stays in one piece. */
function pageBehind(inode: Inode, filled: readonly FilledSegment[], block: number): PageNumber | undefined {
  const last = filled.at(-1);
  if (last) return pageAfter(last.page, last.count);
  if (block === 0) return undefined;
  const [before] = segmentsOf(inode.extents, { block: block - 1, count: 1 });
  return before.page === undefined ? undefined : pageAfter(before.page, 1);
}

function asWritten({ block, count, page }: FilledSegment): Mapping {
  return { block, count, page, written: true };
}

/**
 * The writes that put `bytes` into the pages of the segments. A page that was never written, or is not in memory and
 * written as a whole, starts from zeroes and needs no reading; of any other page only what differs is shipped.
 */
function pageWrites(
  store: PageStore,
  segments: readonly Segment[],
  { offset, bytes }: { offset: number; bytes: Uint8Array },
): PageWrite[] {
  const writes: PageWrite[] = [];
  const end = offset + bytes.length;
  for (const { block, count, page, written } of segments) {
    for (let i = 0; i < count; i++) {
      const start = (block + i) * PAGE_SIZE;
      const from = Math.max(offset, start);
      const to = Math.min(end, start + PAGE_SIZE);
      const target = pageAfter(page as PageNumber, i);
      const init = !written || (to - from === PAGE_SIZE && !store.has(target));
      writes.push({
        page: target,
        offset: from - start,
        bytes: bytes.subarray(from - offset, to - offset),
        init,
      });
    }
  }
  return writes;
}

/** Zeroes the parts of the range's first and last block that the range does not cover wholly. */
function zeroEdges(change: Transaction, inode: Inode, { offset, length }: ByteRange): void {
  const end = offset + length;
  const headEnd = Math.min(end, blockEnd(offset));
  zeroBytes(change, inode, { offset, length: headEnd - offset });
  const tail = Math.floor(end / PAGE_SIZE) * PAGE_SIZE;
  if (tail >= headEnd) zeroBytes(change, inode, { offset: tail, length: end - tail });
}

/** Zeroes within one block, if it was ever written. */
function zeroBytes(change: Transaction, inode: Inode, { offset, length }: ByteRange): void {
  if (length === 0) return;
  const block = Math.floor(offset / PAGE_SIZE);
  const [{ page, written }] = segmentsOf(inode.extents, { block, count: 1 });
  if (page === undefined || !written) return;
  change.write({ page, offset: offset - block * PAGE_SIZE, bytes: ZEROES.subarray(0, length) });
}

function pagesAhead(store: PageStore, inode: Inode, range: ByteRange): PageNumber[] {
  const next = inode.readAhead.next(range);
  return next ? absentPages(store, segmentsOf(inode.extents, blocksOf(next))) : [];
}

function absentPages(store: PageStore, segments: readonly Segment[]): PageNumber[] {
  const absent: PageNumber[] = [];
  for (const page of writtenPages(segments)) if (!store.has(page)) absent.push(page);
  return absent;
}

function* writtenPages(segments: readonly Segment[]): Iterable<PageNumber> {
  for (const { page, count, written } of segments) {
    if (page === undefined || !written) continue;
    for (let i = 0; i < count; i++) yield pageAfter(page, i);
  }
}

/** The end of the block that holds the byte before `offset`. */
const blockEnd = (offset: number): number => Math.ceil(offset / PAGE_SIZE) * PAGE_SIZE;

/** The blocks that a range touches. */
function blocksOf({ offset, length }: ByteRange): BlockRange {
  const block = Math.floor(offset / PAGE_SIZE);
  return { block, count: blockEnd(offset + length) / PAGE_SIZE - block };
}

/** The blocks that a range covers wholly. */
function wholeBlocksOf({ offset, length }: ByteRange): BlockRange {
  const block = blockEnd(offset) / PAGE_SIZE;
  return { block, count: Math.max(0, Math.floor((offset + length) / PAGE_SIZE) - block) };
}
