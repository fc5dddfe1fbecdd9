import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Epoch, NodeId, PgIndex, Zone } from '@rokka/kernel';
import { formulasOf, satisfied, settledMembership } from '@rokka/quorum';
import { firstPageOf, placeMembers } from './geometry.ts';

const nodes = ['a', 'b', 'c', 'a', 'b', 'c'].map((zone, i) => ({
  node: `n${i}` as NodeId,
  zone: zone as Zone,
}));
const pg = (index: number) => index as PgIndex;

test('each zone holds one full member and one tail, which change places from group to group', () => {
  const kinds = [0, 1, 2].map((index) =>
    placeMembers(nodes, pg(index), { allFull: false }).map(
      ({ node, zone, kind }) => `${node}${zone}${kind[0]}`,
    ),
  );
  assert.deepEqual(kinds[0], ['n0af', 'n3at', 'n1bf', 'n4bt', 'n2cf', 'n5ct']);
  assert.deepEqual(kinds[1], ['n0at', 'n3af', 'n1bt', 'n4bf', 'n2ct', 'n5cf']);
  assert.deepEqual(kinds[2], kinds[0]);
});

test('a zone and one more node may be gone and a read quorum is left', () => {
  for (const allFull of [false, true]) {
    const members = placeMembers(nodes, pg(0), { allFull });
    const { read, write } = formulasOf(settledMembership(1 as Epoch, members));
    for (const zone of ['a', 'b', 'c']) {
      const left = members.filter((member) => member.zone !== zone);
      assert.ok(satisfied(write, (node) => left.some((member) => member.node === node)));
      for (const lost of left)
        assert.ok(satisfied(read, (node) => left.some((member) => member !== lost && member.node === node)));
    }
  }
});

test('groups lie one after the other', () => {
  assert.deepEqual(
    [0, 1, 6_399].map((index) => firstPageOf(pg(index), 1_310_720)),
    [0, 1_310_720, 8_387_297_280],
  );
});

test('anything but two nodes in each of three zones is our own mistake', () => {
  assert.throws(() => placeMembers(nodes.slice(1), pg(0), { allFull: false }), /six nodes/);
  const lopsided = nodes.map((node, i) => (i === 3 ? { ...node, zone: 'b' as Zone } : node));
  assert.throws(() => placeMembers(lopsided, pg(0), { allFull: false }), /zone a has 1 nodes/);
});
