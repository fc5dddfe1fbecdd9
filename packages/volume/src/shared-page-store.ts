/**
 * The volume's pages for an engine in a worker thread, which cannot await anything: every call answers, and blocks the
 * thread where something has to be waited for. The cache is the worker's own; its records leave through shared memory,
 * and what it lacks comes back through it. The other half is SharedPageHost.
 *
 * Nothing throws NotReady here. Once the host has ended (the volume was taken over, or is being closed) every call throws
 * its coded error. An engine whose file calls must not throw (WebAssembly retries what it does not know, for ever) asks
 * `failure` and parks itself until its owner kills the worker.
 *
 * A view from `page` stays whole during the next VIEWS_KEPT - 1 calls of `page`, and until the next `apply`.
 */
import { assert, type CodedError, type PageNumber } from '@rokka/kernel';
import { CachedPages, PAGE_CACHE_BYTES_DEFAULT } from './cached-pages.ts';
import { NotReady, type PageStore, type PageWrite, type Ticket } from './page-store.ts';
import type { RecordSink } from './record-sink.ts';
import { FETCH_PAGES_MAX, REQUEST, SharedControl, type SharedPageMemory } from './shared-control.ts';

/**
 * While little is in memory, a miss brings its whole neighbourhood: an engine that starts looks at a few hundred pages, which lie close together and
 * of which each would cost two threads and a node a round. It goes backwards through some of them, so that a run alone would not do.
 */
const NEIGHBOURS = 16;
const COLD_PAGES_MAX = 2048;

/** So much leaves at once, whatever the host gathers: whoever writes in bulk is not to wait for that. */
const GATHER_BYTES_MAX = 256 * 1024;

/** Pages lately handed out that do not leave for a fetched one: an operation may look at several at once. */
export const VIEWS_KEPT = 16;

export class SharedPageStore implements PageStore {
  readonly #control: SharedControl;
  readonly #sink: RingSink;
  readonly #pages: CachedPages;
  readonly #viewed: PageNumber[];
  #views = 0;
  /** The page that would continue the last run of misses, and how many pages the next fetch of the run takes. */
  #runNext = -1;
  #runPages = 1;

