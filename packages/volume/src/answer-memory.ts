/**
 * Memory for what storage nodes answer to reads, used again when everything has been taken out of it: memory of its own for each
 * answer would be the collector's, which looks through the whole heap for every few megabytes of it.
 *
 * Only what was `lent` comes back, and only when each content of the answer was given back. Whatever is forgotten, or goes a way on which
 * nobody gives it back, is the collector's after all.
 */
import { assert, PAGE_SIZE, Slabs } from '@rokka/kernel';
import { READ_PAGES_MAX, type ReadAnswer } from '@rokka/storage';

/** Beside the contents: more than the head of an answer takes, and less than a page. */
const HEAD_BYTES_MAX = 1024;
/** An answer of one page, and one of as many as there may be; of each about what is in flight. */
const SIZES = [
  { pages: 1, kept: 64 },
  { pages: READ_PAGES_MAX, kept: 8 },
];

/** One piece, and who has it: nobody, whoever awaits the answer, or those whose contents have not been given back. */
interface Piece {
  readonly from: Slabs;
  readonly slab: Buffer;
  isFree: boolean;
  /** A bit for each content that was handed out and not given back; 0 where none was lent. */
  out: number;
}

export class AnswerMemory {
  readonly #sizes = SIZES.map(
    ({ pages, kept }) => new Slabs({ bytes: pages * PAGE_SIZE + HEAD_BYTES_MAX, kept }),
  );
  /** For as long as there is that memory: entries that come and go with each answer make the collector look through the old heap, too. */
  readonly #pieces = new WeakMap<ArrayBufferLike, Piece>();

  /** Memory for an answer of so many bytes; undefined for one that is longer than any. */
  take(length: number): Uint8Array | undefined {
    const from = this.#sizes.find(({ bytes }) => bytes >= length);
    if (!from) return undefined;
    const slab = from.take();
    const known = this.#pieces.get(slab.buffer);
    assert(known?.isFree !== false, 'memory is given to one answer at a time');
    if (known) known.isFree = false;
    else this.#pieces.set(slab.buffer, { from, slab, isFree: false, out: 0 });
    return slab.subarray(0, length);
  }

  /** The contents of the answer are handed out, and each of them that is not empty will be given back, or none. */
  lend(answer: ReadAnswer): void {
    const piece = this.#pieceOf(answer);
    if (!piece) return;
    for (const { content } of answer) if (content.length > 0) piece.out |= bitOf(content);
    if (piece.out === 0) free(piece);
  }

  /** Nobody has seen the answer, or will. */
  discard(answer: ReadAnswer): void {
    const piece = this.#pieceOf(answer);
    if (!piece) return;
    assert(piece.out === 0, 'what was lent is given back content by content');
    free(piece);
  }

  /** Nobody looks at this content any more. Nothing happens where it is not one that was lent. */
  giveBack(content: Uint8Array): void {
    const piece = this.#pieces.get(content.buffer);
    if (!piece || piece.out === 0) return;
    const bit = bitOf(content);
    assert((piece.out & bit) !== 0, 'a content is given back once');
    piece.out &= ~bit;
    if (piece.out === 0) free(piece);
  }

  #pieceOf(answer: ReadAnswer): Piece | undefined {
    return this.#pieces.get(answer[0].content.buffer);
  }
}

function free(piece: Piece): void {
  assert(!piece.isFree, 'memory is given back once');
  piece.isFree = true;
  piece.from.give(piece.slab);
}

/** Contents lie one after the other behind a head that is shorter than a page: each begins in another page of the memory. */
function bitOf(content: Uint8Array): number {
  return 1 << Math.floor(content.byteOffset / PAGE_SIZE);
}
