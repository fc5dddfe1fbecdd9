/**
 * Copies the pages of a full segment from its full peers, in page order, several requests in flight. What has come is
 * written as generations of its own page file; each of them says in the log how far the copy is, so that no more than a
 * few hundredths are asked for again after a crash.
 */
import { must, PAGE_SIZE, type Clock, type Lsn, type PageNumber, Slabs } from '@rokka/kernel';
import type { Generation } from './control-state.ts';
import { storageErrors } from './errors.ts';
import { writeGeneration } from './generation-writer.ts';
import * as codec from './message-codec.ts';
import { MESSAGE, type PagesAnswer } from './messages.ts';
import { OrderedPull, type Piece, UNPACED } from './ordered-pull.ts';
import type { NewPage } from './page-file.ts';
import { headOf, REQUEST_MS, type PeerClients, type SoundPeer } from './peer-clients.ts';
import { higher, type Segment } from './segment.ts';
import type { SegmentStore } from './store.ts';

export interface CopyPagesOptions {
  store: SegmentStore;
  clients: PeerClients;
  clock: Clock;
  signal: AbortSignal;
  /** Full peers whose pages reach at least the segment's base. */
  sources: readonly SoundPeer[];
  /** The group lacks a copy: who writes waits a little longer, so that it does not lack one for long. */
  isUrgent: boolean;
  /** @throws STORAGE_CLOSED where the copy has no purpose any more */
  demandOpen(): void;
  /** Has the log say that the pages below `nextPage` are here; resolves when it does so durably. */
  note(generation: Generation, readFloor: Lsn, nextPage: number): Promise<void>;
}

/** While this node waits for its disk, its peers go on reading for it. */
const REQUESTS_IN_FLIGHT = 8;
/** Parts of the segment that one request, and one generation, is made of: what a crash costs is bounded by these. */
const REQUEST_SHARE = 512;
const GENERATION_SHARE = 128;
const REQUEST_PAGES_MIN = 4;
const REQUEST_PAGES_MAX = 64;
const GENERATION_PAGES_MIN = 16;
const GENERATION_PAGES_MAX = 1_024;
/** A sparse segment is crossed in long steps. */
const STRIDE_PAGES_MAX = 1 << 16;
const PAGE_HEAD_BYTES_MAX = 64;
/** What is gathered, what is on its way to the disk, and what is in flight. */
const SLABS_KEPT = 64;
/** The answer may wait at a peer that has more urgent things to do. */
const PAGES_TIMEOUT_MS = 4 * REQUEST_MS;

export interface PagePiece extends Piece {
  coalesced: Lsn;
  shows: Lsn;
  pages: PagesAnswer['pages'];
  /** What the contents lie in, to be given back. */
  slab: Buffer | undefined;
}

/** @throws the last peer's refusal where none of them can go on, STORAGE_CLOSED, what the disk and the log throw */
export async function copyPages(segment: Segment, options: CopyPagesOptions): Promise<void> {
  const { clients, sources, store, isUrgent, demandOpen, signal } = options;
  const { pageCount } = segment;
  const limitPages = shareOf(pageCount, REQUEST_SHARE, { min: REQUEST_PAGES_MIN, max: REQUEST_PAGES_MAX });
  const generationPages = shareOf(pageCount, GENERATION_SHARE, {
    min: GENERATION_PAGES_MIN,
    max: GENERATION_PAGES_MAX,
  });
  // An answer is its contents and a few bytes more for each.
  const slabs = new Slabs({ bytes: (limitPages + 1) * (PAGE_SIZE + PAGE_HEAD_BYTES_MAX), kept: SLABS_KEPT });
  const copy = new Copy(segment, { ...options, slabs });
  const pull = new OrderedPull<SoundPeer, PagePiece>({
    from: must(segment.hydration).nextPage,
    to: pageCount,
    sources,
    stride: limitPages,
    strideMax: STRIDE_PAGES_MAX,
    window: REQUESTS_IN_FLIGHT,
    pace: isUrgent ? UNPACED : store.foreground.pace(signal),
    pieceBytes: limitPages * PAGE_SIZE,
    request: async (peer, from, to) => {
      const piece = await fetchPages(segment, peer, { from, to, limitPages }, slabs);
      // It reached the base when it was asked how far it is; its pages may have been rebuilt since.
      if (piece.coalesced >= segment.generation.lsn) return piece;
      const why = `the pages of ${peer.member.node} reach only up to LSN ${piece.coalesced}`;
      throw storageErrors.STORAGE_NO_SOURCE([segment.volume, segment.pg, why]);
    },
    goesOn: () => !signal.aborted && !segment.dropped,
    onFailed: (peer, error) => clients.failed(peer.member, error),
    take: async (piece, rest) => {
      copy.add(piece);
      await rest();
      if (copy.pageCount >= generationPages) await copy.writeBehind();
    },
  });
  try {
    await pull.run();
  } finally {
    await copy.settled();
    demandOpen();
    // Also where the last peer has failed: what has come is not asked for again.
    await copy.finish();
  }
}

