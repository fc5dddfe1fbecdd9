/** What every Registry must do, as tests that run against each implementation. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { isCoded, must } from '@rokka/kernel';
import type { Registry } from '../registry.ts';

export interface RegistryUnderTest extends AsyncDisposable {
  /** Another handle on the same state; the test disposes it. */
  open(): Promise<Registry>;
}

/** `make` gives an empty state, and takes it away when disposed. */
export function registryConformance(name: string, make: () => Promise<RegistryUnderTest>): void {
  const check = (what: string, run: (registry: Registry, under: RegistryUnderTest) => Promise<void>): void =>
    void test(`${name}: ${what}`, { timeout: 300_000 }, async () => {
      await using under = await make();
      await using registry = await under.open();
      await run(registry, under);
    });

  check('what was put is there, for every handle', async (registry, under) => {
    await using other = await under.open();
    assert.equal(await registry.get('nodes/n1'), undefined);
    const value = { zone: 'a', list: [1, 2.5, null, 'é\u0000"'], deep: { yes: true } };
    const revision = await registry.put('nodes/n1', value, 0);
    assert.ok(Number.isSafeInteger(revision) && revision > 0);
    for (const handle of [registry, other])
      assert.deepEqual(await handle.get('nodes/n1'), { key: 'nodes/n1', value, revision });
    const second = await other.put('nodes/n1', 'text', revision);
    assert.notEqual(second, revision);
    assert.deepEqual(await registry.get('nodes/n1'), { key: 'nodes/n1', value: 'text', revision: second });
  });

  check('a write at any other revision is refused and changes nothing', async (registry) => {
    const conflict = { code: 'REGISTRY_CONFLICT' };
    await assert.rejects(registry.put('a', 1, 1), conflict);
    await assert.rejects(registry.remove('a', 1), conflict);
    const revision = await registry.put('a', 1, 0);
    for (const wrong of [0, revision + 1, revision - 1]) {
      await assert.rejects(registry.put('a', 2, wrong), conflict);
      await assert.rejects(registry.remove('a', wrong), conflict);
    }
    assert.deepEqual(await registry.get('a'), { key: 'a', value: 1, revision });
  });

  check('a key that was removed and made again is not the old one', async (registry) => {
    const first = await registry.put('a', 'old', 0);
    await registry.remove('a', first);
    assert.equal(await registry.get('a'), undefined);
    assert.deepEqual(await registry.list(''), []);
    await registry.put('b', 'other', 0);
    const second = await registry.put('a', 'new', 0);
    assert.notEqual(second, first);
    await assert.rejects(registry.put('a', 'stale', first), { code: 'REGISTRY_CONFLICT' });
  });

  check('a list holds what its prefix says, in key order', async (registry) => {
    const keys = [
      'volumes/b',
      'volumes/a',
      'volumes/B',
      'volumes/~',
      'volume',
      'volumes',
      'volumes0',
      'nodes/1',
    ];
    for (const key of keys) await registry.put(key, { key }, 0);
    const listed = async (prefix: string) => (await registry.list(prefix)).map((entry) => entry.key);
    assert.deepEqual(await listed('volumes/'), ['volumes/B', 'volumes/a', 'volumes/b', 'volumes/~']);
    assert.deepEqual(await listed(''), keys.toSorted());
    assert.deepEqual(await listed('x'), []);
    // Characters that mean something to a LIKE or a GLOB are characters.
    await registry.put('v%_', 1, 0);
    assert.deepEqual(await listed('v%'), ['v%_']);
    assert.deepEqual(await listed('v_'), []);
  });

  check('keys and values that could not come back are refused', async (registry) => {
    for (const key of ['', 'with space', 'é', 'line\n', 'k'.repeat(513)]) {
      await assert.rejects(registry.put(key, 1, 0), { code: 'REGISTRY_BAD_KEY' });
      await assert.rejects(registry.get(key), { code: 'REGISTRY_BAD_KEY' });
    }
    const circular: Record<string, unknown> = {};
    circular['self'] = circular;
    for (const value of [undefined, () => 1, 1n, circular, 'x'.repeat(9 * 1024 * 1024)])
      await assert.rejects(registry.put('a', value, 0), { code: 'REGISTRY_BAD_VALUE' });
    assert.deepEqual(await registry.list(''), []);
  });

  check('a value is a copy', async (registry) => {
    const value = { list: [1] };
    const revision = await registry.put('a', value, 0);
    value.list.push(2);
    const read = await registry.get<typeof value>('a');
    read?.value.list.push(3);
    assert.deepEqual(await registry.get('a'), { key: 'a', value: { list: [1] }, revision });
  });

  check('of writes at one revision one wins', async (registry, under) => {
    await using other = await under.open();
    const base = await registry.put('a', 0, 0);
    const writes = Array.from({ length: 10 }, (_, i) => (i % 2 ? registry : other).put('a', i, base));
    const results = await Promise.allSettled(writes);
    const won = results.filter((result) => result.status === 'fulfilled');
    assert.equal(won.length, 1);
    for (const result of results)
      if (result.status === 'rejected') assert.ok(isCoded(result.reason, 'REGISTRY_CONFLICT'));
    assert.equal((await registry.get('a'))?.revision, won[0]?.value);
  });

  check('a handle that was closed says so', async (_, under) => {
    const closed = await under.open();
    await closed[Symbol.asyncDispose]();
    await closed[Symbol.asyncDispose]();
    await assert.rejects(closed.get('a'), { code: 'REGISTRY_CLOSED' });
    await assert.rejects(closed.put('a', 1, 0), { code: 'REGISTRY_CLOSED' });
  });

  check('any sequence of changes leaves what a plain map would hold', async (registry, under) => {
    await using other = await under.open();
    const handles: Registry[] = [registry, other];
    const model = new Map<string, { value: unknown; revision: number }>();
    const seen = new Set<number>();
    const change = fc.record({
      handle: fc.nat({ max: 1 }),
      key: fc.constantFrom('a', 'b', 'c/d'),
      value: fc.jsonValue(),
      kind: fc.constantFrom('put', 'put', 'remove', 'stale'),
    });
    for (const { handle, key, value, kind } of fc.sample(change, { numRuns: 120, seed: 6 })) {
      const on = must(handles[handle]);
      const at = model.get(key)?.revision ?? 0;
      if (kind === 'stale') {
        await assert.rejects(on.put(key, value, at + 1), { code: 'REGISTRY_CONFLICT' });
      } else if (kind === 'put') {
        const revision = await on.put(key, value, at);
        assert.ok(!seen.has(revision), 'a revision is never used twice');
        seen.add(revision);
        model.set(key, { value: JSON.parse(JSON.stringify(value)), revision });
      } else if (at > 0) {
        await on.remove(key, at);
        model.delete(key);
      }
      const expected = [...model]
        .sort(([a], [b]) => (a < b ? -1 : 1))
        .map(([key, entry]) => ({ key, ...entry }));
      assert.deepEqual(await must(handles[1 - handle]).list(''), expected);
    }
  });
}
