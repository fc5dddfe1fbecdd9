/**
 * Memory for encoded mini-transactions. They are carved one after the other out of large chunks and then belong to the
 * sink, so nothing is copied and nothing is handed back: a chunk goes away with the last mini-transaction in it.
 */
import { assert, type PageNumber } from '@rokka/kernel';
import { encodeRecord, RECORD_HEADER_BYTES, RECORD_RANGE_BYTES } from '@rokka/quorum';
import type { ByteRange } from './changed-ranges.ts';

const CHUNK_BYTES = 256 * 1024;

export class RecordArena {
  #chunk = new Uint8Array(0);
  /** Where the mini-transaction being made begins and ends; what lies before it has been given away. */
  #start = 0;
  #end = 0;

  /** Bytes added since the last `begin` or `take`. */
  get bytes(): number {
    return this.#end - this.#start;
  }

  /** Forgets what was added and not taken. A large mini-transaction that says how large it will be is not moved while it grows. */
  begin(expectedBytes = 0): void {
    this.#end = this.#start;
    if (this.#start + expectedBytes <= this.#chunk.length) return;
    this.#chunk = new Uint8Array(Math.max(CHUNK_BYTES, expectedBytes));
    this.#start = 0;
    this.#end = 0;
  }

  /** Room for `bytes` more of this mini-transaction. The caller fills it. */
  reserve(bytes: number): Uint8Array {
    this.#makeRoom(bytes);
    const at = this.#end;
    this.#end += bytes;
    return this.#chunk.subarray(at, this.#end);
  }

  addRecord(options: {
    page: PageNumber;
    init: boolean;
    ranges: readonly ByteRange[];
    content: Uint8Array;
  }): void {
    let bytes = RECORD_HEADER_BYTES + options.ranges.length * RECORD_RANGE_BYTES;
    for (const range of options.ranges) bytes += range.length;
    this.#makeRoom(bytes);
    const written = encodeRecord(this.#chunk, this.#end, options);
    assert(written === bytes, () => `record of ${written} bytes in a place for ${bytes}`);
    this.#end += bytes;
  }

  /** What was added since `begin`; it is not written to again from here. */
  take(): Uint8Array {
    // What was expected and did not come would be kept for as long as the little that did.
    if (this.#start === 0 && this.#chunk.length > CHUNK_BYTES && this.#end * 2 < this.#chunk.length) {
      const few = this.#chunk.slice(0, this.#end);
      this.#end = 0;
      return few;
    }
    const taken = this.#chunk.subarray(this.#start, this.#end);
    this.#start = this.#end;
    return taken;
  }

  /** A mini-transaction is contiguous: what there is of it moves along to a new chunk. */
  #makeRoom(bytes: number): void {
    if (this.#end + bytes <= this.#chunk.length) return;
    const begun = this.#chunk.subarray(this.#start, this.#end);
    this.#chunk = new Uint8Array(Math.max(CHUNK_BYTES, (begun.length + bytes) * 2));
    this.#chunk.set(begun);
    this.#start = 0;
    this.#end = begun.length;
  }
}
