/**
 * A record sink for tests that moves only when told to: what is appended becomes durable, and reads come back, in steps
 * that the test chooses. It gives the oldest answers that the interface allows, and seals records in place as the
 * writer does.
 */
import assert from 'node:assert/strict';
import { Deferred, PAGE_SIZE, type CodedError, type Epoch, type Lsn, type PageNumber } from '@rokka/kernel';
import { applyRecord, readRecordHeader, recordIsSound, recordLengthAt, sealRecord } from '@rokka/quorum';
import { DurabilityWaiters } from '../durability.ts';
import type { Ticket } from '../page-store.ts';
import type { AsyncRecordSink } from '../record-sink.ts';

export type Pages = Map<PageNumber, Uint8Array>;

export class FakeSink implements AsyncRecordSink {
  readonly pagesMax = 1 << 20;
  readonly mtrs: Uint8Array[] = [];
  /** The pages as of `durable`. */
  readonly pages: Pages = new Map();
  readonly reads: {
    page: PageNumber;
    content: Uint8Array | undefined;
    answer: Deferred<Uint8Array | undefined>;
  }[] = [];
  mappedPages: number;
  #durable = 0;
  #failure: CodedError | undefined;
  readonly #outstandingMax: number;
  readonly #waiters = new DurabilityWaiters();

  constructor(options: { mappedPages?: number; outstandingMax?: number } = {}) {
    this.mappedPages = options.mappedPages ?? 1024;
    this.#outstandingMax = options.outstandingMax ?? 1000;
  }

  get applied(): Ticket {
    return this.mtrs.length as Ticket;
  }

  get durable(): Ticket {
    return this.#durable as Ticket;
  }

  hasRoom(): boolean {
    return this.mtrs.length - this.#durable < this.#outstandingMax;
  }

  append(mtr: Uint8Array, recordCount: number): Ticket {
    if (this.#failure) throw this.#failure;
    assert.ok(this.hasRoom(), 'append without room');
    const records = [...recordsOf(mtr)];
    assert.equal(records.length, recordCount);
    assert.equal(new Set(records.map(pageOf)).size, recordCount, 'one record a page');
    for (const record of records) {
      assert.ok(
        record.subarray(4, 40).every((byte) => byte === 0),
        'seal fields are blank',
      );
      seal(record, this.mtrs.length + 1);
      assert.ok(recordIsSound(record));
    }
    this.mtrs.push(mtr);
    return this.applied;
  }

  readMany(pages: readonly PageNumber[]): Promise<Uint8Array | undefined>[] {
    return pages.map((page) => this.read(page));
  }

  read(page: PageNumber): Promise<Uint8Array | undefined> {
    if (this.#failure) return Promise.reject(this.#failure);
    const answer = new Deferred<Uint8Array | undefined>();
    this.reads.push({ page, content: this.pages.get(page)?.slice(), answer });
    return answer.promise;
  }

  async grow(mapPages: number): Promise<void> {
    this.mappedPages = Math.max(this.mappedPages, mapPages);
  }

  async whenRoom(): Promise<void> {
    if (!this.hasRoom()) await this.whenDurable((this.applied - this.#outstandingMax + 1) as Ticket);
  }

  whenDurable(ticket: Ticket): Promise<void> {
    return this.#waiters.wait(ticket, this.durable);
  }

  /** Makes the next `count` mini-transactions durable. */
  advance(count: number): void {
    const to = Math.min(this.mtrs.length, this.#durable + count);
    for (; this.#durable < to; this.#durable++) replayMtr(this.mtrs[this.#durable], this.pages);
    this.#waiters.advance(this.durable);
  }

  /** Answers the read at this place in the queue. */
  land(index: number): void {
    const [read] = this.reads.splice(index, 1);
    read?.answer.resolve(read.content);
  }

  fail(error: CodedError): void {
    this.#failure = error;
    this.#waiters.fail(error);
    for (const read of this.reads.splice(0)) read.answer.reject(error);
  }
}

export function* recordsOf(mtr: Uint8Array): Generator<Uint8Array> {
  const view = new DataView(mtr.buffer, mtr.byteOffset, mtr.byteLength);
  for (let at = 0; at < mtr.length;) {
    const length = recordLengthAt(view, at);
    assert.ok(length, 'a whole record');
    yield mtr.subarray(at, at + length);
    at += length;
  }
}

export function replayMtr(mtr: Uint8Array, pages: Pages): void {
  for (const record of recordsOf(mtr)) {
    const page = pageOf(record);
    const content = pages.get(page) ?? new Uint8Array(PAGE_SIZE);
    applyRecord(record, content);
    pages.set(page, content);
  }
}

export function pageOf(record: Uint8Array): PageNumber {
  return readRecordHeader(new DataView(record.buffer, record.byteOffset, record.byteLength), 0).page;
}

function seal(record: Uint8Array, lsn: number): void {
  sealRecord(record, {
    lsn: lsn as Lsn,
    previousVolumeLsn: (lsn - 1) as Lsn,
    previousPgLsn: (lsn - 1) as Lsn,
    previousPageLsn: 0 as Lsn,
    volumeEpoch: 1 as Epoch,
    pg: 0 as never,
    cpl: true,
  });
}
