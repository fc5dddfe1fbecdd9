/** What is known of nodes between two looks at the registry. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SeededRandom, VirtualClock } from '@rokka/kernel';
import { MemoryRegistry } from '@rokka/registry';
import { addNode, changeNode } from './cluster.ts';
import { Fleet } from './fleet.ts';

test('a node that came after the last look is no node that is gone', async () => {
  const registry = new MemoryRegistry();
  const random = new SeededRandom(1);
  const [first, second] = [
    await addNode(registry, { zone: 'a', random }),
    await addNode(registry, { zone: 'a', random }),
  ];
  await changeNode(registry, first.ordinal, { gone: true });
  using fleet = await Fleet.open(registry, { clock: new VirtualClock() });
  const late = await addNode(registry, { zone: 'a', random });
  assert.deepEqual(
    [first, second, late].map(({ node }) => fleet.keeps(node)),
    [false, true, true],
  );
});
