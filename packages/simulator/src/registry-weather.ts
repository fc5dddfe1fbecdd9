/**
 * What is wrong with the way to the registry at the moment, by who asks. A real one tries again until its patience is over, and
 * then says that it does not know; so a request that finds the registry back in time is answered as if nothing had been.
 */
import { Deferred } from '@rokka/kernel';

/**
 * What becomes of a change that is asked for meanwhile. `before`: it is lost on its way. `after`: it is made, and the answer is lost.
 * `late`: it lies somewhere on its way, and is made when nobody waits for it any more.
 */
export type RegistryFault = 'before' | 'after' | 'late';

interface Away {
  readonly who: string | undefined;
  readonly fault: RegistryFault;
  readonly over: Deferred<void>;
}

export class RegistryWeather {
  readonly #away = new Set<Away>();

  /** From now on, until the returned function is called, for one process or, without a name, for all. */
  away(who: string | undefined, fault: RegistryFault): () => void {
    const away = { who, fault, over: new Deferred<void>() };
    this.#away.add(away);
    return () => {
      this.#away.delete(away);
      away.over.resolve();
    };
  }

  /** What happens to what this process asks now; undefined where the registry is there for it. */
  for(who: string): { fault: RegistryFault; over: Promise<void> } | undefined {
    const found = [...this.#away].find((away) => away.who === undefined || away.who === who);
    return found && { fault: found.fault, over: found.over.promise };
  }
}
