import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Epoch, Lsn, NodeId, PgIndex, VolumeId, Zone } from '@rokka/kernel';
import { beginReplacement, type Membership, settledMembership } from '@rokka/quorum';
import type { PlacedGroup } from '@rokka/volume';
import type { NodeRecord } from './cluster.ts';
import {
  idleNodes,
  membersAmong,
  sparesAmong,
  type SpareWish,
  unreadableGroups,
  zonesInWant,
} from './missing-nodes.ts';

const id = (ordinal: number) => `n${ordinal}` as NodeId;
const node = (ordinal: number, zone: string, part: Partial<NodeRecord> = {}): NodeRecord => ({
  node: id(ordinal),
  zone: zone as Zone,
  ordinal,
  made: true,
  ...part,
});
const ZONES = ['a', 'a', 'b', 'b', 'c', 'c'] as Zone[];
const SIX = ZONES.map((zone, i) => node(i + 1, zone));
/** Nodes 1, 3 and 5 are full. */
const MEMBERS = settledMembership(
  1 as Epoch,
  ZONES.map((zone, i) => ({ node: id(i + 1), zone, kind: i % 2 === 0 ? 'full' : 'tail' })),
);
const group = (membership: Membership = MEMBERS, name = 'main'): PlacedGroup => ({
  volumeId: `vol-${name}` as VolumeId,
  name,
  pg: 0 as PgIndex,
  membership,
});
const replacing = (leaves: number, joins: number): Membership => {
  const slot = MEMBERS.slots[leaves - 1];
  assert.ok(slot);
  const { zone, kind } = slot.member;
  return beginReplacement(MEMBERS, {
    leaves: id(leaves),
    joins: { node: id(joins), zone, kind },
    lastLsn: 9 as Lsn,
  });
};
const facts = (missing: readonly number[], of: { records?: NodeRecord[]; groups?: PlacedGroup[] } = {}) => ({
  records: of.records ?? SIX,
  groups: of.groups ?? [group()],
  missing: new Set(missing.map(id)),
});
const isReadable = (missing: readonly number[]) => unreadableGroups(facts(missing)).length === 0;

test('a zone and one more may be missing, four may not, nor all that are full', () => {
  for (const missing of [[], [1], [1, 2], [1, 2, 3], [2, 4, 6], [3, 5, 6]])
    assert.ok(isReadable(missing), String(missing));
  for (const missing of [
    [1, 3, 5],
    [1, 2, 3, 4],
    [2, 3, 4, 6],
    [1, 2, 3, 4, 5, 6],
  ])
    assert.ok(!isReadable(missing), String(missing));
});

test('each group of each volume is asked for, by all sets that are in force', () => {
  const groups = [group(), group(replacing(1, 7), 'other')];
  const records = [...SIX, node(7, 'a')];
  // A newcomer holds nothing that reads of the old set could do without.
  const unreadable = unreadableGroups(facts([1, 2, 4, 6], { groups, records }));
  assert.deepEqual(
    unreadable.map(({ name }) => name),
    ['main', 'other'],
  );
  assert.deepEqual(unreadableGroups(facts([1, 7, 4], { groups, records })), []);
});

test('who was written off is not there, and who is on another machine is', () => {
  const written = SIX.map((one) => (one.ordinal < 4 ? { ...one, gone: true } : one));
  assert.equal(unreadableGroups(facts([], { records: written })).length, 0);
  assert.equal(unreadableGroups(facts([4], { records: written })).length, 1);
  const elsewhere = SIX.map((one) => (one.ordinal > 2 ? { ...one, machine: one.node } : one));
  assert.equal(unreadableGroups(facts([1, 2], { records: elsewhere })).length, 0);
  assert.deepEqual(
    membersAmong([...written, node(7, 'a', { gone: true })], [group()]).filter(({ gone }) => gone),
    written.slice(0, 3),
  );
});

test('only who is a member of nothing is idle, newcomers and those they come for are not', () => {
  const records = [...SIX, node(7, 'a'), node(8, 'a')];
  const groups = [group(replacing(1, 7))];
  assert.deepEqual(
    idleNodes(facts([1, 7, 8], { records, groups })).map(({ ordinal }) => ordinal),
    [8],
  );
});

