/** A registry behind a bad line, and a clock of another rate, for the tests of those who depend on both. */
import type { Clock, SeededRandom } from '@rokka/kernel';
import { registryErrors } from '../errors.ts';
import type { Registry, RegistryEntry } from '../registry.ts';

/** `mute`: what is asked is done, and the answer lost. `away`: nothing is done. */
export type Line = 'good' | 'mute' | 'away';

export class RoughRegistry implements Registry {
  line: Line = 'good';
  /** Where writes fare otherwise than the rest. */
  writeLine: Line | undefined;
  readonly #inner: Registry;
  readonly #clock: Clock;
  readonly #random: SeededRandom;

  constructor(options: { inner: Registry; clock: Clock; random: SeededRandom }) {
    this.#inner = options.inner;
    this.#clock = options.clock;
    this.#random = options.random;
  }

  get<T>(key: string): Promise<RegistryEntry<T> | undefined> {
    return this.#through(() => this.#inner.get<T>(key));
  }

  list<T>(prefix: string): Promise<RegistryEntry<T>[]> {
    return this.#through(() => this.#inner.list<T>(prefix));
  }

  put(key: string, value: unknown, expectedRevision: number): Promise<number> {
    return this.#through(() => this.#inner.put(key, value, expectedRevision), this.writeLine);
  }

  remove(key: string, expectedRevision: number): Promise<void> {
    return this.#through(() => this.#inner.remove(key, expectedRevision));
  }

  async [Symbol.asyncDispose](): Promise<void> {}

  async #through<T>(work: () => Promise<T>, own?: Line): Promise<T> {
    await this.#clock.sleep(this.#random.below(20));
    const line = own ?? this.line;
    const result = line === 'away' ? undefined : await work();
    await this.#clock.sleep(this.#random.below(20));
    if (line === 'good') return result as T;
    await this.#clock.sleep(300);
    throw registryErrors.REGISTRY_UNAVAILABLE([300, line, true], { detail: { inDoubt: true } });
  }
}

/** Runs faster or slower than `base`, and its wall clock shows what it likes. */
export function skewedClock(base: Clock, options: { rate: number; wallMs: number }): Clock {
  const { rate, wallMs } = options;
  return {
    wallMs: () => wallMs,
    nowMs: () => base.nowMs() * rate,
    after: (delayMs, run) => base.after(delayMs / rate, run),
    soon: (run) => base.soon(run),
    sleep: (delayMs, signal) => base.sleep(delayMs / rate, signal),
  };
}
