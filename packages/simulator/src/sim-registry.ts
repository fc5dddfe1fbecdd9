/**
 * The registry as one process reaches it over the network: a request takes a while to arrive and its answer to come back, so
 * a process may be killed, paused or replaced in between, before or after the change was made.
 */
import type { MemoryRegistry, Registry, RegistryEntry } from '@rokka/registry';
import type { Clock } from '@rokka/kernel';
import type { SimProcess } from './sim-process.ts';

export interface SimRegistryOptions {
  registry: MemoryRegistry;
  process: SimProcess;
  /** The registry's own time: a request arrives there even if its sender is paused or dead by then. */
  clock: Clock;
  delayMs(): number;
  /** A change was made. */
  onPut(key: string, value: unknown): void;
}

export function simRegistry(options: SimRegistryOptions): Registry {
  const { registry, process, clock, delayMs, onPut } = options;
  const visit = async <T>(work: () => Promise<T>): Promise<T> => {
    if (!process.alive) return new Promise(() => {});
    await clock.sleep(delayMs());
    const outcome = await work().then(
      (value) => ({ value }),
      (error: unknown) => ({ error }),
    );
    await process.clock.sleep(delayMs());
    if ('error' in outcome) throw outcome.error;
    return outcome.value;
  };
  return {
    get: <T>(key: string) => visit(() => registry.get<T>(key)),
    list: <T>(prefix: string): Promise<RegistryEntry<T>[]> => visit(() => registry.list<T>(prefix)),
    put: (key, value, expectedRevision) =>
      visit(async () => {
        const revision = await registry.put(key, value, expectedRevision);
        onPut(key, JSON.parse(JSON.stringify(value)));
        return revision;
      }),
    remove: (key, expectedRevision) => visit(() => registry.remove(key, expectedRevision)),
    [Symbol.asyncDispose]: async () => {},
  };
}
