/**
 * Mini-transactions on their way from an engine's worker to the event loop: a bounded ring of bytes in shared memory
 * with one producer and one consumer. Neither side waits here; SharedControl has the waiting.
 *
 * Entry: u32 byte length, u32 record count, the bytes, padding to 8. Positions count bytes modulo 2^32; the capacity is a
 * power of two, so they wrap together. A position is stored atomically after the bytes that it covers, which makes
 * those bytes visible to the other side: an entry is there as a whole or not at all, also when the worker is killed.
 */
import { assert, copyBytes } from '@rokka/kernel';

const ENTRY_HEADER_BYTES = 8;
const CAPACITY_MIN = 64;
const CAPACITY_MAX = 2 ** 30;

export interface RingEntry {
  readonly bytes: number;
  readonly records: number;
}

export class SharedRing {
  readonly capacityBytes: number;
  readonly #bytes: Uint8Array;
  readonly #words: Uint32Array;
  readonly #positions: Int32Array;
  readonly #head: number;
  readonly #tail: number;

  /** `head` and `tail` are indices in `positions`: the consumer stores the first, the producer the second. */
  constructor(memory: SharedArrayBuffer, positions: { words: Int32Array; head: number; tail: number }) {
    const capacity = memory.byteLength;
    assert(
      capacity >= CAPACITY_MIN && capacity <= CAPACITY_MAX && (capacity & (capacity - 1)) === 0,
      () => `a ring of ${capacity} bytes; take a power of two`,
    );
    this.capacityBytes = capacity;
    this.#bytes = new Uint8Array(memory);
    this.#words = new Uint32Array(memory);
    this.#positions = positions.words;
    this.#head = positions.head;
    this.#tail = positions.tail;
  }

  /** Capacity that takes a mini-transaction of `bytes`. */
  static entryBytes(bytes: number): number {
    return ENTRY_HEADER_BYTES + Math.ceil(bytes / 8) * 8;
  }

  /** For the producer. */
  hasRoom(bytes: number): boolean {
    const entry = SharedRing.entryBytes(bytes);
    assert(entry <= this.capacityBytes, () => `entry of ${entry} bytes in a ring of ${this.capacityBytes}`);
    return entry <= this.capacityBytes - this.usedBytes;
  }

  /** For the producer: copies `mtr` in. */
  push(mtr: Uint8Array, records: number): void {
    assert(this.hasRoom(mtr.length), 'push without room');
    const tail = Atomics.load(this.#positions, this.#tail);
    const header = this.#index(tail) / 4;
    this.#words[header] = mtr.length;
    this.#words[header + 1] = records;
    const at = this.#index(tail + ENTRY_HEADER_BYTES);
    const first = Math.min(mtr.length, this.capacityBytes - at);
    copyBytes(this.#bytes, first === mtr.length ? mtr : mtr.subarray(0, first), at);
    if (first < mtr.length) copyBytes(this.#bytes, mtr.subarray(first));
    Atomics.store(this.#positions, this.#tail, tail + SharedRing.entryBytes(mtr.length));
  }

  /** For the consumer: the first entry's size; undefined where the ring is empty. */
  peek(): RingEntry | undefined {
    if (this.usedBytes === 0) return undefined;
    const header = this.#index(Atomics.load(this.#positions, this.#head)) / 4;
    return { bytes: this.#words[header], records: this.#words[header + 1] };
  }

  /** For the consumer: moves the first entry's bytes to `into`, which is as long as `peek` said. */
  shift(into: Uint8Array): void {
    const entry = SharedRing.entryBytes(into.length);
    assert(entry <= this.usedBytes, 'shift of more than the ring holds');
    const head = Atomics.load(this.#positions, this.#head);
    const at = this.#index(head + ENTRY_HEADER_BYTES);
    const first = Math.min(into.length, this.capacityBytes - at);
    copyBytes(into, this.#bytes.subarray(at, at + first));
    if (first < into.length) copyBytes(into, this.#bytes.subarray(0, into.length - first), first);
    Atomics.store(this.#positions, this.#head, head + entry);
  }

  get usedBytes(): number {
    const tail = Atomics.load(this.#positions, this.#tail);
    return (tail - Atomics.load(this.#positions, this.#head)) >>> 0;
  }

  #index(position: number): number {
    return position & (this.capacityBytes - 1);
  }
}
