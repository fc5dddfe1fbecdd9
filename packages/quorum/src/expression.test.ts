import assert from 'node:assert/strict';
import { test } from 'node:test';
import { asLsn, isCoded, type Lsn } from '@rokka/kernel';
import * as fc from 'fast-check';
import {
  and,
  atLeast,
  compilePoint,
  describe,
  membersOf,
  minimalSets,
  or,
  overlaps,
  POINT_UNKNOWN,
  satisfied,
  satisfyingPoint,
  type Member,
  type QuorumExpression,
} from './expression.ts';

const LETTERS = Array.from('ABCDEF');

const leaf = fc
  .uniqueArray(fc.constantFrom(...LETTERS), { minLength: 1, maxLength: 6 })
  .chain((members) => fc.integer({ min: 1, max: members.length }).map((count) => atLeast(count, members)));
const { expression } = fc.letrec<{ expression: QuorumExpression }>((tie) => ({
  expression: fc.oneof(
    { maxDepth: 3 },
    leaf,
    fc.array(tie('expression'), { minLength: 1, maxLength: 3 }).map((parts) => and(...parts)),
    fc.array(tie('expression'), { minLength: 1, maxLength: 3 }).map((parts) => or(...parts)),
  ),
}));

/** The dumb twin: an expression as the list of all sets that satisfy it, built by set algebra alone. */
function satisfyingSets(rule: QuorumExpression): Set<string> {
  const all = subsets(LETTERS).map((set) => set.join(''));
  if (rule.kind === 'atLeast')
    return new Set(
      all.filter(
        (set) => Array.from(set).filter((member) => rule.members.includes(member)).length >= rule.count,
      ),
    );
  const parts = rule.parts.map(satisfyingSets);
  return new Set(
    all.filter((set) =>
      rule.kind === 'and' ? parts.every((part) => part.has(set)) : parts.some((part) => part.has(set)),
    ),
  );
}

function subsets(members: readonly Member[]): Member[][] {
  if (members.length === 0) return [[]];
  const rest = subsets(members.slice(1));
  return [...rest, ...rest.map((set) => [members[0], ...set])];
}

const disjoint = (a: string, b: string) => !Array.from(a).some((member) => b.includes(member));

test('satisfied, minimal sets and overlap agree with plain set algebra', () => {
  fc.assert(
    fc.property(expression, expression, (first, second) => {
      const firstSets = satisfyingSets(first);
      for (const set of subsets(LETTERS))
        assert.equal(
          satisfied(first, (member) => set.includes(member)),
          firstSets.has(set.join('')),
        );

      const minimal = [...firstSets].filter(
        (set) =>
          ![...firstSets].some(
            (other) => other !== set && Array.from(other).every((member) => set.includes(member)),
          ),
      );
      const found = minimalSets(first).map((set) => Array.from(set).sort().join(''));
      assert.deepEqual(found.sort(), minimal.sort());

      const secondSets = satisfyingSets(second);
      const meet = [...firstSets].every((a) => [...secondSets].every((b) => !disjoint(a, b)));
      const overlap = overlaps(first, second);
      assert.equal(overlap.holds, meet);
      if (!overlap.holds) {
        assert.ok(satisfied(first, (member) => overlap.first.includes(member)));
        assert.ok(satisfied(second, (member) => overlap.second.includes(member)));
        assert.ok(disjoint(overlap.first.join(''), overlap.second.join('')));
      }
    }),
    { numRuns: 150 },
  );
});

const points = fc.dictionary(fc.constantFrom(...LETTERS), fc.nat(8)).map((found) => {
  const entries = Object.entries(found).map(([member, lsn]): [Member, Lsn] => [member, asLsn(lsn)]);
  return new Map(entries);
});

test('the satisfying point is the highest LSN at which the members there are enough', () => {
  fc.assert(
    fc.property(expression, points, (rule, points) => {
      const twin = [8, 7, 6, 5, 4, 3, 2, 1, 0].find((lsn) =>
        satisfied(rule, (member) => (points.get(member) ?? -1) >= lsn),
      );
      assert.equal(satisfyingPoint(rule, points), twin);
    }),
    { numRuns: 500 },
  );
});

test('unknown is below LSN 0: a member that is not heard of never counts', () => {
  const rule = atLeast(2, ['A', 'B', 'C']);
  assert.equal(satisfyingPoint(rule, new Map([['A', asLsn(0)]])), undefined);
  const both: [Member, Lsn][] = [
    ['A', asLsn(0)],
    ['C', asLsn(9)],
  ];
  assert.equal(satisfyingPoint(rule, new Map(both)), 0);
  assert.equal(compilePoint(rule, ['A', 'B', 'C'])(new Float64Array(3).fill(POINT_UNKNOWN)), POINT_UNKNOWN);
});

test('three of six do not meet three of six, and the answer names two sets', () => {
  assert.deepEqual(overlaps(atLeast(3, LETTERS), atLeast(3, LETTERS)), {
    holds: false,
    first: ['A', 'B', 'C'],
    second: ['D', 'E', 'F'],
  });
});

test('more members than can be enumerated is a coded error', () => {
  const many = atLeast(6, Array.from('ABCDEFGHIJK'));
  assert.throws(
    () => minimalSets(many),
    (error) => isCoded(error, 'QUORUM_TOO_MANY_MEMBERS'),
  );
  assert.equal(minimalSets(atLeast(5, Array.from('ABCDEFGHIJ'))).length, 252);
});

test('a rule that nobody can satisfy, or that names a member twice, is our own mistake', () => {
  assert.throws(() => atLeast(0, ['A']));
  assert.throws(() => atLeast(3, ['A', 'B']));
  assert.throws(() => atLeast(1, ['A', 'A']));
  assert.throws(() => and());
});

test('a rule survives JSON and can be read by people', () => {
  const rule = and(atLeast(3, LETTERS), or(atLeast(1, ['A', 'C', 'E']), atLeast(2, ['B', 'D'])));
  assert.deepEqual(JSON.parse(JSON.stringify(rule)), rule);
  assert.equal(describe(rule), '3 of {A B C D E F} and (1 of {A C E} or 2 of {B D})');
  assert.deepEqual(membersOf(rule), ['A', 'B', 'C', 'D', 'E', 'F']);
});
