/** Random numbers, from the system or from a seed. Nothing outside this package calls Math.random. */
import { randomBytes, randomInt } from 'node:crypto';
import { assert } from './assert.ts';

export interface Random {
  /** Whole number in [0, below). `below` is at most 2^32. */
  below(below: number): number;
  /** `count` bytes in lower-case hexadecimal. From the system they are fit for identities and secrets. */
  hex(count: number): string;
}

export const systemRandom: Random = {
  below: (below) => randomInt(below),
  hex: (count) => randomBytes(count).toString('hex'),
};

/** splitmix32: small, fast and the same on every machine; for tests and simulation, never for secrets. */
export class SeededRandom implements Random {
  #state: number;

  constructor(seed: number) {
    this.#state = seed >>> 0;
  }

  below(below: number): number {
    assert(below > 0 && below <= 2 ** 32, 'below out of range');
    return Math.floor((this.#next() / 2 ** 32) * below);
  }

  hex(count: number): string {
    let out = '';
    for (let i = 0; i < count; i++) out += this.below(256).toString(16).padStart(2, '0');
    return out;
  }

  /** True with probability `p`. */
  chance(p: number): boolean {
    return this.#next() / 2 ** 32 < p;
  }

  pick<T>(items: readonly T[]): T {
    assert(items.length > 0, 'pick from nothing');
    return items[this.below(items.length)];
  }

  #next(): number {
    this.#state = (this.#state + 0x9e3779b9) >>> 0;
    let z = this.#state;
    z = Math.imul(z ^ (z >>> 16), 0x21f0aaad);
    z = Math.imul(z ^ (z >>> 15), 0x735a2d97);
    return (z ^ (z >>> 15)) >>> 0;
  }
}
