/**
 * The volume's pages in memory, for a filesystem on the event loop: CachedPages for what is here, and the waiting for
 * what is not, which is to fetch pages, to map space, and to let the log become durable where it is too far ahead.
 *
 * A view from `page` is valid until the next `apply` or `prepare`, anybody's: take what is needed out of it first.
 *
 * Invariant: what a fetch brings is taken in only if the page was not written while it was under way. An INIT write needs
 * no content, so it may overtake a fetch; were the fetch taken in later, it would bring the old content back.
 */
import { Deferred, PAGE_SIZE, type PageNumber } from '@rokka/kernel';
import { READ_PAGES_MAX } from '@rokka/storage';
import { CachedPages, PAGE_CACHE_BYTES_DEFAULT } from './cached-pages.ts';
import type { AsyncPageStore, NotReady, PageWrite, Ticket } from './page-store.ts';
import type { AsyncRecordSink } from './record-sink.ts';

/**
 * Requests on their way. Guesses get few: more would go out with a page each and cost twice as much, and what somebody waits
 * for must not wait for them where a page is hard to get.
 */
const REQUESTS_MAX = 8;
const GUESSES_MAX = 4;
/**
 * While the cache fills, as after a restart, what lies around a page that is missing is fetched with it: it takes nobody's
 * place, it is likely to be wanted next, and a recovery of PostgreSQL would wait for a storage node at each page.
 */
const AROUND_PAGES = 32;
/** Pages on their way beside which nothing more is guessed, and so many of the frames: those that come push others out. */
const AHEAD_MAX = 1024;
const AHEAD_OF_FRAMES = 1 / 4;
/** A smaller cache has no room for guesses. */
const AROUND_FRAMES_MIN = 64 * AROUND_PAGES;

interface Flight {
  readonly page: PageNumber;
  readonly landed: Deferred<void>;
  /** It was asked for. */
  begun: boolean;
}

export class PageCache implements AsyncPageStore {
  readonly #sink: AsyncRecordSink;
  readonly #pages: CachedPages;
  readonly #flights = new Map<PageNumber, Flight>();
  /** In the order of asking: what somebody waits for, and what may be wanted next. One that is in both begins once. */
  #awaited: Flight[] = [];
  #ahead: Flight[] = [];
  #requests = 0;
  #prefetches = 0;
  #fetches = 0;

  constructor(sink: AsyncRecordSink, options: { sizeBytes?: number } = {}) {
    this.#sink = sink;
    this.#pages = new CachedPages(sink, { sizeBytes: options.sizeBytes ?? PAGE_CACHE_BYTES_DEFAULT });
  }

  get mappedPages(): number {
    return this.#pages.mappedPages;
  }

  get pagesMax(): number {
    return this.#pages.pagesMax;
  }

  get applied(): Ticket {
    return this.#pages.applied;
  }

  get durable(): Ticket {
    return this.#pages.durable;
  }

  /** For metrics: what the cache holds, and how often it had to fetch and to let go. */
  get usage(): { heldBytes: number; sizeBytes: number; fetches: number; evictions: number } {
    return {
      heldBytes: this.#pages.pagesHeld * PAGE_SIZE,
      sizeBytes: this.#pages.capacity * PAGE_SIZE,
      fetches: this.#fetches,
      evictions: this.#pages.evictions,
    };
  }

  has(page: PageNumber): boolean {
    return this.#pages.has(page);
  }

  page(page: PageNumber): Uint8Array {
    return this.#pages.page(page);
  }

