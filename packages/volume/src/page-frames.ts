/**
 * The memory of the page cache: frames of one page each in slabs, made when first needed and then kept, so that memory is
 * flat. Which page leaves when room is needed is decided by CLOCK with a small use count, as in Postgres' buffers.
 *
 * Invariants:
 * - A page whose last change is not durable never leaves (aurora.md trap 28): nobody else could give it back.
 * - A page touched since `beginRound` never leaves: the operation at hand builds on it.
 * - A page enters cold. A scan's pages, each used once, push each other out; pages used again and again stay.
 */
import { assert, must, mutant, PAGE_SIZE, type PageNumber } from '@rokka/kernel';
import type { Ticket } from './page-store.ts';

const SLAB_BYTES = 1024 * 1024;
const SLAB_FRAMES = SLAB_BYTES / PAGE_SIZE;
const NO_PAGE = -1;
/** Turns of the hand that a page survives without being used. */
const HEAT_MAX = 3;
/** Fetched for an operation that has not come back for it yet: spared once, and its first use does not warm it. */
const AWAITED = 255;

export class PageFrames {
  readonly count: number;
  readonly #slabs: Uint8Array[] = [];
  readonly #contents: Uint8Array[] = [];
  readonly #frameOf = new Map<PageNumber, number>();
  readonly #pageIn: Float64Array;
  readonly #ticketOf: Float64Array;
  readonly #heat: Uint8Array;
  readonly #roundOf: Uint32Array;
  readonly #free: number[] = [];
  #round = 1;
  #hand = 0;
  #evictions = 0;

  constructor(options: { sizeBytes: number }) {
    this.count = Math.floor(options.sizeBytes / PAGE_SIZE);
    assert(this.count > 0, () => `a page cache of ${options.sizeBytes} bytes holds no page`);
    this.#pageIn = new Float64Array(this.count).fill(NO_PAGE);
    this.#ticketOf = new Float64Array(this.count);
    this.#heat = new Uint8Array(this.count);
    this.#roundOf = new Uint32Array(this.count);
  }

  get pages(): number {
    return this.#frameOf.size;
  }

  get evictions(): number {
    return this.#evictions;
  }

  has(page: PageNumber): boolean {
    return this.#frameOf.has(page);
  }

  find(page: PageNumber): number | undefined {
    return this.#frameOf.get(page);
  }

  /** The page's frame, which counts as used and stays for this round; undefined where the page is not here. */
  use(page: PageNumber): number | undefined {
    const frame = this.#frameOf.get(page);
    if (frame === undefined) return undefined;
    const heat = this.#heat[frame];
    if (heat === AWAITED) this.#heat[frame] = 0;
    else if (heat < HEAT_MAX) this.#heat[frame] = heat + 1;
    this.#roundOf[frame] = this.#round;
    return frame;
  }

  content(frame: number): Uint8Array {
    return must(this.#contents[frame]);
  }

  /** The page in this frame was changed by this mini-transaction. */
  changed(frame: number, ticket: Ticket): void {
    this.#ticketOf[frame] = ticket;
  }

  /** From here on pages may leave that were used before. */
  beginRound(): void {
    this.#round = (this.#round + 1) >>> 0;
  }

  /** Keeps a page for this round without counting it as used. */
  keep(page: PageNumber): void {
    const frame = this.#frameOf.get(page);
    if (frame !== undefined) this.#roundOf[frame] = this.#round;
  }

  /** Makes sure that `place` can be called `count` times. False, where too few pages may leave. */
  reserve(count: number, durable: Ticket): boolean {
    while (this.#free.length + this.count - this.#contents.length < count) {
      const frame = this.#victim(durable);
      if (frame === undefined) return false;
      this.#frameOf.delete(this.#pageIn[frame] as PageNumber);
      this.#pageIn[frame] = NO_PAGE;
      this.#free.push(frame);
      this.#evictions++;
    }
    return true;
  }

  /** A reserved frame for a page that is not here. What it holds is left over: the caller fills all of it. */
  place(page: PageNumber, options: { awaited: boolean }): number {
    assert(!this.#frameOf.has(page), () => `page ${page} has a frame already`);
    const frame = this.#free.pop() ?? this.#make();
    this.#frameOf.set(page, frame);
    this.#pageIn[frame] = page;
    this.#ticketOf[frame] = 0;
    this.#heat[frame] = options.awaited ? AWAITED : 0;
    this.#roundOf[frame] = this.#round;
    return frame;
  }

  #make(): number {
    const frame = this.#contents.length;
    assert(frame < this.count, 'place without reserve');
    const inSlab = frame % SLAB_FRAMES;
    if (inSlab === 0)
      this.#slabs.push(
        new Uint8Array(new SharedArrayBuffer(Math.min(SLAB_FRAMES, this.count - frame) * PAGE_SIZE)),
      );
    const slab = must(this.#slabs.at(-1));
    this.#contents.push(slab.subarray(inSlab * PAGE_SIZE, (inSlab + 1) * PAGE_SIZE));
    return frame;
  }

  /** Turns the hand to a cold page that may leave; gives up after a whole turn that neither found nor cooled one. */
  #victim(durable: Ticket): number | undefined {
    const made = this.#contents.length;
    for (let idle = 0; idle < made; idle++) {
      const frame = this.#hand;
      this.#hand = frame + 1 === made ? 0 : frame + 1;
      if (this.#pageIn[frame] === NO_PAGE || this.#roundOf[frame] === this.#round) continue;
      if (this.#ticketOf[frame] > durable && !mutant('evict-before-durable')) continue;
      const heat = this.#heat[frame];
      if (heat === 0) return frame;
      this.#heat[frame] = heat === AWAITED ? 0 : heat - 1;
      idle = -1;
    }
    return undefined;
  }
}