/** @throws the peer's refusal, STORAGE_BAD_MESSAGE, what the connection throws */
export async function fetchPages(
  segment: Segment,
  peer: SoundPeer,
  range: { from: number; to: number; limitPages: number },
  slabs?: Slabs,
): Promise<PagePiece> {
  const { firstPage } = segment;
  const message = codec.encodePages({
    ...headOf(segment),
    firstPage: (firstPage + range.from) as PageNumber,
    endPage: (firstPage + range.to) as PageNumber,
    limitBytes: range.limitPages * PAGE_SIZE,
  });
  let slab: Buffer | undefined;
  const into = (length: number) => {
    if (!slabs || length > slabs.bytes) return undefined;
    slab = slabs.take();
    return slab.subarray(0, length);
  };
  const body = await peer.client.request(MESSAGE.PAGES, [message], { timeoutMs: PAGES_TIMEOUT_MS, into });
  const { coalesced, shows, nextPage, pages } = codec.decodePagesAnswer(body);
  const next = nextPage - firstPage;
  const inOrder = pages.every(
    ({ page }, at) => page >= (pages[at - 1]?.page ?? firstPage + range.from - 1) + (at > 0 ? 1 : 0),
  );
  const last = pages.at(-1)?.page ?? 0;
  const fits = next > range.from && next <= range.to && last < nextPage && inOrder;
  if (!fits)
    throw storageErrors.STORAGE_BAD_MESSAGE([
      MESSAGE.PAGES,
      `pages up to ${last}, next ${nextPage}, of [${firstPage + range.from}, ${firstPage + range.to})`,
    ]);
  return { coalesced, shows, pages, next, bytes: body.length, slab };
}

/** Gathers pages and writes them to the segment's own page file. */
class Copy {
  readonly #segment: Segment;
  readonly #options: CopyPagesOptions & { slabs: Slabs };
  #pages: NewPage[] = [];
  /** What the contents of these pages lie in. */
  #slabs: Buffer[] = [];
  #writing: Promise<void> | undefined;
  #nextPage: number;
  #readFloor: Lsn;

  constructor(segment: Segment, options: CopyPagesOptions & { slabs: Slabs }) {
    this.#segment = segment;
    this.#options = options;
    this.#nextPage = must(segment.hydration).nextPage;
    this.#readFloor = segment.readFloor;
  }

  get pageCount(): number {
    return this.#pages.length;
  }

  add(piece: PagePiece): void {
    const { firstPage } = this.#segment;
    for (const { page, ...rest } of piece.pages) this.#pages.push({ ...rest, page: page - firstPage });
    if (piece.slab) this.#slabs.push(piece.slab);
    this.#nextPage = piece.next;
    this.#readFloor = higher(this.#readFloor, piece.shows);
  }

  /**
   * Begins to write what was gathered, as soon as what was gathered before is written: one generation is on its way to the
   * disk while the next one comes.
   */
  async writeBehind(): Promise<void> {
    await this.#writing;
    this.#writing = this.#write();
    // Whoever waits for it next hears of it.
    this.#writing.catch(() => {});
  }

  /** Nothing is on its way to the disk any more, whether it got there or not. */
  async settled(): Promise<void> {
    await this.#writing?.catch(() => {});
  }

  /** Everything that came is durable when it resolves. */
  async finish(): Promise<void> {
    await this.#writing;
    await this.#write();
  }

  async #write(): Promise<void> {
    const nextPage = this.#nextPage;
    if (nextPage === must(this.#segment.hydration).nextPage) return;
    const [pages, slabs] = [this.#pages, this.#slabs];
    [this.#pages, this.#slabs] = [[], []];
    await writeGeneration(this.#segment, {
      ...this.#options,
      pages,
      note: (generation) => this.#options.note(generation, this.#readFloor, nextPage),
    });
    // Only now: a step that fails where the disk is full writes the same once more.
    for (const slab of slabs) this.#options.slabs.give(slab);
  }
}

function shareOf(whole: number, parts: number, bounds: { min: number; max: number }): number {
  return Math.min(bounds.max, Math.max(bounds.min, Math.floor(whole / parts)));
}