  apply(writes: readonly PageWrite[]): Ticket {
    const ticket = this.#pages.apply(writes);
    if (this.#flights.size > 0) for (const { page } of writes) this.#flights.delete(page);
    return ticket;
  }

  async prepare(lacking: NotReady): Promise<void> {
    if (lacking.mapPages > this.mappedPages) await this.#sink.grow(lacking.mapPages);
    const wanted = lacking.pages.filter((page) => !this.has(page)).map((page) => this.#await(page));
    this.#guess(lacking.ahead);
    this.#guess(this.#around(lacking.pages));
    this.#takeOff();
    await Promise.all(wanted.map(({ landed }) => landed.promise));
    if (lacking.room) await this.#room();
  }

  willNeed(pages: readonly PageNumber[]): void {
    this.#guess(pages);
    this.#takeOff();
  }

  /**
   * Brings in what will be wanted, behind what somebody waits for; resolves when it is here. What cannot be read is left out.
   * The caller sees to it that there is room: pages that come push others out.
   */
  async prefetch(pages: readonly PageNumber[]): Promise<void> {
    const landed: Promise<void>[] = [];
    for (const page of pages) {
      if (this.has(page)) continue;
      let flight = this.#flights.get(page);
      if (!flight) this.#ahead.push((flight = this.#book(page)));
      landed.push(flight.landed.promise.catch(() => {}));
    }
    this.#takeOff();
    this.#prefetches++;
    await Promise.all(landed);
    this.#prefetches--;
  }

  whenDurable(ticket: Ticket): Promise<void> {
    return this.#sink.whenDurable(ticket);
  }

  *#around(pages: readonly PageNumber[]): Iterable<PageNumber> {
    const { pagesHeld, capacity } = this.#pages;
    // Who knows what will be wanted guesses better.
    if (this.#prefetches > 0) return;
    if (capacity < AROUND_FRAMES_MIN || pagesHeld >= capacity / 2) return;
    let first = -AROUND_PAGES;
    for (const missing of pages) {
      // Neighbours have the same around them.
      if (missing >= first && missing < first + AROUND_PAGES) continue;
      first = missing - (missing % AROUND_PAGES);
      const end = Math.min(first + AROUND_PAGES, this.mappedPages);
      for (let page = first; page < end; page++) yield page as PageNumber;
    }
  }

  /** Frames lack only while every page in them waits for the log: what is applied now is enough to free them. */
  #room(): Promise<void> {
    const { refused } = this.#pages;
    return refused
      ? this.#sink.whenRoom(refused.bytes, refused.records)
      : this.#sink.whenDurable(this.#sink.applied);
  }

  /** Everybody who waits for a page waits for one fetch. */
  #await(page: PageNumber): Flight {
    const flight = this.#flights.get(page) ?? this.#book(page);
    if (!flight.begun) this.#awaited.push(flight);
    return flight;
  }

  /** Guesses that wait too long are worth nothing; those that fail are nobody's error. */
  #guess(pages: Iterable<PageNumber>): void {
    const most = Math.min(AHEAD_MAX, this.#pages.capacity * AHEAD_OF_FRAMES);
    for (const page of pages) {
      if (this.#flights.size >= most) return;
      if (this.has(page) || this.#flights.has(page)) continue;
      const flight = this.#book(page);
      flight.landed.promise.catch(() => {});
      this.#ahead.push(flight);
    }
  }

  #book(page: PageNumber): Flight {
    const flight = { page, landed: new Deferred<void>(), begun: false };
    this.#flights.set(page, flight);
    return flight;
  }

  #takeOff(): void {
    while (this.#requests < REQUESTS_MAX) {
      const group =
        this.#next(this.#awaited) ?? (this.#requests < GUESSES_MAX ? this.#next(this.#ahead) : undefined);
      if (!group) return;
      void this.#fly(group);
    }
  }

  /** The first of those that wait, at most as many as go in one request. */
  #next(queue: Flight[]): Flight[] | undefined {
    const group: Flight[] = [];
    let taken = 0;
    while (group.length < READ_PAGES_MAX && taken < queue.length) {
      const flight = queue[taken++];
      if (flight.begun) continue;
      flight.begun = true;
      if (this.#isOvertaken(flight)) flight.landed.resolve();
      else group.push(flight);
    }
    queue.splice(0, taken);
    return group.length > 0 ? group : undefined;
  }

  async #fly(group: readonly Flight[]): Promise<void> {
    this.#requests++;
    this.#fetches += group.length;
    const contents = this.#sink.readMany(group.map(({ page }) => page));
    // The first that is there makes room for another request: one that is hard to get takes its time without it.
    await Promise.race(group.map((flight, at) => this.#land(flight, contents[at])));
    this.#requests--;
    this.#takeOff();
  }

  async #land(flight: Flight, fetched: Promise<Uint8Array | undefined>): Promise<void> {
    const { page, landed } = flight;
    let content: Uint8Array | undefined;
    try {
      content = await fetched;
      while (!this.#isOvertaken(flight) && !this.#pages.admit(page, content))
        await this.#sink.whenDurable(this.#sink.applied);
      landed.resolve();
    } catch (error) {
      landed.reject(error);
    } finally {
      if (content) this.#sink.giveBack?.(content);
      if (!this.#isOvertaken(flight)) this.#flights.delete(page);
    }
  }

  #isOvertaken(flight: Flight): boolean {
    return this.#flights.get(flight.page) !== flight;
  }
}
