/**
 * A record sink in memory that outlives the engine's worker: what a volume is to the engine, without nodes. Durable is what
 * was appended `delayMs` ago, or at once; `pages` are as of the durable point, as the cache above relies on.
 */
import { Deferred, PAGE_SIZE, systemClock, type CodedError, type PageNumber } from '@rokka/kernel';
import { applyRecord, readRecordHeader, recordLengthAt } from '@rokka/quorum';
import type { AsyncRecordSink, Ticket } from '@rokka/volume';

export class MemorySink implements AsyncRecordSink {
  readonly pagesMax = 1 << 22;
  mappedPages = 4096;
  appendedBytes = 0;
  records = 0;
  readonly #delayMs: number;
  readonly #pages = new Map<PageNumber, Uint8Array>();
  readonly #waiting: { ticket: number; mtr: Uint8Array; recordCount: number }[] = [];
  readonly #waiters: { ticket: number; done: Deferred<void> }[] = [];
  #applied = 0;
  #durable = 0;
  #failure: CodedError | undefined;

  constructor(options: { delayMs?: number } = {}) {
    this.#delayMs = options.delayMs ?? 0;
  }

  /** A sink of its own with the same durable pages: a database that was made once serves many tests. */
  clone(options: { delayMs?: number } = {}): MemorySink {
    const copy = new MemorySink({ delayMs: options.delayMs ?? this.#delayMs });
    copy.mappedPages = this.mappedPages;
    for (const [page, content] of this.#pages) copy.#pages.set(page, content.slice());
    return copy;
  }

  get applied(): Ticket {
    return this.#applied as Ticket;
  }

  get durable(): Ticket {
    return this.#durable as Ticket;
  }

  hasRoom(): boolean {
    return true;
  }

  append(mtr: Uint8Array, recordCount: number): Ticket {
    if (this.#failure) throw this.#failure;
    this.#applied++;
    this.appendedBytes += mtr.length;
    this.records += recordCount;
    if (this.#delayMs === 0) {
      this.#apply(mtr);
      this.#reach(this.#applied);
    } else {
      this.#waiting.push({ ticket: this.#applied, mtr: mtr.slice(), recordCount });
      const ticket = this.#applied;
      systemClock.after(this.#delayMs, () => this.#settle(ticket));
    }
    return this.applied;
  }

  readMany(pages: readonly PageNumber[]): Promise<Uint8Array | undefined>[] {
    return pages.map(async (page) => {
      if (this.#failure) throw this.#failure;
      return this.#pages.get(page)?.slice();
    });
  }

  async grow(mapPages: number): Promise<void> {
    this.mappedPages = Math.max(this.mappedPages, mapPages);
  }

  async whenRoom(): Promise<void> {}

  whenDurable(ticket: Ticket): Promise<void> {
    if (this.#failure) return Promise.reject(this.#failure);
    if (ticket <= this.#durable) return Promise.resolve();
    const done = new Deferred<void>();
    this.#waiters.push({ ticket, done });
    return done.promise;
  }

  /** As when another writer takes the volume over. */
  fail(error: CodedError): void {
    this.#failure = error;
    for (const { done } of this.#waiters.splice(0)) done.reject(error);
  }

  #settle(ticket: number): void {
    while (this.#waiting.length > 0 && this.#waiting[0].ticket <= ticket) {
      const next = this.#waiting.shift();
      if (next) this.#apply(next.mtr);
    }
    this.#reach(ticket);
  }

  #reach(ticket: number): void {
    this.#durable = Math.max(this.#durable, ticket);
    for (let i = this.#waiters.length - 1; i >= 0; i--)
      if (this.#waiters[i].ticket <= this.#durable) this.#waiters.splice(i, 1)[0].done.resolve();
  }

  #apply(mtr: Uint8Array): void {
    const view = new DataView(mtr.buffer, mtr.byteOffset, mtr.byteLength);
    for (let at = 0; at < mtr.length;) {
      const { page } = readRecordHeader(view, at);
      const length = recordLengthAt(view, at) ?? mtr.length;
      let content = this.#pages.get(page);
      if (!content) this.#pages.set(page, (content = new Uint8Array(PAGE_SIZE)));
      applyRecord(mtr.subarray(at, at + length), content);
      at += length;
    }
  }
}
