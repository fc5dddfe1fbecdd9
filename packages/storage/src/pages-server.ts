/**
 * Serves copies of pages one after the other, and rests between them while the node has something to do that somebody
 * waits for: a peer that is being filled must not be felt by the writer.
 */
import { Slabs, type Clock } from '@rokka/kernel';
import { storageErrors } from './errors.ts';
import type { Pages, PagesAnswer } from './messages.ts';
import type { SegmentStore } from './store.ts';

const WAITING_MAX = 64;
/** Contents of one answer, which stays well below the longest frame, whatever the caller asks for. */
const ANSWER_BYTES_MAX = 512 * 1024;
/** About what one peer has in flight. */
const SLABS_KEPT = 8;

/** Whom an answer goes to. */
export interface PagesCaller {
  /** `onLeft` is to be called when the contents are not needed any more. */
  answer(answer: PagesAnswer, onLeft: () => void): void;
  refuse(error: unknown): void;
}

export class PagesServer implements Disposable {
  readonly #store: SegmentStore;
  readonly #clock: Clock;
  readonly #waiting: { message: Pages; caller: PagesCaller }[] = [];
  readonly #slabs = new Slabs({ bytes: ANSWER_BYTES_MAX, kept: SLABS_KEPT });
  #scheduled = false;
  #closed = false;
  servedPages = 0;

  constructor(store: SegmentStore, clock: Clock) {
    this.#store = store;
    this.#clock = clock;
  }

  /** @throws STORAGE_BUSY */
  serve(message: Pages, caller: PagesCaller): void {
    if (this.#waiting.length >= WAITING_MAX) throw storageErrors.STORAGE_BUSY(['pages', WAITING_MAX]);
    this.#waiting.push({ message, caller });
    this.#schedule(0);
  }

  /** The store's files are about to be closed. */
  [Symbol.dispose](): void {
    this.#closed = true;
    this.#waiting.length = 0;
  }

  #schedule(restMs: number): void {
    if (this.#scheduled || this.#closed) return;
    this.#scheduled = true;
    const run = () => {
      this.#scheduled = false;
      this.#next();
    };
    if (restMs < 1) this.#clock.soon(run);
    else this.#clock.after(restMs, run, { keepAlive: true });
  }

  #next(): void {
    const next = this.#waiting.shift();
    if (!next) return;
    const startedMs = this.#clock.nowMs();
    try {
      const slab = this.#slabs.take();
      const answer = this.#store.pages(next.message, slab);
      this.servedPages += answer.pages.length;
      next.caller.answer(answer, () => this.#slabs.give(slab));
    } catch (error) {
      next.caller.refuse(error);
    }
    if (this.#waiting.length > 0) this.#schedule(this.#store.foreground.restMs(startedMs));
  }
}
