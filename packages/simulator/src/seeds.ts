/**
 * One seed, many streams: each part of the world draws from its own, found by name. So a part that draws once more or once
 * less, because a fault was left out, does not shift what the others draw.
 */
import { SeededRandom } from '@rokka/kernel';

/** The stream called `name` of `seed`. The same two give the same numbers on every machine. */
export function stream(seed: number, name: string): SeededRandom {
  let hash = 0x811c9dc5 ^ seed;
  for (let i = 0; i < name.length; i++) hash = Math.imul(hash ^ name.charCodeAt(i), 0x01000193);
  return new SeededRandom(Math.imul(hash ^ (hash >>> 15), 0x2c1b3c6d) ^ Math.imul(seed, 0x9e3779b1));
}

/** A number in [0, 1). */
export function unit(random: SeededRandom): number {
  return random.below(2 ** 32) / 2 ** 32;
}

/** A number in [least, most), evenly on a logarithmic scale: small ones as likely as large ones. */
export function scaled(random: SeededRandom, least: number, most: number): number {
  return least * (most / least) ** unit(random);
}

/** A whole number in [least, most]. */
export function between(random: SeededRandom, least: number, most: number): number {
  return least + random.below(most - least + 1);
}
