/**
 * Memory that grows, zeroed, out of chunks that are used again from one history to the next: nothing is copied when it grows, and the
 * collector, which counts byte arrays apart from its heap and marks everything for the sake of them, hears of none.
 */
import { assert } from '@rokka/kernel';

const CHUNK_BYTES = 16 * 1024;
/** 32 MiB are kept while nobody uses them: what one history takes at most. */
const CHUNKS_KEPT = 2048;

const free: Uint8Array[] = [];

export class ChunkedBytes {
  readonly #chunks: Uint8Array[] = [];

  /** Room for so many bytes; what is new of it is zero. */
  grow(bytes: number): void {
    while (this.#chunks.length * CHUNK_BYTES < bytes)
      this.#chunks.push(free.pop()?.fill(0) ?? new Uint8Array(CHUNK_BYTES));
  }

  set(bytes: Uint8Array, at: number): void {
    for (let done = 0; done < bytes.length;) {
      const piece = this.#piece(at + done, bytes.length - done);
      piece.set(piece.length === bytes.length ? bytes : bytes.subarray(done, done + piece.length));
      done += piece.length;
    }
  }

  copyInto(into: Uint8Array, at: number): void {
    for (let done = 0; done < into.length;) {
      const piece = this.#piece(at + done, into.length - done);
      into.set(piece, done);
      done += piece.length;
    }
  }

  /** Copies `bytes` from `from` on to `at` in another's. */
  copyTo(other: ChunkedBytes, { from, at, bytes }: { from: number; at: number; bytes: number }): void {
    for (let done = 0; done < bytes;) {
      const piece = this.#piece(from + done, bytes - done);
      other.set(piece, at + done);
      done += piece.length;
    }
  }

  zero(from: number, to: number): void {
    for (let at = from; at < to;) {
      const piece = this.#piece(at, to - at);
      piece.fill(0);
      at += piece.length;
    }
  }

  flip(at: number, bit: number): void {
    const piece = this.#piece(at, 1);
    piece[0] = (piece[0] ?? 0) ^ (1 << bit);
  }

  /** The memory is somebody else's from here on. */
  release(): void {
    for (const chunk of this.#chunks.splice(0)) if (free.length < CHUNKS_KEPT) free.push(chunk);
  }

  /** A view of what lies in one chunk from `at` on, of `bytes` at most. */
  #piece(at: number, bytes: number): Uint8Array {
    const chunk = this.#chunks[Math.floor(at / CHUNK_BYTES)];
    assert(chunk !== undefined, 'out of the memory that there is');
    const start = at % CHUNK_BYTES;
    return chunk.subarray(start, Math.min(CHUNK_BYTES, start + bytes));
  }
}
