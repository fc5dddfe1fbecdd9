import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type NodeId, SeededRandom, type Zone } from '@rokka/kernel';
import { MemoryRegistry } from '@rokka/registry';
import { addNode, drawPlaces, listNodes, type NodeRecord } from './cluster.ts';

const node = (ordinal: number, zone: string, part: Partial<NodeRecord> = {}): NodeRecord => ({
  node: `n${ordinal}` as NodeId,
  zone: zone as Zone,
  ordinal,
  made: true,
  ...part,
});
const SIX = ['a', 'a', 'b', 'b', 'c', 'c'].map((zone, i) => node(i + 1, zone));

test('a new volume lies on two nodes of each zone, and not always on the same one first', () => {
  const firsts = new Set<number>();
  for (let seed = 1; seed <= 20; seed++) {
    const drawn = drawPlaces(SIX, new SeededRandom(seed));
    assert.deepEqual(drawn.map(({ zone }) => zone).join(''), 'aabbcc');
    assert.equal(new Set(drawn).size, 6);
    firsts.add(drawn[0]?.ordinal ?? 0);
  }
  assert.deepEqual(firsts, new Set([1, 2]));
});

test('one that leaves, or is gone, is taken only where its zone has no others', () => {
  const nodes = [
    ...SIX.map((one) => (one.ordinal === 1 ? { ...one, leaving: true } : one)),
    node(7, 'a'),
    node(8, 'b', { leaving: true }),
    node(9, 'c', { gone: true }),
  ].map((one) => (one.ordinal === 6 ? { ...one, gone: true } : one));
  for (let seed = 1; seed <= 20; seed++) {
    const ordinals = drawPlaces(nodes, new SeededRandom(seed)).map(({ ordinal }) => ordinal);
    assert.deepEqual(new Set(ordinals.slice(0, 2)), new Set([2, 7]));
    assert.deepEqual(new Set(ordinals.slice(2, 4)), new Set([3, 4]));
    assert.ok(ordinals[4] === 5 && [6, 9].includes(ordinals[5] ?? 0));
  }
});

test('nodes that are added at one moment all come to be, each with an ordinal of its own', async () => {
  await using registry = new MemoryRegistry();
  for (const one of SIX) await registry.put(`nodes/${one.ordinal}`, one, 0);
  const random = new SeededRandom(1);
  const added = await Promise.all(SIX.map(({ zone }) => addNode(registry, { zone, random })));
  const records = await listNodes(registry);
  assert.deepEqual(
    records.map(({ ordinal }) => ordinal),
    [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12],
  );
  assert.deepEqual(
    records.slice(SIX.length),
    added.toSorted((a, b) => a.ordinal - b.ordinal),
  );
});
