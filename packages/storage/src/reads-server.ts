/**
 * Serves reads of pages in the order in which they came.
 *
 * What the system has in its memory is served at once. Where a page takes long to come from the disk, its answer leaves before the next is
 * read, and those that wait behind it are fetched meanwhile: a disk does many things at once, and this thread one.
 */
import { must, PAGE_SIZE, Slabs, type Clock } from '@rokka/kernel';
import { storageErrors } from './errors.ts';
import { READ_PAGES_MAX, type Read, type ReadAnswer } from './messages.ts';
import { fetchBases } from './page-reader.ts';
import type { SegmentStore } from './store.ts';

const WAITING_MAX = 1024;
/** About what writers have in flight: many pages one by one, or few answers of many. */
const SIZES = [
  { pages: 1, kept: 64 },
  { pages: READ_PAGES_MAX, kept: 8 },
];
/** How much of what a read takes goes into the mean. */
const SMOOTHING = 1 / 8;
/** The system has four threads for this, and syncs aside need one. */
const FETCHES_MAX = 3;
/** One read in so many is not fetched before its turn, and tells what that takes by now. */
const SAMPLE = 8;

/** Whom an answer goes to. */
export interface ReadsCaller {
  /** Nobody waits for the answer any more. */
  isGone(): boolean;
  /** `onLeft` is to be called when the contents are not needed any more. */
  answer(answer: ReadAnswer, onLeft: () => void): void;
  refuse(error: unknown): void;
}

interface Waiting {
  readonly message: Read;
  readonly caller: ReadsCaller;
  /** Before its turn, by the system. */
  fetch: 'none' | 'nothing to fetch' | 'begun' | 'done';
}

export class ReadsServer implements Disposable {
  readonly #store: Pick<SegmentStore, 'read' | 'segments' | 'tuning'>;
  readonly #clock: Clock;
  readonly #slabs = SIZES.map(({ pages, kept }) => new Slabs({ bytes: pages * PAGE_SIZE, kept }));
  #waiting: Waiting[] = [];
  #scheduled = false;
  #fetches = 0;
  #served = 0;
  /** What a page takes that was not fetched before, the last ones most. */
  #pageMs = 0;

  constructor(store: Pick<SegmentStore, 'read' | 'segments' | 'tuning'>, clock: Clock) {
    this.#store = store;
    this.#clock = clock;
  }

  /** @throws STORAGE_BUSY */
  serve(message: Read, caller: ReadsCaller): void {
    if (!this.#scheduled) return this.#serve({ message, caller, fetch: 'none' });
    if (this.#waiting.length >= WAITING_MAX) throw storageErrors.STORAGE_BUSY(['reads', WAITING_MAX]);
    this.#waiting.push({ message, caller, fetch: 'none' });
    this.#fetchAhead();
  }

  /** The store's files are about to be closed. */
  [Symbol.dispose](): void {
    this.#waiting = [];
  }

  get #isSlow(): boolean {
    return this.#pageMs >= this.#store.tuning.slowReadMs;
  }

  #next(): void {
    this.#scheduled = false;
    this.#fetchAhead();
    for (let next = this.#waiting.shift(); next; next = this.#waiting.shift()) {
      if (next.caller.isGone()) continue;
      this.#serve(next);
      if (this.#scheduled && this.#waiting[0]?.fetch !== 'done') return;
    }
  }

  #serve({ message, caller, fetch }: Waiting): void {
    const startedMs = this.#clock.nowMs();
    const { length } = message.pages;
    try {
      const slabs = must(this.#slabs.find(({ bytes }) => bytes >= length * PAGE_SIZE));
      const slab = slabs.take();
      caller.answer(this.#store.read(message, slab), () => slabs.give(slab));
    } catch (error) {
      caller.refuse(error);
    }
    this.#served++;
    if (fetch === 'none' || fetch === 'nothing to fetch')
      this.#pageMs += ((this.#clock.nowMs() - startedMs) / length - this.#pageMs) * SMOOTHING;
    if (this.#scheduled || !this.#isSlow) return;
    // What has arrived meanwhile can be fetched before the next one is read.
    this.#scheduled = true;
    this.#clock.soon(() => this.#next());
  }

  /** The first of those that wait is read next: nobody can be quicker. */
  #fetchAhead(): void {
    if (!this.#isSlow) return;
    for (let at = 1; at < this.#waiting.length && this.#fetches < FETCHES_MAX; at++) {
      const waiting = this.#waiting[at];
      if (waiting.fetch === 'none' && (this.#served + at) % SAMPLE > 0) this.#fetch(waiting);
    }
  }

  #fetch(waiting: Waiting): void {
    const { message } = waiting;
    const segment = this.#store.segments.find(message);
    const done = () => {
      waiting.fetch = 'done';
      this.#fetches -= begun;
    };
    const options = { most: FETCHES_MAX - this.#fetches, done };
    const begun = segment ? fetchBases(segment, message.pages, options) : 0;
    waiting.fetch = begun > 0 ? 'begun' : 'nothing to fetch';
    this.#fetches += begun;
  }
}
