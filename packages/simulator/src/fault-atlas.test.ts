import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import type { Epoch, NodeId, PgIndex, Zone } from '@rokka/kernel';
import { joint, satisfied, standardFormulas, type MemberKind } from '@rokka/quorum';
import { asGoodAsNew, FaultAtlas, type AtlasGroup } from './fault-atlas.ts';

const MEMBERS = Array.from('ABCDEF') as NodeId[];

function group(full: string): AtlasGroup {
  const kind = (member: string): MemberKind => (full.includes(member) ? 'full' : 'tail');
  return {
    members: MEMBERS,
    formulas: () => standardFormulas(MEMBERS.map((member) => ({ member, kind: kind(member) }))),
  };
}

const node = (name: string) => name as NodeId;

test('two members may lose their data, and no third; who lost some may lose more', () => {
  const atlas = new FaultAtlas({ groups: () => [group('ACE')] });
  assert.ok(atlas.lose(node('A')));
  assert.ok(atlas.lose(node('C')));
  assert.ok(!atlas.lose(node('F')));
  assert.ok(atlas.lose(node('A')));
  assert.deepEqual([...atlas.lost], ['A', 'C']);
});

test('a member that was rebuilt gives its budget back', () => {
  const atlas = new FaultAtlas({ groups: () => [group('ABCDEF')] });
  for (const name of ['A', 'B']) assert.ok(atlas.lose(node(name)));
  assert.ok(!atlas.mayLose(node('C')));
  atlas.rebuilt(node('B'));
  assert.ok(atlas.lose(node('C')));
});

test('who was replaced and let go is as good as new, also on a new disk; not while it is needed by its old name', () => {
  const place = { kind: 'full', zone: 'a' } as const;
  const slots = Array.from('GBCDEF', (name) => ({
    member: { node: node(name), ...place, zone: 'a' as Zone },
  }));
  const group = { pg: 0 as PgIndex, membership: { epoch: 2 as Epoch, slots }, missing: [], retired: [] };
  const nodes = slots.map(({ member }) => ({ node: member.node, zone: member.zone }));
  const isThere = () => true;
  const lost = [node('A'), node('B')];
  for (const isAnother of [() => false, () => true])
    assert.deepEqual(asGoodAsNew(lost, { groups: [group], nodes }, { isThere, isAnother }), ['A']);
  const old = { groups: [group], nodes: [{ node: node('A'), zone: 'a' as Zone }, ...nodes.slice(1)] };
  assert.deepEqual(asGoodAsNew(lost, old, { isThere, isAnother: () => true }), []);
  assert.deepEqual(asGoodAsNew(lost, old, { isThere, isAnother: () => false }), ['A']);
  const holding = { groups: [{ ...group, retired: [node('A')] }], nodes };
  assert.deepEqual(asGoodAsNew(lost, holding, { isThere, isAnother: () => false }), []);
  assert.deepEqual(
    asGoodAsNew(lost, { groups: [group], nodes }, { isThere: () => false, isAnother: () => false }),
    [],
  );
});

test('while members change every set has its say, and nobody reads from a newcomer that lacks something', () => {
  const set = (names: string) =>
    standardFormulas(Array.from(names, (member) => ({ member, kind: 'full' as const })));
  const members = [...MEMBERS, node('G')];
  const changing = { members, formulas: () => joint([set('ABCDEF'), set('ABCDEG')]) };
  const atlas = (incomplete: NodeId[]) => new FaultAtlas({ groups: () => [{ ...changing, incomplete }] });
  const lost = (one: FaultAtlas, names: string) => Array.from(names, (name) => one.lose(node(name)));
  // With F and G gone both sets have exactly one less.
  assert.deepEqual(lost(atlas([]), 'FGAB'), [true, true, true, false]);
  // A and B are all that both sets can lose; then F is needed, and so is G.
  assert.deepEqual(lost(atlas([]), 'ABFG'), [true, true, false, false]);
  // Of ABCDEG without A and B only C, D and E can be read from while G hydrates: three, and no one less.
  assert.deepEqual(lost(atlas([node('G')]), 'ABE'), [true, true, false]);
});

test('a newcomer that lacks something may be lost beside two members: it is given up', () => {
  const set = (names: string) =>
    standardFormulas(Array.from(names, (member) => ({ member, kind: 'full' as const })));
  const G = node('G');
  const changing: AtlasGroup = {
    members: [...MEMBERS, G],
    incomplete: [G],
    formulas: (isLost) => (isLost(G) ? set('ABCDEF') : joint([set('ABCDEF'), set('ABCDEG')])),
  };
  const atlas = new FaultAtlas({ groups: () => [changing] });
  assert.deepEqual(
    Array.from('ABGF', (name) => atlas.lose(node(name))),
    [true, true, true, false],
  );
  assert.equal(
    atlas.availability(() => true),
    'writes',
  );
});

test('nobody loses its data while a group is made on it', () => {
  const growing = new Set([node('A')]);
  const atlas = new FaultAtlas({ groups: () => [group('ACE')], growing: () => growing });
  assert.ok(!atlas.mayLose(node('A')));
  assert.ok(atlas.mayLose(node('B')));
  growing.clear();
  assert.ok(atlas.mayLose(node('A')));
});

test('every group has its say, also one that was added later', () => {
  const groups = [group('ACE')];
  const atlas = new FaultAtlas({ groups: () => groups });
  for (const name of ['A', 'C']) assert.ok(atlas.lose(node(name)));
  assert.equal(
    atlas.availability(() => true),
    'writes',
  );
  groups.push(group('BDF'));
  assert.equal(
    atlas.availability((name) => name !== 'B'),
    'recovery',
  );
  assert.equal(
    atlas.availability((name) => name === 'B'),
    'nothing',
  );
});

test('what is left after any losses that the atlas allows meets every write that was ever acknowledged', () => {
  const subset = fc.subarray(MEMBERS);
  fc.assert(
    fc.property(
      fc.constantFrom('ACE', 'BDF', 'ABCDEF'),
      fc.shuffledSubarray(MEMBERS),
      subset,
      (full, lost, writers) => {
        const groups = [group(full)];
        const atlas = new FaultAtlas({ groups: () => groups });
        for (const name of lost) atlas.lose(name);
        const { write, read } = groups[0].formulas(() => false);
        const isWhole = (name: string) => !atlas.isLost(node(name));
        assert.ok(satisfied(read, isWhole) && satisfied(write, isWhole));
        const wrote = (name: string) => writers.includes(node(name));
        if (satisfied(write, wrote)) assert.ok(MEMBERS.some((name) => wrote(name) && isWhole(name)));
      },
    ),
  );
});
