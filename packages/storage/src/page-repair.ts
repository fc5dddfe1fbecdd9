/**
 * A page that failed its checksum is made anew from a full peer's copy, in a generation of its own. A copy that is as new
 * as this segment's pages or newer may contain records above them, so nobody reads below it any more (hydration-run.ts says
 * why that is enough); an older one gets the records that it lacks from this segment's log.
 */
import { must, PAGE_SIZE, type Lsn } from '@rokka/kernel';
import { applyRecord } from '@rokka/quorum';
import { durably } from './durably.ts';
import { writeGeneration } from './generation-writer.ts';
import { LogReader } from './log-reader.ts';
import { fetchPages } from './page-copy.ts';
import type { NewPage } from './page-file.ts';
import type { IndexedRecord } from './record-index.ts';
import type { RepairOptions } from './record-repair.ts';
import { higher, type Segment } from './segment.ts';

/** Pages of one generation: each is fetched by itself. */
const REPAIR_PAGES_MAX = 64;
const BUSY_POLL_MS = 20;

interface PageCopy {
  page: number;
  /** It contains every record of the page up to here. */
  coalesced: Lsn;
  /** What it may show at most. */
  shows: Lsn;
  lsn: Lsn;
  content: Uint8Array;
}

/** Answers how many were repaired. @throws what the disk and the log throw, the signal's reason */
export async function repairPages(segment: Segment, options: RepairOptions): Promise<number> {
  const { clock, signal } = options;
  const copies: PageCopy[] = [];
  for (const page of segment.lostPages) {
    if (copies.length === REPAIR_PAGES_MAX) break;
    const copy = await copyOf(segment, page, options);
    if (copy) copies.push(copy);
    signal.throwIfAborted();
  }
  const file = must(segment.pageFile);
  while (file.busy && !segment.dropped) await clock.sleep(BUSY_POLL_MS, signal);
  if (segment.dropped || segment.hydration || file.damaged) return 0;
  // From here to the beginning of the generation nothing may come between, or the copies are of another age.
  for (const page of segment.lostPages) if (file.read(page)?.content) segment.lostPages.delete(page);
  const { base } = segment.chain;
  const made = copies.filter(({ page, coalesced }) => segment.lostPages.has(page) && coalesced >= base);
  const pages = made.map((copy) => brought(segment, copy, options));
  if (pages.length === 0) return 0;
  const readFloor = made.reduce((lsn, { shows }) => higher(lsn, shows), segment.readFloor);
  await writeGeneration(segment, {
    ...options,
    pages,
    note: (generation) =>
      durably(signal, (done) =>
        options.store.copied(segment, { generation, readFloor, hydration: undefined }, done),
      ),
  });
  for (const { page } of pages) segment.lostPages.delete(page);
  return pages.length;
}

/** The page as of this segment's generation, or newer. */
function brought(segment: Segment, copy: PageCopy, options: RepairOptions): NewPage {
  const { page, content } = copy;
  const { index } = segment.chain;
  const reader = new LogReader(options.store.log);
  const place: IndexedRecord = { lsn: 0 as Lsn, page: 0, file: 0, offset: 0, length: 0, flags: 0 };
  let { lsn } = copy;
  const end = index.firstAbove(segment.generation.lsn);
  for (let at = index.firstAbove(copy.coalesced); at < end; at++) {
    if (index.pageAt(at) !== page) continue;
    applyRecord(reader.record(index.read(at, place)), content);
    lsn = place.lsn;
  }
  return { page, lsn, content };
}

async function copyOf(
  segment: Segment,
  page: number,
  { peers, onPeerFailed }: RepairOptions,
): Promise<PageCopy | undefined> {
  for (const peer of peers) {
    // Older than what this segment's log reaches back to, it could not be brought up to date.
    if (peer.state.kind !== 'full' || peer.state.coalesced < segment.chain.base) continue;
    try {
      const range = { from: page, to: page + 1, limitPages: 1 };
      const { coalesced, shows, pages } = await fetchPages(segment, peer, range);
      if (coalesced < segment.chain.base) continue;
      const [found] = pages;
      // Not written there yet: its records are in the log.
      if (!found) return { page, coalesced, shows, lsn: 0 as Lsn, content: new Uint8Array(PAGE_SIZE) };
      return { page, coalesced, shows, lsn: found.lsn, content: found.content.slice() };
    } catch (error) {
      onPeerFailed(peer, error);
      // Another one may have it; when none has, the page stays lost and is asked for again.
    }
  }
  return undefined;
}