test('a zone wants a node for each member that is missing and finds no spare', () => {
  assert.deepEqual(zonesInWant(facts([2])), ['a']);
  assert.deepEqual(zonesInWant(facts([1, 2, 3])), ['a', 'a', 'b']);
  const spare = [...SIX, node(7, 'a')];
  assert.deepEqual(zonesInWant(facts([2], { records: spare })), []);
  assert.deepEqual(zonesInWant(facts([1, 2], { records: spare })), ['a']);
  assert.deepEqual(zonesInWant(facts([2], { records: [...SIX, node(7, 'a', { leaving: true })] })), ['a']);
  assert.deepEqual(zonesInWant(facts([2], { records: [...SIX, node(7, 'a', { gone: true })] })), ['a']);
  // The spare of one group is a member of the other, where the same node is missing.
  const groups = [group(), group(replacing(1, 7), 'other')];
  assert.deepEqual(zonesInWant(facts([2], { records: spare, groups })), ['a']);
});

test('a replacement that is under way is enough, and one whose newcomer is missing as well is not', () => {
  const records = [...SIX, node(7, 'a')];
  const groups = [group(replacing(1, 7))];
  assert.deepEqual(zonesInWant(facts([1], { records, groups })), []);
  assert.deepEqual(zonesInWant(facts([1, 7], { records, groups })), ['a']);
});

test('nobody comes for a group that nobody could copy from, and for the others somebody does', () => {
  assert.deepEqual(zonesInWant(facts([1, 2, 3, 4])), []);
  const others = settledMembership(
    1 as Epoch,
    [11, 12, 3, 13, 14, 15].map((ordinal, i) => ({
      node: id(ordinal),
      zone: ZONES[i],
      kind: i % 2 === 0 ? 'full' : 'tail',
    })),
  );
  const records = [
    ...SIX,
    ...[11, 12, 13, 14, 15].map((n, i) => node(n, ['a', 'a', 'b', 'c', 'c'][i] as Zone)),
  ];
  assert.deepEqual(zonesInWant(facts([1, 3, 5, 4], { records, groups: [group(), group(others, 'other')] })), [
    'b',
  ]);
});

test('a spare that is missing is replaced where its zone would have less than two', () => {
  const records = [...SIX, node(7, 'a')];
  assert.deepEqual(zonesInWant(facts([7], { records })), []);
  assert.deepEqual(zonesInWant(facts([2], { groups: [] })), ['a']);
});

const wish = (perZone: number, zones: string, down: readonly number[] = []): SpareWish => ({
  perZone,
  zones: new Set(zones.split('') as Zone[]),
  down: new Set(down.map(id)),
});

test('a zone of this machine wants the spares that it lacks, others are not its affair', () => {
  const of = (records: NodeRecord[], spares: SpareWish, groups = [group()]) =>
    zonesInWant({ ...facts([], { records, groups }), spares }).join('');
  assert.equal(of(SIX, wish(0, 'abc')), '');
  assert.equal(of(SIX, wish(1, 'abc')), 'abc');
  assert.equal(of(SIX, wish(2, 'a')), 'aa');
  const seven = [...SIX, node(7, 'a')];
  assert.equal(of(seven, wish(1, 'abc')), 'bc');
  assert.equal(of(seven, wish(1, 'abc', [7])), 'abc');
  assert.equal(of([...SIX, node(7, 'a', { leaving: true })], wish(1, 'a')), 'a');
  // Each group is asked for: what one of them uses up may be another one's spare.
  const moved = settledMembership(
    1 as Epoch,
    [7, 2, 3, 4, 5, 6].map((n, i) => ({ node: id(n), zone: ZONES[i], kind: i % 2 === 0 ? 'full' : 'tail' })),
  );
  assert.equal(of(seven, wish(1, 'a'), [group(), group(moved, 'other')]), '');
  assert.equal(of(seven, wish(2, 'a'), [group(), group(moved, 'other')]), 'a');
  assert.equal(of(seven, wish(1, 'a'), [group(moved)]), '');
});

test('a spare that is used has a successor when it has come to stay', () => {
  const records = [...SIX, node(7, 'a')];
  const spares = wish(1, 'abc');
  const wants = (groups: PlacedGroup[]) =>
    zonesInWant({ ...facts([2], { records, groups }), spares }).filter((zone) => zone === 'a').length;
  assert.equal(wants([group()]), 0);
  assert.equal(wants([group(replacing(2, 7))]), 0);
  const stayed = settledMembership(
    3 as Epoch,
    [1, 7, 3, 4, 5, 6].map((n, i) => ({ node: id(n), zone: ZONES[i], kind: i % 2 === 0 ? 'full' : 'tail' })),
  );
  assert.equal(wants([group(stayed)]), 1);
  const usable = records.filter(({ zone, ordinal }) => zone === 'a' && ordinal !== 2);
  assert.deepEqual([sparesAmong(usable, [group(stayed)]), sparesAmong(usable, [group()])], [0, 1]);
});
