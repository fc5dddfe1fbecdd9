/**
 * Hands out LSNs, a contiguous batch for each mini-transaction, and says when the writer must wait: it may not run more
 * than LSN_ALLOCATION_LIMIT records (P17 §4.2.1) or `outstandingBytesMax` ahead of what is durable. The first bound is
 * also a promise to the next recovery, which annuls exactly that far: no LSN above it may ever have been used.
 *
 * LSNs are never reused: a writer starts above the truncation range of its recovery. Since that range is empty, the limit
 * counts from its end until the VDL has passed it; else a writer that has just recovered could allocate nothing.
 */
import { assert, mutant, type Lsn } from '@rokka/kernel';
import { AscendingRing } from './ascending-ring.ts';

/** Records above the VDL, at most. Recovery must use the largest value that was ever in force. */
export const LSN_ALLOCATION_LIMIT = 10_000_000;

export class LsnAllocator {
  #next: Lsn;
  #durable: Lsn;
  readonly #limit: number;
  readonly #outstandingBytesMax: number;
  /** Last LSN of each outstanding mini-transaction, and the bytes allocated up to its end since the start. */
  readonly #ends = new AscendingRing();
  readonly #bytesThrough = new AscendingRing();
  #allocatedBytes = 0;
  #durableBytes = 0;

  /** @param options.nextLsn first LSN to hand out: 1, or the one above the truncation range */
  constructor(options: { nextLsn: Lsn; outstandingBytesMax: number; allocationLimit?: number }) {
    assert(options.nextLsn >= 1, 'LSN 0 means "before the first record"');
    assert(options.outstandingBytesMax > 0, 'the byte bound must let something through');
    this.#next = options.nextLsn;
    this.#durable = (options.nextLsn - 1) as Lsn;
    this.#limit = options.allocationLimit ?? LSN_ALLOCATION_LIMIT;
    this.#outstandingBytesMax = options.outstandingBytesMax;
  }

  get next(): Lsn {
    return this.#next;
  }

  /** Last LSN handed out, or the one before the first. */
  get last(): Lsn {
    return (this.#next - 1) as Lsn;
  }

  get outstandingBytes(): number {
    return this.#allocatedBytes - this.#durableBytes;
  }

  /**
   * Whether a mini-transaction may be allocated now; if not, wait until the VDL advances. One that is larger than the
   * byte bound passes alone: it would wait for ever otherwise.
   */
  hasRoom(batch: { records: number; sizeBytes: number }): boolean {
    assert(batch.records <= this.#limit, () => `${batch.records} records in one mini-transaction`);
    const limit = mutant('limit-plus-one') ? this.#limit + 1 : this.#limit;
    if (this.last + batch.records > this.#durable + limit) return false;
    return (
      this.outstandingBytes === 0 || this.outstandingBytes + batch.sizeBytes <= this.#outstandingBytesMax
    );
  }

  /** The first LSN of `records` contiguous ones. The caller has seen that there is room. */
  allocate(batch: { records: number; sizeBytes: number }): Lsn {
    assert(batch.records > 0 && batch.sizeBytes > 0, 'an empty mini-transaction');
    assert(this.hasRoom(batch), 'allocation without room');
    const first = this.#next;
    const next = first + batch.records;
    assert(Number.isSafeInteger(next), 'LSNs are used up');
    this.#next = next as Lsn;
    this.#allocatedBytes += batch.sizeBytes;
    this.#ends.push(next - 1);
    this.#bytesThrough.push(this.#allocatedBytes);
    return first;
  }

  /** The VDL advanced. It is the end of a mini-transaction, so whole ones are released. */
  durable(vdl: Lsn): void {
    assert(vdl <= this.last, () => `VDL ${vdl} is above the last allocated LSN ${this.last}`);
    if (vdl <= this.#durable) return;
    this.#durable = vdl;
    const count = this.#ends.countThrough(vdl);
    if (count === 0) return;
    this.#durableBytes = this.#bytesThrough.at(count - 1);
    this.#ends.dropLowest(count);
    this.#bytesThrough.dropLowest(count);
  }
}
