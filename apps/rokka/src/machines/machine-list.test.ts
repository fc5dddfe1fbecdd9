import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { NodeId, Zone } from '@rokka/kernel';
import { MemoryRegistry } from '@rokka/registry';
import type { NodeRecord } from '../cluster.ts';
import { machinesOf, machinesWithVolumes } from './machine-list.ts';

const node = (ordinal: number, zone: string, part: Partial<NodeRecord> = {}): NodeRecord => ({
  node: `node-${ordinal}` as NodeId,
  zone: zone as Zone,
  ordinal,
  made: true,
  ...part,
});
const own = { host: 'one', privateIp: '10.0.0.1', launchedAtMs: 5, bootBytes: 7 };

test('a cluster on one machine is one, of the zone of its first node', () => {
  const nodes = [node(1, 'a', { gone: true }), node(2, 'a'), node(3, 'b'), node(7, 'a')];
  assert.deepEqual(machinesOf(nodes, own), [{ ...own, key: 'node-1', zone: 'a', isFirst: true }]);
  assert.deepEqual(machinesOf([], own), []);
});

test('of those that joined it is known where they are, and no more', () => {
  const nodes = [
    node(1, 'a'),
    node(7, 'b', { machine: 'm-7', address: 'tls:10.0.0.7:7600' }),
    node(8, 'c', { machine: 'm-8', address: 'tls:eight.example:7600' }),
    node(9, 'c', { machine: 'm-9', address: 'tls:[fd00::9]:7600', gone: true }),
  ];
  assert.deepEqual(machinesOf(nodes, own).slice(1), [
    { key: 'm-7', host: '10.0.0.7', privateIp: '10.0.0.7', zone: 'b', isFirst: false },
    { key: 'm-8', host: 'eight.example', zone: 'c', isFirst: false },
  ]);
});

test('where databases move there is one machine with volumes, wherever it is', async () => {
  const registry = new MemoryRegistry();
  await registry.put('nodes/1', node(1, 'a'), 0);
  await registry.put('nodes/7', node(7, 'b', { machine: 'm-7', address: 'tls:10.0.0.7:7600' }), 0);
  const keys = async (moves: boolean) =>
    (await machinesWithVolumes({ registry, databases: { moves }, own })).map(({ key }) => key);
  assert.deepEqual(await keys(false), ['node-1', 'm-7']);
  assert.deepEqual(await keys(true), ['node-1']);
});
