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
import { CachedPages, PAGE_CACHE_BYTES_DEFAULT } from './cached-pages.ts';
import type { AsyncPageStore, NotReady, PageWrite, Ticket } from './page-store.ts';
import type { AsyncRecordSink } from './record-sink.ts';

/** Enough to hide a storage node's latency, also for pages read ahead; more would only queue up there. */
const FETCHES_MAX = 32;
/**
 * While the cache fills, as after a restart, what lies around a page that is missing is fetched with it: it takes nobody's
 * place, it is likely to be wanted next, and a recovery of PostgreSQL would wait for a storage node at each page.
 */
const AROUND_PAGES = 32;
/** A smaller cache has no room for guesses. */
const AROUND_FRAMES_MIN = 64 * AROUND_PAGES;

interface Flight {
  readonly landed: Promise<void>;
}

export class PageCache implements AsyncPageStore {
  readonly #sink: AsyncRecordSink;
  readonly #pages: CachedPages;
  readonly #flights = new Map<PageNumber, Flight>();
  readonly #waiting: Deferred<void>[] = [];
  #flying = 0;
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
    const wanted = lacking.pages.filter((page) => !this.has(page)).map((page) => this.#fetch(page));
    for (const page of [...lacking.ahead, ...this.#around(lacking.pages)])
      if (!this.has(page)) this.#fetch(page).catch(() => {});
    await Promise.all(wanted);
    if (lacking.room) await this.#room();
  }

  whenDurable(ticket: Ticket): Promise<void> {
    return this.#sink.whenDurable(ticket);
  }

  *#around(pages: readonly PageNumber[]): Iterable<PageNumber> {
    const { pagesHeld, capacity } = this.#pages;
    if (capacity < AROUND_FRAMES_MIN || pagesHeld >= capacity / 2) return;
    for (const missing of pages) {
      const first = missing - (missing % AROUND_PAGES);
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
  #fetch(page: PageNumber): Promise<void> {
    const under = this.#flights.get(page);
    if (under) return under.landed;
    const landed = new Deferred<void>();
    const flight = { landed: landed.promise };
    this.#flights.set(page, flight);
    this.#fly(page, flight).then(landed.resolve, landed.reject);
    return landed.promise;
  }

  async #fly(page: PageNumber, flight: Flight): Promise<void> {
    await this.#takeOff();
    try {
      const overtaken = () => this.#flights.get(page) !== flight;
      if (overtaken()) return;
      this.#fetches++;
      const content = await this.#sink.read(page);
      while (!overtaken() && !this.#pages.admit(page, content))
        await this.#sink.whenDurable(this.#sink.applied);
    } finally {
      if (this.#flights.get(page) === flight) this.#flights.delete(page);
      this.#flying--;
      this.#waiting.shift()?.resolve();
    }
  }

  /** At most FETCHES_MAX at a time, in the order of asking. */
  async #takeOff(): Promise<void> {
    this.#flying++;
    if (this.#flying <= FETCHES_MAX) return;
    const turn = new Deferred<void>();
    this.#waiting.push(turn);
    await turn.promise;
  }
}
