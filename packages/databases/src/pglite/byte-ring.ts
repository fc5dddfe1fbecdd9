/**
 * A ring of bytes in shared memory between two threads, one writing and one reading.
 *
 * Invariants: `written` and `read` are running totals modulo 2^32; only the writer moves `written`, only the reader moves
 * `read`, each after it has finished with the bytes; 0 <= written - read <= capacity. The capacity is a power of two, so
 * that positions stay right when the totals wrap.
 *
 * Waits look at the total itself and go on waiting until it has moved. Whether Atomics.wait said "ok" or "timed-out" means
 * nothing: a notify that comes late, meant for an earlier wait, would otherwise be taken for news.
 */
import { assert } from '@rokka/kernel';

const WRITTEN = 0;
const READ = 1;
const CONTROL_BYTES = 64;

export class ByteRing {
  readonly capacityBytes: number;
  readonly #control: Int32Array;
  readonly #data: Uint8Array;

  /** The ring that lies in `memory`; both threads make one over the same memory. */
  constructor(memory: SharedArrayBuffer) {
    this.capacityBytes = memory.byteLength - CONTROL_BYTES;
    assert((this.capacityBytes & (this.capacityBytes - 1)) === 0, 'the capacity must be a power of two');
    this.#control = new Int32Array(memory, 0, 2);
    this.#data = new Uint8Array(memory, CONTROL_BYTES);
  }

  static memory(capacityBytes: number): SharedArrayBuffer {
    return new SharedArrayBuffer(CONTROL_BYTES + capacityBytes);
  }

  get usedBytes(): number {
    return (this.written - this.read) >>> 0;
  }

  get roomBytes(): number {
    return this.capacityBytes - this.usedBytes;
  }

  /** Bytes ever written, modulo 2^32 and signed, as all positions here: compare them by `(a - b) | 0`. */
  get written(): number {
    return Atomics.load(this.#control, WRITTEN);
  }

  get read(): number {
    return Atomics.load(this.#control, READ);
  }

  /** Writes as much of `bytes` as there is room for and answers how much that was. */
  put(bytes: Uint8Array): number {
    const written = this.written;
    const count = Math.min(bytes.length, this.roomBytes);
    if (count === 0) return 0;
    const at = written & (this.capacityBytes - 1);
    const first = Math.min(count, this.capacityBytes - at);
    this.#data.set(bytes.subarray(0, first), at);
    if (first < count) this.#data.set(bytes.subarray(first, count), 0);
    Atomics.store(this.#control, WRITTEN, written + count);
    Atomics.notify(this.#control, WRITTEN);
    return count;
  }

  /** Moves at most `into.length` bytes out of the ring and answers how many. */
  take(into: Uint8Array): number {
    const count = this.peek(into);
    if (count > 0) {
      Atomics.store(this.#control, READ, this.read + count);
      Atomics.notify(this.#control, READ);
    }
    return count;
  }

  /** As `take`, but leaves the bytes in the ring. */
  peek(into: Uint8Array): number {
    const count = Math.min(into.length, this.usedBytes);
    const at = this.read & (this.capacityBytes - 1);
    const first = Math.min(count, this.capacityBytes - at);
    into.set(this.#data.subarray(at, at + first));
    if (first < count) into.set(this.#data.subarray(0, count - first), first);
    return count;
  }

  /** Blocks this thread until bytes are there, or for `timeoutMs`. Never on the thread of the event loop. */
  waitForBytes(timeoutMs: number): boolean {
    const written = this.written;
    if (this.usedBytes > 0) return true;
    Atomics.wait(this.#control, WRITTEN, written, timeoutMs);
    return this.usedBytes > 0;
  }

  /** Blocks this thread until more is written than was when it was called, or for `timeoutMs`. */
  waitForMore(written: number, timeoutMs: number): void {
    Atomics.wait(this.#control, WRITTEN, written, timeoutMs);
  }

  /** Blocks this thread until there is room for `bytes`, or for `timeoutMs`. */
  waitForRoom(bytes: number, timeoutMs: number): boolean {
    assert(bytes <= this.capacityBytes, () => `${bytes} bytes never fit into ${this.capacityBytes}`);
    const read = this.read;
    if (this.roomBytes >= bytes) return true;
    Atomics.wait(this.#control, READ, read, timeoutMs);
    return this.roomBytes >= bytes;
  }
}
