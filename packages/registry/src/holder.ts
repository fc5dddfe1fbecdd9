/**
 * A place that one process at a time holds, such as "the head of database D", and that another one takes when the holder
 * gives it back or is gone. Made of nothing but compare-and-set, so that it works on any registry: see holder-watch.ts
 * for who is gone, tenure.ts for what a holder may rely on, and why safety does not rest on it.
 *
 * A record is never removed: the term goes on from holder to holder.
 */
import { assert, type Clock, isCoded } from '@rokka/kernel';
import { HolderWatch } from './holder-watch.ts';
import type { Registry, RegistryEntry } from './registry.ts';
import { type HolderRecord, type Standing, Tenure } from './tenure.ts';

export interface HolderOptions {
  registry: Registry;
  clock: Clock;
  /** Where the record stands in the registry. */
  key: string;
  /** Who asks: for people, and to know an own record again. */
  name: string;
  /** How often a holder renews and others look; default 1 s. */
  beatMs?: number;
  /** How long a record stands still before its holder is gone; at least four beats; default 6 s. */
  goneAfterMs?: number;
  onStanding?: (standing: Standing) => void;
}

/** A place that may be taken now. */
export interface Vacancy {
  readonly why: 'never held' | 'given back' | 'gone';
  /** 0 where there is no record. */
  readonly revision: number;
  readonly term: number;
}

export class Holder {
  readonly #options: Required<HolderOptions>;

  constructor(options: HolderOptions) {
    this.#options = { beatMs: 1_000, goneAfterMs: 6_000, onStanding: () => {}, ...options };
    const { name, beatMs, goneAfterMs } = this.#options;
    assert(name !== '', 'a holder has a name');
    assert(goneAfterMs >= 4 * beatMs, 'a holder may miss a beat or two');
  }

  /**
   * Waits for the place, and takes it.
   * @throws the signal's reason; what the registry throws, unless it is away for a time
   */
  async hold(signal: AbortSignal): Promise<Tenure> {
    for (;;) {
      const vacancy = await this.whenVacant(signal);
      const tenure = await this.take(vacancy);
      if (tenure) return tenure;
      await this.#options.clock.sleep(this.#options.beatMs, signal);
    }
  }

  /** Waits until nobody holds the place. @throws as `hold` does */
  async whenVacant(signal: AbortSignal): Promise<Vacancy> {
    const { clock, beatMs, goneAfterMs } = this.#options;
    const watch = new HolderWatch({ goneAfterMs, gapMsMax: goneAfterMs / 2 });
    for (;;) {
      signal.throwIfAborted();
      const askedMs = clock.nowMs();
      const read = await this.#read();
      if (read) {
        if (!read.entry) return { why: 'never held', revision: 0, term: 0 };
        const { revision, value } = read.entry;
        if (value.holder === '') return { why: 'given back', revision, term: value.term };
        if (watch.isGone({ revision, askedMs, answeredMs: clock.nowMs() }))
          return { why: 'gone', revision, term: value.term };
      }
      await clock.sleep(beatMs, signal);
    }
  }

  /** undefined where somebody else was first, or the registry does not say who. */
  async take({ revision, term }: Vacancy): Promise<Tenure | undefined> {
    const { registry, clock, key, name } = this.#options;
    const record: HolderRecord = { holder: name, term: term + 1, beat: 0 };
    const askedMs = clock.nowMs();
    try {
      const taken = await registry.put(key, record, revision);
      return new Tenure(this.#options, { record, revision: taken, askedMs });
    } catch (error) {
      if (isCoded(error, 'REGISTRY_CONFLICT') || isPassing(error)) return undefined;
      throw error;
    }
  }

  async #read(): Promise<{ entry: RegistryEntry<HolderRecord> | undefined } | undefined> {
    try {
      return { entry: await this.#options.registry.get<HolderRecord>(this.#options.key) };
    } catch (error) {
      if (isPassing(error)) return undefined;
      throw error;
    }
  }
}

/** The registry is away, or its outcome unknown: it is asked again. */
const isPassing = (error: unknown) =>
  ['REGISTRY_UNAVAILABLE', 'REGISTRY_BUSY', 'REGISTRY_FAILED'].some((code) => isCoded(error, code));
