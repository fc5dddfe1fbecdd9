/**
 * What lies below the page cache: it takes mini-transactions as encoded records, in order, and gives pages back.
 * The volume's writer is one, in the thread of the event loop; in an engine's worker a proxy over shared memory is one.
 *
 * Invariants that the cache relies on:
 * - Tickets grow by `append` alone and compare in its order; `durable <= applied`, and neither ever falls.
 * - A page that the cache dropped had a ticket <= `durable` at that moment; `read` answers no older content than that.
 */
import type { PageNumber } from '@rokka/kernel';
import type { Ticket } from './page-store.ts';

/** Longest mini-transaction. Whoever makes one splits longer work; the cache asserts it. */
export const MTR_BYTES_MAX = 4 * 1024 * 1024;

export interface RecordSink {
  /** Pages [0, mappedPages) may be written. */
  readonly mappedPages: number;
  /** Most pages that can ever be mapped. */
  readonly pagesMax: number;
  /** The ticket of the last `append`, whether durable or not. */
  readonly applied: Ticket;
  /** Everything up to here survives the loss of any two nodes or of one zone. */
  readonly durable: Ticket;
  /**
   * Whether the sink gave the page's content and has no record of it (a clone's page that is its base's): the next record must
   * be an INIT that carries all of it. Never true where the method is missing.
   */
  inherits?(page: PageNumber): boolean;
  /**
   * Whether a mini-transaction of this many bytes and records may be appended now. False is back-pressure (trap 29:
   * the allocation limit). With nothing outstanding it must be true up to MTR_BYTES_MAX, else a writer waits for ever.
   */
  hasRoom(bytes: number, records: number): boolean;
  /**
   * Takes one mini-transaction: `recordCount` records (at least one) as `encodeRecord` lays them out, back to back, their
   * seal fields blank. The bytes belong to the sink from the call on: it seals them in place and sends them without a
   * copy, and the cache never writes to them again. The cache may read the ranges when `append` has returned, so the
   * sink changes nothing but the seal fields. The bytes lie in a larger buffer that later mini-transactions share.
   *
   * Only after `hasRoom` said yes. All or nothing: where it throws, nothing was appended.
   *
   * @throws VOLUME_FENCED where another writer took the volume over
   */
  append(mtr: Uint8Array, recordCount: number): Ticket;
}

/** The waiting half. All of these reject with VOLUME_FENCED, or with the reason for closing, once the sink has ended. */
export interface AsyncRecordSink extends RecordSink {
  /**
   * Each page as of `durable` at the time of the call, or of any later durable point. PAGE_SIZE bytes that belong to the
   * caller, for as long as it likes or until it gives them back, or undefined for a page never written (all zeroes). Many reads may be in flight, and those of one call cost
   * less than as many calls; a page that cannot be read holds up none of the others.
   *
   * @throws by page: VOLUME_UNREADABLE where no quorum answers
   */
  readMany(pages: readonly PageNumber[]): Promise<Uint8Array | undefined>[];
  /** The caller has no use for a content of `readMany` any more: other reads may have its memory. Nobody has to say so. */
  giveBack?(content: Uint8Array): void;
  /** Maps at least [0, mapPages). Calls for what is mapped already, or is being mapped, are cheap. @throws VOLUME_FULL */
  grow(mapPages: number): Promise<void>;
  /** Resolves when `hasRoom(bytes, records)`; at once where it has. Room may be gone again when the caller wakes up. */
  whenRoom(bytes: number, records: number): Promise<void>;
  /** Resolves when `durable >= ticket`. */
  whenDurable(ticket: Ticket): Promise<void>;
}
