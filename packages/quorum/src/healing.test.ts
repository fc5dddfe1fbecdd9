/** The healer's choices, case by case: A to F are the six, two a zone; spares s1, s2 in zone c, s3 in zone a. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { asEpoch, asLsn, type NodeId, type Zone } from '@rokka/kernel';
import { HEALING_TIMES, nextHealingStep, type GroupHealth, type MemberHealth } from './healing.ts';
import { beginReplacement, forceReplacement, settledMembership, type Membership } from './membership.ts';

const { awayMs, behindMs, returnedMs, blockedMs } = HEALING_TIMES;
const zoneOf = (node: string) => 'abc'['ABCDEF'.indexOf(node) >> 1] as Zone;
const six = settledMembership(
  asEpoch(1),
  Array.from('ABCDEF').map((node, i) => ({
    node: node as NodeId,
    kind: i % 2 === 0 ? 'full' : 'tail',
    zone: zoneOf(node),
  })),
);
const SPARES = [
  { node: 's1' as NodeId, zone: 'c' as Zone },
  { node: 's2' as NodeId, zone: 'c' as Zone },
  { node: 's3' as NodeId, zone: 'a' as Zone },
];
const replacing = (of: Membership, leaves: string, joins: string) => {
  const { kind, zone } = of.slots['ABCDEF'.indexOf(leaves)].member;
  return beginReplacement(of, {
    leaves: leaves as NodeId,
    joins: { node: joins as NodeId, kind, zone },
    lastLsn: asLsn(0),
  });
};
const FtoS1 = replacing(six, 'F', 's1');

type Told = Partial<MemberHealth> & Pick<MemberHealth, 'state'>;

/** Everybody is well but who is named. */
function step(membership: Membership, told: Record<string, Told>, more: Partial<GroupHealth> = {}) {
  const well: MemberHealth = { state: 'well', forMs: 1e9, leaving: false };
  const nodes = [...Array.from('ABCDEF'), 's1', 's2', 's3'];
  const members = new Map(nodes.map((node) => [node as NodeId, { ...well, ...told[node] }]));
  return nextHealingStep({ membership, members, spares: SPARES, blockedForMs: 0, ...more }, HEALING_TIMES);
}
const begins = (leaves: string, joins: string, kind: 'begin' | 'force' = 'begin') => {
  const { member } = six.slots['ABCDEF'.indexOf(leaves)];
  return { kind, leaves, joins: { node: joins, kind: member.kind, zone: member.zone } };
};
const away: Told = { state: 'away', forMs: awayMs };
const lost: Told = { state: 'lost', forMs: 0 };

test('all are well: nothing to do', () => assert.equal(step(six, {}), undefined));

test('a member that stays away is replaced by a spare of its zone; one that just went is waited for', () => {
  assert.deepEqual(step(six, { F: away }), begins('F', 's1'));
  assert.equal(step(six, { F: { state: 'away', forMs: awayMs - 1 } }), undefined);
  assert.equal(step(six, { C: away }), undefined, 'no spare in zone b');
});

test('one that lost its data is not waited for, and comes before one that is away', () => {
  assert.deepEqual(step(six, { F: lost }), begins('F', 's1'));
  assert.deepEqual(step(six, { A: away, F: lost }), begins('F', 's1'));
});

test('a second failure is replaced while the first one is; a third waits', () => {
  assert.deepEqual(step(FtoS1, { F: away, s1: { state: 'behind' }, E: away }), begins('E', 's2'));
  const both = replacing(FtoS1, 'E', 's2');
  const hydrating: Told = { state: 'behind', forMs: 0 };
  assert.equal(step(both, { E: away, F: away, A: away, s1: hydrating, s2: hydrating }), undefined);
});

test('a newcomer that holds everything stays', () => {
  assert.deepEqual(step(FtoS1, { F: away }), { kind: 'finish', newcomer: 's1' });
});

test('an old member that is back first stays, unless it is to leave', () => {
  const hydrating: Told = { state: 'behind' };
  const back: Told = { state: 'well', forMs: returnedMs };
  assert.deepEqual(step(FtoS1, { F: back, s1: hydrating }), { kind: 'revert', newcomer: 's1' });
  assert.equal(step(FtoS1, { F: { state: 'well', forMs: returnedMs - 1 }, s1: hydrating }), undefined);
  assert.equal(step(FtoS1, { F: { ...back, leaving: true }, s1: hydrating }), undefined);
});

