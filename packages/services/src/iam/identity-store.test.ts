import assert from 'node:assert/strict';
import { test } from 'node:test';
import { VirtualClock } from '@rokka/kernel';
import { MemoryRegistry, type Registry, type RegistryEntry } from '@rokka/registry';
import { IdentityStore } from './identity-store.ts';

const open = (registry: Registry, clock = new VirtualClock()) =>
  new IdentityStore({ registry, clock, account: '111122223333', staleMsMax: 1000, cachedMax: 3 });

test('changes that meet are all made', async () => {
  const registry = new MemoryRegistry();
  const stores = [open(registry), open(registry.another()), open(registry.another())];
  await Promise.all(
    Array.from({ length: 24 }, (_, i) =>
      stores[i % 3].update<number, number>('n', (found) => (found ?? 0) + 1),
    ),
  );
  assert.equal(await stores[0].read('n'), 24);
});

test('a change that is always overtaken gives up', async () => {
  const registry = new MemoryRegistry();
  const rival = registry.another();
  const overtaken: Registry = Object.assign(Object.create(registry) as Registry, {
    get: async (key: string) => {
      const found = await registry.get<number>(key);
      await rival.put(key, (found?.value ?? 0) + 1, found?.revision ?? 0);
      return found;
    },
    put: (key: string, value: unknown, revision: number) => registry.put(key, value, revision),
  });
  await assert.rejects(
    open(overtaken).update<number, number>('n', (found) => (found ?? 0) + 1),
    { code: 'IDENTITY_BUSY' },
  );
});

test('a read that a change has overtaken is not remembered', async () => {
  const registry = new MemoryRegistry();
  let release = () => {};
  let slow = false;
  const gated: Registry = Object.assign(Object.create(registry) as Registry, {
    get: async <T>(key: string): Promise<RegistryEntry<T> | undefined> => {
      const found = await registry.get<T>(key);
      if (slow) {
        slow = false;
        await new Promise<void>((resolve) => (release = resolve));
      }
      return found;
    },
    put: (key: string, value: unknown, revision: number) => registry.put(key, value, revision),
  });
  const store = open(gated);
  await store.update('k', () => 'old');
  slow = true;
  const reading = store.read('k');
  await Promise.resolve();
  await store.update('k', () => 'new');
  release();
  assert.equal(await reading, 'old');
  assert.equal(await store.read('k'), 'new');
});

test('what is read is remembered for the stated time, and no more of it than is allowed', async () => {
  const clock = new VirtualClock();
  const registry = new MemoryRegistry();
  let gets = 0;
  const counted: Registry = Object.assign(Object.create(registry) as Registry, {
    get: (key: string) => {
      gets++;
      return registry.get(key);
    },
    put: (key: string, value: unknown, revision: number) => registry.put(key, value, revision),
  });
  const store = open(counted, clock);
  for (const key of ['a', 'b', 'c', 'd']) await store.update(key, () => key);
  gets = 0;
  for (const key of ['a', 'a', 'b', 'c', 'a']) assert.equal(await store.read(key), key);
  assert.equal(gets, 3);
  await store.read('d');
  await store.read('b');
  assert.equal(gets, 5, 'b was asked for the longest time ago');
  clock.advanceTo(1000);
  await store.read('b');
  assert.equal(gets, 6);
});
