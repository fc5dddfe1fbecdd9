/**
 * A clock that stands still until somebody moves it, for tests and simulation. Timers fire in order of their time, then of
 * their making: nothing else decides, so a run on it can be repeated.
 *
 * Timers lie in a binary heap. A cancelled one stays there, emptied, until it comes to the top or until such ones are the
 * larger half: most timers of a driver are deadlines that never fire.
 */
import { assert, must } from './assert.ts';
import { sleepOn, type Clock } from './clock.ts';

const WALL_MS_AT_ZERO = 1_700_000_000_000;
const SWEEP_LEAST = 64;

interface Timer {
  readonly atMs: number;
  readonly made: number;
  run: (() => void) | undefined;
}

export class VirtualClock implements Clock {
  #nowMs = 0;
  #made = 0;
  #heap: Timer[] = [];
  #cancelled = 0;

  wallMs(): number {
    return WALL_MS_AT_ZERO + this.#nowMs;
  }

  nowMs(): number {
    return this.#nowMs;
  }

  after(delayMs: number, run: () => void): () => void {
    const timer: Timer = { atMs: this.#nowMs + Math.max(0, delayMs), made: this.#made++, run };
    this.#heap.push(timer);
    this.#rise(this.#heap.length - 1);
    return () => this.#cancel(timer);
  }

  soon(run: () => void): void {
    this.after(0, run);
  }

  sleep(delayMs: number, signal?: AbortSignal): Promise<void> {
    return sleepOn(this, delayMs, signal);
  }

  /** Timers that are set. */
  get pending(): number {
    return this.#heap.length - this.#cancelled;
  }

  /** Time of the next timer, or undefined where none is set. */
  nextMs(): number | undefined {
    return this.#top()?.atMs;
  }

  /** Moves time to the next timer, if it is due by `untilMs`, and runs it; else moves time there and answers false. */
  runNext(untilMs: number): boolean {
    assert(untilMs >= this.#nowMs, 'time only moves forward');
    const timer = this.#top();
    if (!timer || timer.atMs > untilMs) {
      this.#nowMs = untilMs;
      return false;
    }
    this.#pop();
    this.#nowMs = timer.atMs;
    const run = must(timer.run);
    timer.run = undefined;
    run();
    return true;
  }

  /** Moves time to `toMs` and runs every timer that falls due on the way. */
  advanceTo(toMs: number): void {
    while (this.runNext(toMs));
  }

  #cancel(timer: Timer): void {
    if (!timer.run) return;
    timer.run = undefined;
    this.#cancelled++;
    if (this.#cancelled > SWEEP_LEAST && this.#cancelled * 2 > this.#heap.length) this.#sweep();
  }

  #sweep(): void {
    this.#heap = this.#heap.filter(({ run }) => run !== undefined).sort((a, b) => (before(a, b) ? -1 : 1));
    this.#cancelled = 0;
  }

  #top(): Timer | undefined {
    while (this.#heap.length > 0 && this.#heap[0].run === undefined) {
      this.#pop();
      this.#cancelled--;
    }
    return this.#heap[0];
  }

  #pop(): void {
    const last = must(this.#heap.pop());
    if (this.#heap.length === 0) return;
    this.#heap[0] = last;
    this.#sink();
  }

  #rise(index: number): void {
    const heap = this.#heap;
    const timer = heap[index];
    let at = index;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (!before(timer, heap[parent])) break;
      heap[at] = heap[parent];
      at = parent;
    }
    heap[at] = timer;
  }

  #sink(): void {
    const heap = this.#heap;
    const timer = heap[0];
    let at = 0;
    for (let child = 1; child < heap.length; child = 2 * at + 1) {
      if (child + 1 < heap.length && before(heap[child + 1], heap[child])) child++;
      if (!before(heap[child], timer)) break;
      heap[at] = heap[child];
      at = child;
    }
    heap[at] = timer;
  }
}

function before(a: Timer, b: Timer): boolean {
  return a.atMs < b.atMs || (a.atMs === b.atMs && a.made < b.made);
}

/**
 * Resolves when every promise that can go on by itself has done so: what a turn of the event loop does between two of its
 * callbacks, at a fifth of the cost of a turn (0.3 µs against 1.4 µs, Node 24). Node runs the next tick only when the
 * queue of microtasks is empty, however long a chain they make. It lets neither timers nor sockets in.
 */
export function settled(): Promise<void> {
  return new Promise((resolve) => process.nextTick(resolve));
}

/**
 * Calls `turn` until it answers false, at once and then each time when all has settled. What it throws ends it. Cheaper than to wait for
 * `settled` in a loop, which makes a promise and a closure for each turn.
 */
export function whileSettled(turn: () => boolean): Promise<void> {
  return new Promise((resolve, reject) => {
    const next = () => {
      try {
        if (!turn()) return resolve();
      } catch (error) {
        return reject(error);
      }
      // A tick that a tick asks for comes before the microtasks; one that a microtask asks for when all of them are done.
      void nothing.then(soon);
    };
    const soon = () => process.nextTick(next);
    next();
  });
}

const nothing = Promise.resolve();
