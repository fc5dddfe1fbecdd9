/**
 * What is wrong with the network at the moment: how slow each link is, which directions are held. Faults overlap, so each
 * has its own undoing, and a link is open when nothing holds it.
 */
import type { SeededRandom } from '@rokka/kernel';
import type { Link, MemoryNetwork } from '@rokka/transport';
import { stream, unit } from './seeds.ts';

export interface WeatherOptions {
  seed: number;
  /** The usual time on the way, least and most. */
  latencyMs: readonly [number, number];
  /** One frame in so many is late by up to `lateMs`. */
  lateOnceIn: number;
  lateMs: number;
}

const keyOf = ({ from, to }: Link) => `${from}>${to}`;

export class NetworkWeather {
  readonly #options: WeatherOptions;
  /** By where from, then by where to: a name for each frame's way would cost more than the lookup. */
  readonly #streams = new Map<string, Map<string, SeededRandom>>();
  readonly #factors = new Map<string, number>();
  readonly #holds = new Map<string, number>();
  #network: MemoryNetwork | undefined;

  constructor(options: WeatherOptions) {
    this.#options = options;
  }

  attach(network: MemoryNetwork): void {
    this.#network = network;
  }

  /** How long the next frame of this link is on its way. */
  delayMs(link: Link): number {
    const { latencyMs, lateOnceIn, lateMs, seed } = this.#options;
    let ways = this.#streams.get(link.from);
    if (!ways) this.#streams.set(link.from, (ways = new Map()));
    let random = ways.get(link.to);
    if (!random) ways.set(link.to, (random = stream(seed, keyOf(link))));
    const usual = latencyMs[0] + unit(random) * (latencyMs[1] - latencyMs[0]);
    const late = random.below(lateOnceIn) === 0 ? unit(random) ** 3 * lateMs : 0;
    const factor = this.#factors.size > 0 ? this.#factors.get(keyOf(link)) : undefined;
    return (usual + late) * (factor ?? 1);
  }

  slow(from: string, to: string, factor: number): () => void {
    const key = keyOf({ from, to });
    this.#factors.set(key, factor);
    return () => void this.#factors.delete(key);
  }

  /** Nothing gets through in this direction until the returned function is called; nothing is lost either. */
  hold(from: string, to: string): () => void {
    const key = keyOf({ from, to });
    this.#holds.set(key, (this.#holds.get(key) ?? 0) + 1);
    this.#network?.hold(from, to);
    let held = true;
    return () => {
      if (!held) return;
      held = false;
      const left = (this.#holds.get(key) ?? 1) - 1;
      this.#holds.set(key, left);
      if (left === 0) this.#network?.release(from, to);
    };
  }
}
