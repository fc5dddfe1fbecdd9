/** A first-in first-out queue with a limit. Rejects what is over the limit, so that the producer must wait or refuse. */
import { assert } from './assert.ts';
import { kernelErrors } from './kernel-errors.ts';

export class BoundedQueue<T> {
  readonly #name: string;
  readonly #limit: number;
  #items: (T | undefined)[] = [];
  #head = 0;

  constructor(options: { name: string; limit: number }) {
    assert(options.limit > 0, 'a queue needs a limit');
    this.#name = options.name;
    this.#limit = options.limit;
  }

  get size(): number {
    return this.#items.length - this.#head;
  }

  get full(): boolean {
    return this.size >= this.#limit;
  }

  /** @throws KERNEL_QUEUE_FULL */
  push(item: T): void {
    if (this.full) throw kernelErrors.KERNEL_QUEUE_FULL([this.#name, this.#limit]);
    this.#items.push(item);
  }

  peek(): T | undefined {
    return this.#items[this.#head];
  }

  shift(): T | undefined {
    if (this.#head === this.#items.length) return undefined;
    const item = this.#items[this.#head];
    this.#items[this.#head++] = undefined;
    // Amortised: the dead front is cut off once it is the larger half.
    if (this.#head > 32 && this.#head * 2 > this.#items.length) {
      this.#items = this.#items.slice(this.#head);
      this.#head = 0;
    }
    return item;
  }
}
