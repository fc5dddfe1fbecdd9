import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Epoch, Lsn, NodeId, PgIndex, VolumeId, Zone } from '@rokka/kernel';
import { beginReplacement, settledMembership } from '@rokka/quorum';
import { dismissalsFor, nodesToAsk } from './deletion-plan.ts';
import type { VolumeRecord } from './volume-record.ts';

const id = (name: string) => name as NodeId;
const nodes = ['n0', 'n1', 'n2', 'n3', 'n4', 'n5'].map((node, i) => ({
  node: id(node),
  zone: 'aabbcc'[i] as Zone,
}));
const members = nodes.map((node, i) => ({
  ...node,
  kind: i % 2 === 0 ? ('full' as const) : ('tail' as const),
}));

function record(part: Partial<VolumeRecord>): VolumeRecord {
  return {
    volumeId: 'v' as VolumeId,
    name: 'v',
    volumeEpoch: 3 as Epoch,
    lsnAllocationLimitMax: 10,
    pagesPerGroup: 64,
    groupsMax: 4,
    allFull: false,
    nodes,
    stores: {},
    groups: [],
    truncationRanges: [],
    ...part,
  };
}

test('a volume that was never opened may have left a segment of its first group on any of its nodes', () => {
  const fresh = record({});
  assert.deepEqual(
    nodesToAsk(fresh),
    nodes.map(({ node }) => node),
  );
  const told = dismissalsFor(fresh, id('n2'));
  assert.deepEqual(
    told.map(({ pg, nextEpoch }) => [Number(pg), Number(nextEpoch)]),
    [[0, 2]],
  );
  assert.deepEqual(
    told[0]?.others.map(({ node }) => String(node)),
    ['n0', 'n1', 'n3', 'n4', 'n5'],
  );
});

test('members, newcomers, the retired and whoever once had a store are asked, each once', () => {
  const moving = beginReplacement(settledMembership(4 as Epoch, members), {
    leaves: id('n5'),
    joins: { node: id('n6'), zone: 'c' as Zone, kind: 'tail' },
    lastLsn: 5 as Lsn,
  });
  const volume = record({
    groups: [{ pg: 0 as PgIndex, membership: moving, missing: [], retired: [id('n7')] }],
    stores: { [id('n8')]: 'store', [id('n0')]: 'store' },
  });
  assert.deepEqual(
    new Set(nodesToAsk(volume).map(String)),
    new Set('012345678'.split('').map((i) => `n${i}`)),
  );
  assert.equal(nodesToAsk(volume).length, 9);
  for (const node of nodesToAsk(volume)) {
    const told = dismissalsFor(volume, node);
    assert.deepEqual(
      told.map(({ pg, nextEpoch }) => [Number(pg), Number(nextEpoch)]),
      [
        [0, moving.epoch + 1],
        [1, 2],
      ],
      'above every epoch that was decided',
    );
    for (const { others } of told) {
      assert.ok(others.length >= 5 && others.every((other) => other.node !== node));
    }
  }
});
