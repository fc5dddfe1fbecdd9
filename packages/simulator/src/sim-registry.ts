/**
 * The registry as one process reaches it over the network: a request takes a while to arrive and its answer to come back, so
 * a process may be killed, paused or replaced in between, before or after the change was made. While the registry is away
 * (registry-weather.ts) it waits, and may end without knowing what became of the change.
 */
import { registryErrors, type MemoryRegistry, type Registry, type RegistryEntry } from '@rokka/registry';
import type { Clock } from '@rokka/kernel';
import type { RegistryWeather } from './registry-weather.ts';
import type { SimProcess } from './sim-process.ts';

/** Shorter than in life, as all times here. */
const PATIENCE_MS = 400;

export interface SimRegistryOptions {
  registry: MemoryRegistry;
  process: SimProcess;
  /** The registry's own time: a request arrives there even if its sender is paused or dead by then. */
  clock: Clock;
  weather: RegistryWeather;
  delayMs(): number;
  /** A change was made. */
  onPut(key: string, value: unknown): void;
}

type Outcome<T> = { value: T } | { error: unknown };

export function simRegistry(options: SimRegistryOptions): Registry {
  const { registry, process, clock, weather, delayMs, onPut } = options;
  const visit = async <T>(isChange: boolean, work: () => Promise<T>): Promise<T> => {
    if (!process.alive) return new Promise(() => {});
    await clock.sleep(delayMs());
    const outcome = await attempt(isChange, () => settle(work()));
    await process.clock.sleep(delayMs());
    if ('error' in outcome) throw outcome.error;
    return outcome.value;
  };
  const attempt = async <T>(isChange: boolean, work: () => Promise<Outcome<T>>): Promise<Outcome<T>> => {
    const away = weather.for(process.name);
    if (!away) return work();
    // What only reads is the same whether it is lost on the way there or back.
    const made = isChange && away.fault === 'after' ? await work() : undefined;
    const isBack = away.over.then(() => true);
    if (await Promise.race([isBack, clock.sleep(PATIENCE_MS).then(() => false)]))
      return made ?? attempt(isChange, work);
    if (isChange && away.fault === 'late') void isBack.then(work);
    const error = registryErrors.REGISTRY_UNAVAILABLE([PATIENCE_MS, 'away', isChange], {
      detail: { inDoubt: isChange },
    });
    return { error };
  };
  const read = <T>(work: () => Promise<T>) => visit(false, work);
  const change = <T>(work: () => Promise<T>) => visit(true, work);
  return {
    get: <T>(key: string) => read(() => registry.get<T>(key)),
    list: <T>(prefix: string): Promise<RegistryEntry<T>[]> => read(() => registry.list<T>(prefix)),
    put: (key, value, expectedRevision) =>
      change(async () => {
        const revision = await registry.put(key, value, expectedRevision);
        onPut(key, JSON.parse(JSON.stringify(value)));
        return revision;
      }),
    remove: (key, expectedRevision) => change(() => registry.remove(key, expectedRevision)),
    [Symbol.asyncDispose]: async () => {},
  };
}

function settle<T>(work: Promise<T>): Promise<Outcome<T>> {
  return work.then(
    (value) => ({ value }),
    (error: unknown) => ({ error }),
  );
}
