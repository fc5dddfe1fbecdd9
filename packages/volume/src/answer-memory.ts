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

interface Lent {
  readonly from: Slabs;
  readonly slab: Buffer;
  /** A bit for each content that was handed out and not given back. */
  out: number;
}

export class AnswerMemory {
  readonly #sizes = SIZES.map(
    ({ pages, kept }) => new Slabs({ bytes: pages * PAGE_SIZE + HEAD_BYTES_MAX, kept }),
  );
  /** By the memory that a content lies in. */
  readonly #slabs = new WeakMap<ArrayBufferLike, Lent>();

  /** Memory for an answer of so many bytes; undefined for one that is longer than any. */
  take(length: number): Uint8Array | undefined {
    const from = this.#sizes.find(({ bytes }) => bytes >= length);
    const slab = from?.take();
    if (!from || !slab) return undefined;
    this.#slabs.set(slab.buffer, { from, slab, out: 0 });
    return slab.subarray(0, length);
  }

  /** The contents of the answer are handed out, and each of them that is not empty will be given back, or none. */
  lend(answer: ReadAnswer): void {
    const lent = this.#slabs.get(answer[0].content.buffer);
    if (!lent) return;
    for (const { content } of answer) if (content.length > 0) lent.out |= bitOf(content);
    if (lent.out === 0) this.#giveBack(lent);
  }

  /** Nobody looks at this content any more. Nothing happens where it is not one that was lent. */
  giveBack(content: Uint8Array): void {
    const lent = this.#slabs.get(content.buffer);
    if (!lent || lent.out === 0) return;
    const bit = bitOf(content);
    assert((lent.out & bit) !== 0, 'a content is given back once');
    lent.out &= ~bit;
    if (lent.out === 0) this.#giveBack(lent);
  }

  #giveBack({ from, slab }: Lent): void {
    this.#slabs.delete(slab.buffer);
    from.give(slab);
  }
}

/** Contents lie one after the other behind a head that is shorter than a page: each begins in another page of the memory. */
function bitOf(content: Uint8Array): number {
  return 1 << Math.floor(content.byteOffset / PAGE_SIZE);
}
