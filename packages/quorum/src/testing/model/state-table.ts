/**
 * The states that a search has seen, each once, exactly: seven numbers, its parent, no fingerprint that could collide. In
 * the order in which they were found, so it is the queue of a breadth-first search as well.
 */
import { must } from '@rokka/kernel';
import type { State } from './scene.ts';
import { STATE_LENGTH } from './state.ts';

const CHUNK_BITS = 20;
const CHUNK = 1 << CHUNK_BITS;
const WIDTH = STATE_LENGTH + 1;
const NONE = 0xffffffff;

export class StateTable {
  readonly #chunks: Uint32Array[] = [];
  /** Open addressing: a state's number, or NONE. */
  #places = new Uint32Array(1 << 16).fill(NONE);
  #count = 0;

  get count(): number {
    return this.#count;
  }

  /** Answers whether it is new. */
  add(state: State, parent: number): boolean {
    if (this.#count * 2 > this.#places.length) this.#grow();
    let place = hash(state, 0) & (this.#places.length - 1);
    for (; ; place = (place + 1) & (this.#places.length - 1)) {
      const known = this.#places[place];
      if (known === NONE) break;
      if (this.#equals(known, state)) return false;
    }
    this.#places[place] = this.#count;
    this.#append(state, parent);
    return true;
  }

  read(index: number, into: State): void {
    const chunk = must(this.#chunks[index >>> CHUNK_BITS]);
    const at = (index & (CHUNK - 1)) * WIDTH;
    for (let i = 0; i < STATE_LENGTH; i++) into[i] = chunk[at + i];
  }

  parent(index: number): number | undefined {
    const parent = must(this.#chunks[index >>> CHUNK_BITS])[(index & (CHUNK - 1)) * WIDTH + STATE_LENGTH];
    return parent === NONE ? undefined : parent;
  }

  #append(state: State, parent: number): void {
    const index = this.#count++;
    if ((index & (CHUNK - 1)) === 0) this.#chunks.push(new Uint32Array(CHUNK * WIDTH));
    const chunk = must(this.#chunks[index >>> CHUNK_BITS]);
    const at = (index & (CHUNK - 1)) * WIDTH;
    chunk.set(state, at);
    chunk[at + STATE_LENGTH] = parent < 0 ? NONE : parent;
  }

  #equals(index: number, state: State): boolean {
    const chunk = this.#chunks[index >>> CHUNK_BITS];
    const at = (index & (CHUNK - 1)) * WIDTH;
    for (let i = 0; i < STATE_LENGTH; i++) if (chunk[at + i] !== state[i]) return false;
    return true;
  }

  #grow(): void {
    const places = new Uint32Array(this.#places.length * 4).fill(NONE);
    const mask = places.length - 1;
    for (let index = 0; index < this.#count; index++) {
      const at = (index & (CHUNK - 1)) * WIDTH;
      let place = hash(must(this.#chunks[index >>> CHUNK_BITS]), at) & mask;
      while (places[place] !== NONE) place = (place + 1) & mask;
      places[place] = index;
    }
    this.#places = places;
  }
}

function hash(numbers: Uint32Array, from: number): number {
  let value = 0x811c9dc5;
  for (let i = 0; i < STATE_LENGTH; i++) {
    value = Math.imul(value ^ numbers[from + i], 0x9e3779b1);
    value ^= value >>> 15;
  }
  return value >>> 0;
}
