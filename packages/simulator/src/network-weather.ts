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

export class NetworkWeather {
  readonly #options: WeatherOptions;
  readonly #streams = new Map<string, SeededRandom>();
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
    const key = `${link.from}>${link.to}`;
    let random = this.#streams.get(key);
    if (!random) this.#streams.set(key, (random = stream(seed, key)));
    const usual = latencyMs[0] + unit(random) * (latencyMs[1] - latencyMs[0]);
    const late = random.below(lateOnceIn) === 0 ? unit(random) ** 3 * lateMs : 0;
    return (usual + late) * (this.#factors.get(key) ?? 1);
  }

  slow(from: string, to: string, factor: number): () => void {
    const key = `${from}>${to}`;
    this.#factors.set(key, factor);
    return () => void this.#factors.delete(key);
  }

  /** Nothing gets through in this direction until the returned function is called; nothing is lost either. */
  hold(from: string, to: string): () => void {
    const key = `${from}>${to}`;
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