test('a newcomer that is gone is given up, and the next spare is tried', () => {
  assert.deepEqual(step(FtoS1, { F: away, s1: away }), { kind: 'revert', newcomer: 's1' });
  const spares = SPARES.filter(({ node }) => node !== 's1');
  assert.deepEqual(step(six, { F: away }, { spares }), begins('F', 's2'));
});

test('a newcomer that is gone is waited for where the old member is gone, too, and nobody else could come', () => {
  const spares = SPARES.filter(({ node }) => node !== 's2');
  assert.equal(step(FtoS1, { F: away, s1: away }, { spares }), undefined);
  const leaving: Told = { state: 'well', leaving: true };
  assert.deepEqual(step(FtoS1, { F: leaving, s1: away }, { spares }), { kind: 'revert', newcomer: 's1' });
});

test('a drain and a slow member wait until every other zone is well and at rest', () => {
  const drained: Told = { state: 'well', leaving: true };
  assert.deepEqual(step(six, { F: drained }), begins('F', 's1'));
  assert.equal(step(six, { F: drained, A: { state: 'away', forMs: 1 } }), undefined);
  assert.deepEqual(step(six, { F: { state: 'behind', forMs: behindMs } }), begins('F', 's1'));
  assert.equal(step(six, { F: { state: 'behind', forMs: behindMs - 1 } }), undefined);
  const inZoneA = replacing(six, 'A', 's3');
  assert.equal(step(inZoneA, { A: drained, s3: { state: 'behind' }, F: drained }), undefined);
  assert.deepEqual(step(FtoS1, { E: drained, F: drained, s1: { state: 'behind' } }), begins('E', 's2'));
});

test('without a write quorum whoever is gone is forced out, and nobody else', () => {
  const blocked = { blockedForMs: blockedMs };
  assert.deepEqual(step(six, { C: away, D: away, F: away }, blocked), begins('F', 's1', 'force'));
  assert.equal(step(six, { C: away, D: away, F: away }, { blockedForMs: blockedMs - 1 }), undefined);
  const hydrating: Told = { state: 'behind' };
  assert.deepEqual(
    step(FtoS1, { A: away, B: away, F: away, s1: hydrating }, blocked),
    begins('A', 's3', 'force'),
  );
  assert.deepEqual(
    step(FtoS1, { C: away, D: away, F: away, s1: hydrating }, blocked),
    begins('F', 's1', 'force'),
  );
});

test('without a write quorum a newcomer that is gone is given up before anybody is forced out', () => {
  const blocked = { blockedForMs: blockedMs };
  const gaveUp = { kind: 'give-up', newcomer: 's1' };
  assert.deepEqual(step(FtoS1, { A: away, C: away, s1: away }, blocked), gaveUp);
  assert.deepEqual(step(FtoS1, { A: away, C: away, s1: lost }, blocked), gaveUp);
  const both = replacing(FtoS1, 'E', 's2');
  assert.deepEqual(
    step(both, { A: away, C: away, s1: away }, blocked),
    gaveUp,
    'nobody could be forced out while two changes run',
  );
  const late: Told = { state: 'away', forMs: awayMs - 1 };
  assert.deepEqual(step(FtoS1, { A: away, C: away, s1: late }, blocked), begins('A', 's3', 'force'));
  // The old member is gone, too: somebody else is to come for it.
  assert.deepEqual(step(FtoS1, { B: away, C: away, F: away, s1: away }, blocked), begins('B', 's3', 'force'));
});

test('a forced replacement is never taken back', () => {
  const forced = forceReplacement(six, {
    leaves: 'F' as NodeId,
    joins: { node: 's1' as NodeId, kind: 'tail', zone: 'c' as Zone },
    lastLsn: asLsn(0),
    fenced: new Set('ABE'),
  });
  assert.equal(step(forced, { s1: { state: 'behind' } }), undefined);
  assert.deepEqual(step(forced, { F: away, s1: lost }), begins('F', 's2', 'force'), 'another one takes over');
  const blocked = { blockedForMs: blockedMs };
  assert.deepEqual(
    step(forced, { A: away, B: away, F: away, s1: lost }, blocked),
    begins('A', 's3', 'force'),
  );
  assert.deepEqual(
    step(forced, { C: away, D: away, F: away, s1: lost }, blocked),
    begins('F', 's2', 'force'),
  );
  assert.deepEqual(step(forced, {}), { kind: 'finish', newcomer: 's1' });
});
