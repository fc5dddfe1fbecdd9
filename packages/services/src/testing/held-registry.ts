/** A process that is held up just before it reads or writes something, and others that do as they like meanwhile. */
import type { MemoryRegistry, Registry } from '@rokka/registry';

export interface Moment {
  readonly on: 'write' | 'list' | 'get';
  /** What is in the key. */
  readonly key: string;
  /** Counted from 1. */
  readonly time?: number;
}

/** @param holds what is run when the process first does this to such a key */
export function heldRegistry(
  shared: MemoryRegistry,
  holds: readonly (readonly [Moment, () => Promise<unknown>])[],
): Registry {
  const registry = shared.another();
  const { put, remove, list, get } = registry;
  const counted = holds.map(([moment, run]) => ({ ...moment, run, times: 0 }));
  const hold = async (on: Moment['on'], key: string) => {
    for (const each of counted)
      if (on === each.on && key.includes(each.key) && ++each.times === (each.time ?? 1)) await each.run();
  };
  const own: Partial<Registry> = {
    put: async (key, value, revision) => {
      await hold('write', key);
      return put.call(registry, key, value, revision);
    },
    remove: async (key, revision) => {
      await hold('write', key);
      return remove.call(registry, key, revision);
    },
    list: async (prefix: string) => {
      await hold('list', prefix);
      return list.call(registry, prefix) as never;
    },
    get: async (key: string) => {
      await hold('get', key);
      return get.call(registry, key) as never;
    },
  };
  return Object.assign(registry, own);
}
