/** A page as of a read point: its base on disk and the records above it, in chain order. */
import { isCoded, must, mutant, PAGE_SIZE, type CodedError, type Lsn, type PageNumber } from '@rokka/kernel';
import { applyRecord } from '@rokka/quorum';
import { storageErrors } from './errors.ts';
import type { LogReader } from './log-reader.ts';
import type { Pages, PagesAnswer, PageVersion, Read } from './messages.ts';
import type { BasePage } from './page-file.ts';
import type { IndexedRecord } from './record-index.ts';
import { higher, lower, type Segment } from './segment.ts';

const NOTHING = new Uint8Array(0);

/**
 * The pages in the order of the request, up to the first that cannot be served; `failed` says why that one could not. Their contents lie
 * in `memory`, which has PAGE_SIZE bytes for each.
 *
 * @throws for the first page: STORAGE_TAIL_HAS_NO_PAGES, STORAGE_NO_PAGE, STORAGE_NOT_YET, STORAGE_BELOW_READ_WINDOW, STORAGE_PAGE_UNKNOWN,
 * STORAGE_LOG_DAMAGED, STORAGE_PAGES_DAMAGED, STORAGE_SEGMENT_UNKNOWN, STORAGE_HYDRATING
 */
export function readVersions(
  segment: Segment,
  reader: LogReader,
  request: Omit<Read, 'volume' | 'pg'>,
  memory: Uint8Array = new Uint8Array(request.pages.length * PAGE_SIZE),
): { versions: PageVersion[]; failed?: CodedError } {
  demandReadable(segment, request);
  // Records of this group at or below the read point are at or below requiredScl, so all of them are on the disk.
  const readPoint = lower(request.readPoint, segment.durableScl);
  const { firstPage, pageCount } = segment;
  const pages = request.pages.filter((page) => page >= firstPage && page < firstPage + pageCount);
  const bases = segment.pageFile?.readEach(
    pages.map((page) => page - firstPage),
    memory,
  );
  const versions: PageVersion[] = [];
  for (const [at, page] of request.pages.entries())
    try {
      // The first that is not of this segment is the end: up to there the places are the same.
      if (pages[at] !== page) throw storageErrors.STORAGE_NO_PAGE([page, firstPage, pageCount]);
      const into = memory.subarray(at * PAGE_SIZE, (at + 1) * PAGE_SIZE);
      const offset = page - firstPage;
      const { lsn, content } = buildPage(segment, reader, {
        page: offset,
        readPoint,
        into,
        base: () => bases?.[at],
      });
      if (!content) throw storageErrors.STORAGE_PAGE_UNKNOWN([page], { detail: { page } });
      versions.push({ pageLsn: lsn, content });
    } catch (error) {
      if (!isCoded(error) || versions.length === 0) throw error;
      // Whoever asked asks for the rest, and hears why.
      return { versions, failed: error };
    }
  return { versions };
}

/** Has the system fetch what `readVersions` will read of these pages' bases: see PageFile.fetch. */
export function fetchBases(
  { pageFile, firstPage }: Segment,
  pages: readonly PageNumber[],
  options: { most: number; done: () => void },
): number {
  const offsets = pages.map((page) => page - firstPage);
  return pageFile?.fetch(offsets, options.most, options.done) ?? 0;
}

/**
 * A page of the segment, counted from its first, as of `readPoint`, laid into `into` where that is given, on `base`, which is read unless given, into the same. No content where its base was lost: what comes on top of
 * that stays lost too, until a record that starts the page anew. Empty content for a page never written.
 * @throws STORAGE_LOG_DAMAGED
 */
export function buildPage(
  segment: Segment,
  reader: LogReader,
  request: { page: number; readPoint: Lsn; into?: Uint8Array; base?: () => BasePage | undefined },
): { lsn: Lsn; content: Uint8Array | undefined } {
  const { index } = segment.chain;
  const { page, readPoint, into } = request;
  const { base: readBase = () => segment.pageFile?.read(page, into) } = request;
  const { ordinals, fromZero } = segment.recordsOfPage(page, { baseLsn: segment.coalesced, readPoint });
  const base = fromZero ? undefined : readBase();
  const last = ordinals.at(-1);
  const lsn = last === undefined ? (base?.lsn ?? (0 as Lsn)) : index.lsnAt(last);
  if (base && !base.content) return { lsn, content: undefined };
  if (last === undefined) return { lsn, content: base?.content ?? NOTHING };
  const content = base?.content ?? into?.fill(0) ?? new Uint8Array(PAGE_SIZE);
  const place: IndexedRecord = { lsn: 0 as Lsn, page: 0, file: 0, offset: 0, length: 0, flags: 0 };
  for (const ordinal of ordinals) applyRecord(reader.record(index.read(ordinal, place)), content);
  return { lsn, content };
}

/**
 * Pages as they lie on the disk, for a peer: those ever written, in order, about `limitBytes` of them. Their contents lie in
 * `memory`, which bounds them, too.
 * @throws STORAGE_TAIL_HAS_NO_PAGES, STORAGE_NO_PAGE, STORAGE_PAGE_UNKNOWN, STORAGE_PAGES_DAMAGED, STORAGE_SEGMENT_UNKNOWN,
 * STORAGE_HYDRATING
 */
export function readPages(
  segment: Segment,
  request: Omit<Pages, 'volume' | 'pg'>,
  memory: Buffer,
): PagesAnswer {
  if (segment.kind === 'tail') throw storageErrors.STORAGE_TAIL_HAS_NO_PAGES([]);
  segment.demandPages();
  const { firstPage, pageCount } = segment;
  const end = request.endPage - firstPage;
  if (request.firstPage < firstPage || end > pageCount)
    throw storageErrors.STORAGE_NO_PAGE([request.firstPage, firstPage, pageCount]);
  const file = must(segment.pageFile);
  const bytes = Math.max(PAGE_SIZE, Math.min(request.limitBytes, memory.length));
  const found = file.readLive(request.firstPage - firstPage, end, memory.subarray(0, bytes));
  const pages = found.pages.map(({ page: offset, lsn, checksum, content }) => {
    const page = (firstPage + offset) as PageNumber;
    // Left out, it would pass for one that was never written.
    if (!content) throw storageErrors.STORAGE_PAGE_UNKNOWN([page], { detail: { page } });
    return { page, lsn, checksum, content };
  });
  const { coalesced, readFloor } = segment;
  const nextPage = (firstPage + found.next) as PageNumber;
  return { coalesced, shows: higher(coalesced, readFloor), nextPage, pages };
}

function demandReadable(segment: Segment, request: Pick<Read, 'readPoint' | 'requiredScl'>): void {
  const { readPoint, requiredScl } = request;
  if (segment.kind === 'tail') throw storageErrors.STORAGE_TAIL_HAS_NO_PAGES([]);
  segment.demandPages();
  if (requiredScl > segment.durableScl && !mutant('incomplete-serves'))
    throw storageErrors.STORAGE_NOT_YET([segment.durableScl, requiredScl]);
  const floor = higher(higher(segment.pgmrpl, segment.coalesced), segment.readFloor);
  if (readPoint < floor && !mutant('read-window-ignored'))
    throw storageErrors.STORAGE_BELOW_READ_WINDOW([readPoint, floor]);
}
