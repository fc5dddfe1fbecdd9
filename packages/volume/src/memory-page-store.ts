/**
 * A page store in memory that keeps the list of its mini-transactions, so that tests can replay any prefix of them:
 * what a filesystem looks like after a crash at that point. Not a volume: nothing here is durable.
 */
import { PAGE_SIZE, type PageNumber } from '@rokka/kernel';
import { NotReady, type AsyncPageStore, type PageWrite, type Ticket } from './page-store.ts';

export class MemoryPageStore implements AsyncPageStore {
  readonly pagesMax: number;
  readonly history: PageWrite[][] = [];
  #mappedPages: number;
  readonly #pagesPerGroup: number;
  readonly #pages = new Map<PageNumber, Uint8Array>();
  readonly #absent = new Set<PageNumber>();
  /** Pages whose bytes no other store has. */
  readonly #own = new Set<PageNumber>();

  constructor(options: { pagesPerGroup?: number; pagesMax?: number } = {}) {
    this.#pagesPerGroup = options.pagesPerGroup ?? 4096;
    this.pagesMax = options.pagesMax ?? 1 << 24;
    this.#mappedPages = this.#pagesPerGroup;
  }

  /** The store as it would be had only the first `count` mini-transactions survived. */
  static replay(history: readonly (readonly PageWrite[])[], count: number, options = {}): MemoryPageStore {
    const store = new MemoryPageStore(options);
    store.follow(history.slice(0, count));
    return store;
  }

  /** Applies what another store has recorded. */
  follow(history: readonly (readonly PageWrite[])[]): void {
    for (const writes of history) {
      for (const { page } of writes)
        while (page >= this.#mappedPages) this.#mappedPages += this.#pagesPerGroup;
      this.apply(writes);
    }
  }

  /** A store that begins with the pages of this one and an empty history. Neither sees what is written to the other. */
  branch(): MemoryPageStore {
    const branch = new MemoryPageStore({ pagesPerGroup: this.#pagesPerGroup, pagesMax: this.pagesMax });
    branch.#mappedPages = this.#mappedPages;
    for (const [page, content] of this.#pages) branch.#pages.set(page, content);
    for (const page of this.#absent) branch.#absent.add(page);
    this.#own.clear();
    return branch;
  }

  get mappedPages(): number {
    return this.#mappedPages;
  }

  get applied(): Ticket {
    return this.history.length as Ticket;
  }

  get durable(): Ticket {
    return this.applied;
  }

  /** Pushes pages out of memory, so that the next use of each meets NotReady. */
  evict(pages: Iterable<PageNumber>): void {
    for (const page of pages) this.#absent.add(page);
  }

  /** Every page that was ever written. */
  pagesHeld(): PageNumber[] {
    return [...this.#pages.keys()];
  }

  has(page: PageNumber): boolean {
    return !this.#absent.has(page);
  }

  page(page: PageNumber): Uint8Array {
    if (!this.has(page)) throw new NotReady({ pages: [page] });
    return this.#pages.get(page) ?? new Uint8Array(PAGE_SIZE);
  }

  apply(writes: readonly PageWrite[]): Ticket {
    const beyond = writes.find((write) => write.page >= this.#mappedPages);
    if (beyond) throw new NotReady({ mapPages: beyond.page + 1 });
    const missing = writes.filter((write, index) => {
      const initialised = writes
        .slice(0, index + 1)
        .some((earlier) => earlier.page === write.page && earlier.init);
      return !initialised && !this.has(write.page);
    });
    if (missing.length > 0) throw new NotReady({ pages: missing.map((write) => write.page) });
    for (const { page, offset, bytes, init } of writes) {
      this.#absent.delete(page);
      this.#writable(page, init === true).set(bytes, offset);
    }
    // Not slice(): a Buffer's is a view, and whoever wrote may use its buffer again.
    this.history.push(writes.map((write) => ({ ...write, bytes: new Uint8Array(write.bytes) })));
    return this.applied;
  }

  #writable(page: PageNumber, init: boolean): Uint8Array {
    const former = init ? undefined : this.#pages.get(page);
    if (former && this.#own.has(page)) return former;
    const content = former?.slice() ?? new Uint8Array(PAGE_SIZE);
    this.#pages.set(page, content);
    this.#own.add(page);
    return content;
  }

  async prepare(lacking: NotReady): Promise<void> {
    for (const page of lacking.pages) this.#absent.delete(page);
    while (this.#mappedPages < lacking.mapPages) this.#mappedPages += this.#pagesPerGroup;
  }

  async whenDurable(): Promise<void> {}
}
