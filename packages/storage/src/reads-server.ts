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
/**
 * A read that takes longer waits for the disk. Of disks that are faster than this the fetching is no gain: the other threads' CPU is what
 * reads lack then (two cores, a disk of 0.06 ms: as many reads with it as without, for a fifth more CPU each).
 */
const SLOW_MS = 0.25;
/** How much of what a read takes goes into the mean. */
const SMOOTHING = 1 / 8;
/** As many as the system has threads for; syncs aside need some of them, too. */
const FETCHES_MAX = 4;
/** One read in so many is not fetched before its turn, and tells what that takes by now. */
const SAMPLE = 8;

/** Whom an answer goes to. */
export interface ReadsCaller {
  /** `onLeft` is to be called when the contents are not needed any more. */
  answer(answer: ReadAnswer, onLeft: () => void): void;
  refuse(error: unknown): void;
}

interface Waiting {
  readonly message: Read;
  readonly caller: ReadsCaller;
  /** Before its turn, by the system. */
  fetch: 'none' | 'begun' | 'done';
}

export class ReadsServer implements Disposable {
  readonly #store: Pick<SegmentStore, 'read' | 'segments'>;
  readonly #clock: Clock;
  readonly #slabs = SIZES.map(({ pages, kept }) => new Slabs({ bytes: pages * PAGE_SIZE, kept }));
  #waiting: Waiting[] = [];
  #scheduled = false;
  #fetches = 0;
  #served = 0;
  /** What reads take that were not fetched before, the last ones most. */
  #tookMs = 0;

  constructor(store: Pick<SegmentStore, 'read' | 'segments'>, clock: Clock) {
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

  #next(): void {
    this.#scheduled = false;
    this.#fetchAhead();
    for (let next = this.#waiting.shift(); next; next = this.#waiting.shift()) {
      this.#serve(next);
      if (this.#waiting[0]?.fetch !== 'done' && this.#scheduled) return;
    }
  }

  #serve({ message, caller, fetch }: Waiting): void {
    const startedMs = this.#clock.nowMs();
    try {
      const slabs = must(this.#slabs.find(({ bytes }) => bytes >= message.pages.length * PAGE_SIZE));
      const slab = slabs.take();
      caller.answer(this.#store.read(message, slab), () => slabs.give(slab));
    } catch (error) {
      caller.refuse(error);
    }
    this.#served++;
    if (fetch === 'none') this.#tookMs += (this.#clock.nowMs() - startedMs - this.#tookMs) * SMOOTHING;
    if (this.#scheduled || this.#tookMs < SLOW_MS) return;
    // What has arrived meanwhile can be fetched before the next one is read.
    this.#scheduled = true;
    this.#clock.soon(() => this.#next());
  }

  /** The first of those that wait is read next: nobody can be quicker. */
  #fetchAhead(): void {
    if (this.#tookMs < SLOW_MS) return;
    for (let at = 1; at < this.#waiting.length && this.#fetches < FETCHES_MAX; at++) {
      const waiting = this.#waiting[at];
      if (waiting.fetch !== 'none' || (this.#served + at) % SAMPLE === 0) continue;
      if (!this.#fetch(waiting)) continue;
      waiting.fetch = 'begun';
      this.#fetches++;
    }
  }

  #fetch(waiting: Waiting): boolean {
    const segment = this.#store.segments.find(waiting.message);
    if (!segment) return false;
    return fetchBases(segment, waiting.message.pages, () => {
      waiting.fetch = 'done';
      this.#fetches--;
    });
  }
}
