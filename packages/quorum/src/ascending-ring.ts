/**
 * A queue of ascending numbers, such as LSNs, that can be searched and cut at both ends: one typed array, no object an
 * entry, no allocation but for growth by doubling.
 */
import { assert } from '@rokka/kernel';

/** More than three times the LSN allocation limit: nothing that obeys it comes near. */
const LENGTH_MAX = 2 ** 25;

export class AscendingRing {
  #values = new Float64Array(16);
  #head = 0;
  #length = 0;

  get length(): number {
    return this.#length;
  }

  /** Entry number `index`, counted from the lowest. */
  at(index: number): number {
    assert(index >= 0 && index < this.#length, 'ring index out of range');
    return this.#values[(this.#head + index) & (this.#values.length - 1)];
  }

  push(value: number): void {
    assert(this.#length === 0 || value > this.at(this.#length - 1), 'ring must ascend');
    if (this.#length === this.#values.length) this.#grow();
    this.#values[(this.#head + this.#length) & (this.#values.length - 1)] = value;
    this.#length++;
  }

  /** How many entries are at or below `limit`. */
  countThrough(limit: number): number {
    let low = 0;
    let high = this.#length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.at(middle) <= limit) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /** Drops the `count` lowest. */
  dropLowest(count: number): void {
    assert(count <= this.#length, 'ring has fewer entries');
    this.#head = (this.#head + count) & (this.#values.length - 1);
    this.#length -= count;
  }

  /** Keeps the `count` lowest. */
  keepLowest(count: number): void {
    assert(count <= this.#length, 'ring has fewer entries');
    this.#length = count;
  }

  #grow(): void {
    assert(this.#length < LENGTH_MAX, 'ring is full: its owner does not drop what is settled');
    const values = new Float64Array(this.#values.length * 2);
    for (let i = 0; i < this.#length; i++) values[i] = this.at(i);
    this.#values = values;
    this.#head = 0;
  }
}
