/** A registry that answers a while later, so that others come in between. */
import type { SeededRandom } from '@rokka/kernel';
import type { Registry } from '@rokka/registry';

export function slowRegistry(inner: Registry, random: SeededRandom): Registry {
  const pause = async () => {
    for (let turns = random.below(4); turns > 0; turns--) await new Promise((done) => setImmediate(done));
  };
  const slowly = async <T>(ask: () => Promise<T>) => {
    await pause();
    const answer = await ask();
    await pause();
    return answer;
  };
  return {
    get: (key) => slowly(() => inner.get<never>(key)),
    list: (prefix) => slowly(() => inner.list<never>(prefix)),
    put: (key, value, revision) => slowly(() => inner.put(key, value, revision)),
    remove: (key, revision) => slowly(() => inner.remove(key, revision)),
    [Symbol.asyncDispose]: async () => {},
  };
}