  constructor(memory: SharedPageMemory, options: { sizeBytes?: number } = {}) {
    this.#control = new SharedControl(memory);
    this.#sink = new RingSink(this.#control);
    this.#pages = new CachedPages(this.#sink, { sizeBytes: options.sizeBytes ?? PAGE_CACHE_BYTES_DEFAULT });
    this.#viewed = new Array<PageNumber>(Math.min(VIEWS_KEPT, this.#pages.capacity >> 1)).fill(
      -1 as PageNumber,
    );
  }

  get mappedPages(): number {
    return this.#sink.mappedPages;
  }

  get pagesMax(): number {
    return this.#sink.pagesMax;
  }

  get applied(): Ticket {
    return this.#sink.applied;
  }

  get durable(): Ticket {
    return this.#sink.durable;
  }

  /** Why nothing works any more; undefined while everything does. */
  get failure(): CodedError | undefined {
    return this.#control.end;
  }

  has(page: PageNumber): boolean {
    return this.#pages.has(page);
  }

  page(page: PageNumber): Uint8Array {
    this.#throwIfEnded();
    while (!this.#pages.has(page)) this.#fetchAhead(page);
    if (this.#viewed.length > 0) this.#viewed[this.#views++ % this.#viewed.length] = page;
    return this.#pages.page(page);
  }

  apply(writes: readonly PageWrite[]): Ticket {
    for (;;) {
      this.#throwIfEnded();
      try {
        return this.#pages.apply(writes);
      } catch (error) {
        if (!(error instanceof NotReady)) throw error;
        this.#provide(error, writes);
      }
    }
  }

  /** Blocks until `durable` reaches `ticket`. */
  waitDurable(ticket: Ticket): void {
    assert(ticket <= this.applied, () => `ticket ${ticket} of ${this.applied}`);
    this.#control.blockUntil(() => this.durable >= ticket);
  }

  /** For an engine that can neither go on nor throw: sleeps until the worker is killed. */
  park(): never {
    const never = new Int32Array(new SharedArrayBuffer(4));
    for (;;) Atomics.wait(never, 0, 0);
  }

  #throwIfEnded(): void {
    const { failure } = this;
    if (failure) throw failure;
  }

  #provide(lacking: NotReady, writes: readonly PageWrite[]): void {
    const { refused } = this.#pages;
    if (lacking.mapPages > this.mappedPages)
      this.#control.ask(REQUEST.GROW, [lacking.mapPages as PageNumber]);
    const kept = new Set(writes.map((write) => write.page));
    for (let from = 0; from < lacking.pages.length; from += FETCH_PAGES_MAX)
      this.#fetch(lacking.pages.slice(from, from + FETCH_PAGES_MAX), kept);
    if (!lacking.room) return;
    if (refused) this.#control.blockUntil(() => this.#sink.hasRoom(refused.bytes));
    else this.waitDurable(this.applied);
  }

  /** Brings pages in that are not here. Only this thread writes, so none of them changes while it waits. */
  #fetch(pages: readonly PageNumber[], kept: Iterable<PageNumber>): void {
    this.#control.ask(REQUEST.FETCH, pages);
    // Backwards, so that the page that was asked for comes last and cannot leave for one that was read ahead.
    for (let index = pages.length - 1; index >= 0; index--)
      while (!this.#pages.admit(pages[index], this.#control.content(index), kept))
        this.waitDurable(this.applied);
  }

  /** What cannot be read beside a page keeps nobody from the page. */
  #fetchAhead(page: PageNumber): void {
    const pages = this.#readAhead(page);
    try {
      this.#fetch(pages, this.#viewed);
    } catch (error) {
      if (pages.length === 1 || this.failure) throw error;
      this.#fetch([page], this.#viewed);
    }
  }

  /** Misses one behind the other double what a fetch takes: a scan then waits once for many pages. */
  #readAhead(page: PageNumber): PageNumber[] {
    const most = Math.min(FETCH_PAGES_MAX, this.#pages.capacity >> 2);
    if (page !== this.#runNext && this.#isCold) return this.#neighbours(page);
    this.#runPages = page === this.#runNext ? Math.min(this.#runPages * 2, most) : 1;
    const pages = [page];
    for (let next = page + 1; pages.length < this.#runPages; next++) {
      if (this.#pages.has(next as PageNumber)) break;
      pages.push(next as PageNumber);
    }
    this.#runNext = page + pages.length;
    return pages;
  }

  get #isCold(): boolean {
    const { capacity, pagesHeld } = this.#pages;
    return NEIGHBOURS <= capacity >> 4 && pagesHeld < Math.min(COLD_PAGES_MAX, capacity >> 2);
  }

  #neighbours(page: PageNumber): PageNumber[] {
    const from = page - (page % NEIGHBOURS);
    const to = Math.min(from + NEIGHBOURS, this.mappedPages);
    const pages = [page];
    for (let one = from as PageNumber; one < to; one++)
      if (one !== page && !this.#pages.has(one)) pages.push(one);
    this.#runNext = Math.max(to, page + 1);
    this.#runPages = pages.length;
    return pages;
  }
}

/** Tickets are counts of this worker's mini-transactions; the host knows what they mean below. */
class RingSink implements RecordSink {
  readonly #control: SharedControl;
  #applied = 0;

  constructor(control: SharedControl) {
    this.#control = control;
    assert(control.put === 0, 'a worker begins with shared memory of its own');
  }

  get mappedPages(): number {
    return this.#control.mappedPages;
  }

  get pagesMax(): number {
    return this.#control.pagesMax;
  }

  get applied(): Ticket {
    return this.#applied as Ticket;
  }

  get durable(): Ticket {
    return this.#control.durable as Ticket;
  }

  hasRoom(bytes: number): boolean {
    return this.#control.ring.hasRoom(bytes);
  }

  append(mtr: Uint8Array, recordCount: number): Ticket {
    const { ring } = this.#control;
    ring.push(mtr, recordCount);
    this.#control.put = ++this.#applied;
    this.#control.wakeHost();
    if (ring.usedBytes >= GATHER_BYTES_MAX) this.#control.hurry();
    return this.applied;
  }
}
