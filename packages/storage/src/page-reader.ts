/** A page as of a read point: its base on disk and the records above it, in chain order. */
import { must, PAGE_SIZE, type Lsn, type PageNumber } from '@rokka/kernel';
import { applyRecord } from '@rokka/quorum';
import { storageErrors } from './errors.ts';
import type { LogReader } from './log-reader.ts';
import type { Pages, PagesAnswer, Read, ReadAnswer } from './messages.ts';
import type { IndexedRecord } from './record-index.ts';
import { higher, lower, type Segment } from './segment.ts';

const NOTHING = new Uint8Array(0);

/**
 * @throws STORAGE_TAIL_HAS_NO_PAGES, STORAGE_NO_PAGE, STORAGE_NOT_YET, STORAGE_BELOW_READ_WINDOW, STORAGE_PAGE_UNKNOWN,
 * STORAGE_LOG_DAMAGED, STORAGE_PAGES_DAMAGED, STORAGE_SEGMENT_UNKNOWN, STORAGE_HYDRATING
 */
export function readPage(
  segment: Segment,
  reader: LogReader,
  request: Omit<Read, 'volume' | 'pg'>,
): ReadAnswer {
  demandReadable(segment, request);
  // Records of this group at or below the read point are at or below requiredScl, so all of them are on the disk.
  const readPoint = lower(request.readPoint, segment.durableScl);
  const { lsn, content } = buildPage(segment, reader, { page: request.page - segment.firstPage, readPoint });
  const { page } = request;
  if (!content) throw storageErrors.STORAGE_PAGE_UNKNOWN([page], { detail: { page } });
  return { pageLsn: lsn, content };
}

/**
 * A page of the segment, counted from its first, as of `readPoint`. No content where its base was lost: what comes on top of
 * that stays lost too, until a record that starts the page anew. Empty content for a page never written.
 * @throws STORAGE_LOG_DAMAGED
 */
export function buildPage(
  segment: Segment,
  reader: LogReader,
  request: { page: number; readPoint: Lsn },
): { lsn: Lsn; content: Uint8Array | undefined } {
  const { index } = segment.chain;
  const { page, readPoint } = request;
  const { ordinals, fromZero } = segment.recordsOfPage(page, { baseLsn: segment.coalesced, readPoint });
  const base = fromZero ? undefined : segment.pageFile?.read(page);
  const last = ordinals.at(-1);
  const lsn = last === undefined ? (base?.lsn ?? (0 as Lsn)) : index.lsnAt(last);
  if (base && !base.content) return { lsn, content: undefined };
  if (last === undefined) return { lsn, content: base?.content ?? NOTHING };
  const content = base?.content ?? new Uint8Array(PAGE_SIZE);
  const place: IndexedRecord = { lsn: 0 as Lsn, page: 0, file: 0, offset: 0, length: 0, flags: 0 };
  for (const ordinal of ordinals) applyRecord(reader.record(index.read(ordinal, place)), content);
  return { lsn, content };
}

/** One answer stays well below the longest frame, whatever the caller asks for. */
const PAGES_BYTES_MAX = 4 * 1024 * 1024;

/**
 * Pages as they lie on the disk, for a peer: those ever written, in order, about `limitBytes` of them.
 * @throws STORAGE_TAIL_HAS_NO_PAGES, STORAGE_NO_PAGE, STORAGE_PAGE_UNKNOWN, STORAGE_PAGES_DAMAGED, STORAGE_SEGMENT_UNKNOWN,
 * STORAGE_HYDRATING
 */
export function readPages(segment: Segment, request: Omit<Pages, 'volume' | 'pg'>): PagesAnswer {
  if (segment.kind === 'tail') throw storageErrors.STORAGE_TAIL_HAS_NO_PAGES([]);
  segment.demandPages();
  const { firstPage, pageCount } = segment;
  const end = request.endPage - firstPage;
  if (request.firstPage < firstPage || end > pageCount)
    throw storageErrors.STORAGE_NO_PAGE([request.firstPage, firstPage, pageCount]);
  const file = must(segment.pageFile);
  const limit = Math.max(1, Math.floor(Math.min(request.limitBytes, PAGES_BYTES_MAX) / PAGE_SIZE));
  const pages: PagesAnswer['pages'] = [];
  // One piece of memory for all: thousands of small ones keep the collector busy.
  const memory = new Uint8Array(
    Math.max(0, Math.min(limit, end - request.firstPage + firstPage)) * PAGE_SIZE,
  );
  let next = file.nextLive(request.firstPage - firstPage, end);
  for (; next < end && pages.length < limit; next = file.nextLive(next + 1, end)) {
    const into = memory.subarray(pages.length * PAGE_SIZE, (pages.length + 1) * PAGE_SIZE);
    const { lsn, content } = must(file.read(next, into));
    const page = (firstPage + next) as PageNumber;
    // Left out, it would pass for one that was never written.
    if (!content) throw storageErrors.STORAGE_PAGE_UNKNOWN([page], { detail: { page } });
    pages.push({ page, lsn, content });
  }
  return { coalesced: segment.coalesced, nextPage: (firstPage + next) as PageNumber, pages };
}

function demandReadable(segment: Segment, request: Pick<Read, 'page' | 'readPoint' | 'requiredScl'>): void {
  const { page, readPoint, requiredScl } = request;
  if (segment.kind === 'tail') throw storageErrors.STORAGE_TAIL_HAS_NO_PAGES([]);
  segment.demandPages();
  if (page < segment.firstPage || page >= segment.firstPage + segment.pageCount)
    throw storageErrors.STORAGE_NO_PAGE([page, segment.firstPage, segment.pageCount]);
  if (requiredScl > segment.durableScl)
    throw storageErrors.STORAGE_NOT_YET([segment.durableScl, requiredScl]);
  const floor = higher(higher(segment.pgmrpl, segment.coalesced), segment.readFloor);
  if (readPoint < floor) throw storageErrors.STORAGE_BELOW_READ_WINDOW([readPoint, floor]);
}
