import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import type { NodeId } from '@rokka/kernel';
import { joint, satisfied, standardFormulas, type MemberKind } from '@rokka/quorum';
import { FaultAtlas, type AtlasGroup } from './fault-atlas.ts';

const MEMBERS = Array.from('ABCDEF') as NodeId[];

function group(full: string): AtlasGroup {
  const kind = (member: string): MemberKind => (full.includes(member) ? 'full' : 'tail');
  return {
    members: MEMBERS,
    formulas: standardFormulas(MEMBERS.map((member) => ({ member, kind: kind(member) }))),
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

test('while members change every set has its say, and nobody reads from a newcomer that lacks something', () => {
  const set = (names: string) =>
    standardFormulas(Array.from(names, (member) => ({ member, kind: 'full' as const })));
  const members = [...MEMBERS, node('G')];
  const changing = { members, formulas: joint([set('ABCDEF'), set('ABCDEG')]) };
  const atlas = (incomplete: NodeId[]) => new FaultAtlas({ groups: () => [{ ...changing, incomplete }] });
  const lost = (one: FaultAtlas, names: string) => Array.from(names, (name) => one.lose(node(name)));
  // With F and G gone both sets have exactly one less.
  assert.deepEqual(lost(atlas([]), 'FGAB'), [true, true, true, false]);
  // A and B are all that both sets can lose; then F is needed, and so is G.
  assert.deepEqual(lost(atlas([]), 'ABFG'), [true, true, false, false]);
  // Of ABCDEG without A and B only C, D and E can be read from while G hydrates: three, and no one less.
  assert.deepEqual(lost(atlas([node('G')]), 'ABE'), [true, true, false]);
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
        const { write, read } = groups[0].formulas;
        const isWhole = (name: string) => !atlas.isLost(node(name));
        assert.ok(satisfied(read, isWhole) && satisfied(write, isWhole));
        const wrote = (name: string) => writers.includes(node(name));
        if (satisfied(write, wrote)) assert.ok(MEMBERS.some((name) => wrote(name) && isWhole(name)));
      },
    ),
  );
});
