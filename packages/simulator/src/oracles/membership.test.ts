/** The oracle of members told short stories that break its invariants, and the same stories without the break. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Epoch, Lsn, NodeId, PgIndex, Zone } from '@rokka/kernel';
import { encodeRecord, sealRecord, type Candidate, type Membership, type Slot } from '@rokka/quorum';
import type { VolumeRecord } from '@rokka/volume';
import { BrokenInvariant } from '../broken-invariant.ts';
import { EventLog } from '../event-log.ts';
import type { EventOf, SeenRecord, SimEvent } from '../events.ts';
import { seenRecords } from '../seen-records.ts';
import { History } from './history.ts';
import { MembershipOracle } from './membership.ts';
import { isReadQuorum, isWriteQuorum } from './quorums.ts';

const PG = 0 as PgIndex;
const lsn = (number: number) => number as Lsn;
const epoch = (number: number) => number as Epoch;
const node = (name: string) => name as NodeId;
const SIX = Array.from('ABCDEF', node);

function judge(story: readonly SimEvent[], options = { hasWholeLog: () => false }): string | undefined {
  let broken: unknown;
  const events = new EventLog({ nowMs: () => 0, onBroken: (error) => (broken ??= error) });
  const history = new History();
  events.add(history.listeners);
  events.add(new MembershipOracle(history, options).listeners);
  for (const event of story) events.append(event);
  if (broken === undefined) return undefined;
  if (!(broken instanceof BrokenInvariant)) throw broken;
  return broken.invariant;
}

const placed = (name: string, place: number) => ({ node: node(name), zone: 'abc'[place >> 1] as Zone });
const slot = (place: number): Slot => ({ member: { ...placed('ABCDEF'[place], place), kind: 'full' } });
const G: Candidate = { ...placed('G', 5), kind: 'full', since: lsn(0) };

function membership(number: number, last: Slot = slot(5)): Membership {
  return { epoch: epoch(number), slots: [...[0, 1, 2, 3, 4].map(slot), last] };
}

const WHOLE = membership(1);
const JOINT = membership(2, { ...slot(5), candidate: G });
const AFTER = membership(3, { member: { ...placed('G', 5), kind: 'full' } });
const BACK = membership(3);

function registry(
  members: Membership,
  ranges: VolumeRecord['truncationRanges'] = [],
  volumeEpoch = epoch(1),
): SimEvent {
  const record: VolumeRecord = {
    volumeId: 'v' as never,
    name: 'v',
    volumeEpoch,
    lsnAllocationLimitMax: 10,
    pagesPerGroup: 1,
    groupsMax: 1,
    allFull: true,
    nodes: [],
    stores: {},
    groups: [{ pg: PG, membership: members, missing: [], retired: [] }],
    truncationRanges: ranges,
  };
  return { kind: 'registry', record };
}

function record(): SeenRecord {
  const bytes = new Uint8Array(64);
  const content = new Uint8Array(4096);
  const length = encodeRecord(bytes, 0, {
    page: 0 as never,
    init: false,
    ranges: [{ offset: 0, length: 1 }],
    content,
  });
  sealRecord(bytes.subarray(0, length), {
    lsn: lsn(1),
    previousVolumeLsn: lsn(0),
    previousPgLsn: lsn(0),
    previousPageLsn: lsn(0),
    volumeEpoch: epoch(1),
    pg: PG,
    cpl: true,
  });
  return seenRecords(bytes.slice(0, length))[0];
}

const ack = (name: string, members = 1): SimEvent => ({
  kind: 'ack',
  node: node(name),
  to: 'w1',
  pg: PG,
  epoch: epoch(1),
  membershipEpoch: epoch(members),
  scl: lsn(1),
  coalesced: lsn(0),
});
const pages = (name: string): SimEvent => {
  const copy = { from: 0 as never, next: 1 as never, coalesced: lsn(1) };
  return { kind: 'gave-pages', node: node('A'), to: name, pg: PG, ...copy };
};
const durable: SimEvent = { kind: 'acked', writer: 'w1', epoch: epoch(1), lsn: lsn(1) };

/** One record, on some of the six, durable. */
const written = (holders: string): SimEvent[] => [
  registry(WHOLE),
  { kind: 'appended', writer: 'w1', vdl: lsn(0), records: [record()] },
  ...Array.from(holders, (name) => ack(name)),
  durable,
];

test('I11: a newcomer stays only when it has what was durable when it came, pages and all', () => {
  const joint = [...written('CDEF'), registry(JOINT)];
  assert.equal(judge([...joint, pages('G'), ack('G', 2), registry(AFTER)]), undefined);
  assert.equal(judge([...joint, registry(AFTER)]), 'I11');
  assert.equal(judge([...joint, ack('G', 2)]), 'I11');
  assert.equal(judge([...joint, ack('G', 2)], { hasWholeLog: () => true }), undefined);
});

test('I10: what is durable is on a write quorum of those who remain, whichever way the change ends', () => {
  const joint = [...written('CDE'), registry(JOINT), pages('G'), ack('G', 2)];
  assert.equal(judge([...joint, registry(AFTER)]), undefined);
  assert.equal(judge([...joint, registry(BACK)]), 'I10');
});

test('I10: where one of two newcomers is given up, what is durable is on a write quorum of the members without the other', () => {
  const H: Candidate = { ...placed('H', 4), kind: 'full', since: lsn(0) };
  const [both, left] = [3, 4].map((number) => membership(number, { ...slot(5), candidate: G }));
  const two: Membership = {
    ...both,
    slots: [...both.slots.slice(0, 4), { ...slot(4), candidate: H }, both.slots[5]],
  };
  const changes = [registry(JOINT), registry(two), registry(left)];
  // F is one of the four, and G, which comes in its place, has nothing yet.
  assert.equal(judge([...written('CDEF'), ...changes]), undefined);
  assert.equal(judge([...written('DEF'), ...changes]), 'I10');
  // Who is forced out is asked by reads still: F counts for what it has.
  const out = (number: number) => membership(number, { ...slot(5), candidate: { ...G, forced: true } });
  const outOfTwo: Membership = {
    ...two,
    epoch: epoch(4),
    slots: [...two.slots.slice(0, 5), out(4).slots[5]],
  };
  const forced = [registry(JOINT), registry(two), registry(outOfTwo), registry(out(5))];
  assert.equal(judge([...written('CDEF'), ...forced]), undefined);
  assert.equal(judge([...written('DEF'), ...forced]), 'I10');
  // That G stays is another matter.
  const after = membership(5, { member: { ...placed('G', 5), kind: 'full' } });
  const complete = [pages('G'), ack('G', 4)];
  assert.equal(judge([...written('BCDEF'), ...changes, ...complete, registry(after)]), undefined);
  assert.equal(judge([...written('DEFC'), ...changes, pages('G'), registry(after)]), 'I11');
});

/** These have obeyed the writer of that epoch. */
const answers = (names: string, of = 2): SimEvent[] =>
  Array.from(names, (name) => ({
    kind: 'state',
    node: node(name),
    to: `w${of}`,
    of: 'fence',
    state: {
      volume: 'v' as never,
      pg: PG,
      volumeEpoch: epoch(of),
      membershipEpoch: epoch(of),
      kind: 'full',
      scl: lsn(1),
      vdl: lsn(0),
      coalesced: lsn(0),
      logFloor: lsn(0),
      ranges: [],
      tail: [],
      damaged: false,
      unknown: false,
      hydrating: false,
    },
  }));

test('I10: a recovery decides from a read quorum of every set in force', () => {
  const range = registry(JOINT, [{ volumeEpoch: epoch(2), after: lsn(1), through: lsn(11) }]);
  const joint = [...written('ABCDEF'), registry(JOINT)];
  assert.equal(judge([...joint, ...answers('ABC'), range]), undefined);
  assert.equal(judge([...joint, ...answers('ABF'), range]), 'I10');
});

test('I10: a group comes when a write quorum has its segments, and says so', () => {
  const { record } = registry(WHOLE) as EventOf<'registry'>;
  const grown = (missing: string, makers: string): SimEvent[] => {
    const groups = record.groups.map((group) => ({ ...group, missing: Array.from(missing, node) }));
    const before: SimEvent = { kind: 'registry', record: { ...record, groups: [] } };
    return [before, ...answers(makers, 1), { kind: 'registry', record: { ...record, groups } }];
  };
  assert.equal(judge(grown('EF', 'ABCD')), undefined);
  assert.equal(judge(grown('DEF', 'ABCD')), 'I10');
  assert.equal(judge(grown('EF', 'ABC')), 'I10');
});

test('I9: one list for each epoch, and the registry has it first', () => {
  const told = (members: Membership, names: readonly NodeId[]): SimEvent => ({
    kind: 'membership-told',
    by: 'fence',
    writer: 'w1',
    node: node('A'),
    pg: PG,
    epoch: epoch(1),
    membershipEpoch: members.epoch,
    members: names.map((name, place) => ({ ...placed(name, Math.min(place, 5)), kind: 'full' })),
  });
  assert.equal(judge([registry(WHOLE), told(WHOLE, SIX), registry(JOINT)]), undefined);
  assert.equal(judge([registry(WHOLE), registry(JOINT), told(JOINT, [...SIX, node('G')])]), undefined);
  assert.equal(judge([registry(WHOLE), told(JOINT, [...SIX, node('G')])]), 'I9');
  assert.equal(judge([registry(WHOLE), registry(JOINT), told(JOINT, SIX)]), 'I9');
  assert.equal(judge([registry(WHOLE), registry(membership(3))]), 'I9');
  // A group that a writer was making when it was replaced, and that its successor has made on others.
  const successor = registry(WHOLE, [], epoch(2));
  const others = told(WHOLE, [...SIX.slice(0, 5), node('G')]);
  assert.equal(judge([successor, others]), undefined);
  assert.equal(judge([registry(WHOLE), successor, others]), 'I9');
});

test('I11: who was replaced drops what it has when six others have it, whether or not the next change has begun', () => {
  const drop = (members: Membership, names: string): SimEvent => ({
    kind: 'membership-told',
    by: 'drop',
    writer: 'w1',
    node: node('F'),
    pg: PG,
    epoch: epoch(1),
    membershipEpoch: members.epoch,
    members: Array.from(names, (name, place) => ({ ...placed(name, Math.min(place, 5)), kind: 'full' })),
  });
  const H: Candidate = { ...placed('H', 5), kind: 'full', since: lsn(0) };
  const again = membership(4, { member: { ...placed('G', 5), kind: 'full' }, candidate: H });
  const replaced = (holders: string) => [
    ...written(holders),
    registry(JOINT),
    pages('G'),
    ack('G', 2),
    registry(AFTER),
  ];
  assert.equal(judge([...replaced('ABCDEF'), drop(AFTER, 'ABCDEG')]), undefined);
  assert.equal(judge([...replaced('ABCDEF'), registry(again), drop(AFTER, 'ABCDEG')]), undefined);
  assert.equal(judge([...replaced('ABCDEF'), registry(again), drop(again, 'ABCDEGH')]), 'I11');
  assert.equal(judge([...replaced('ABCDF'), registry(again), drop(AFTER, 'ABCDEG')]), 'I11');
});

test('I8: who obeys a membership neither asks nor answers at an older one', () => {
  const known = [...written('ABCDEF'), registry(JOINT), ack('A', 2)];
  const head = { pg: PG, epoch: epoch(1), membershipEpoch: epoch(1) };
  const asked: SimEvent = { kind: 'asked', node: node('A'), to: node('B'), ...head };
  const reached: SimEvent = { kind: 'reached', node: node('A'), from: 'B', pg: PG, request: 7 };
  const served: SimEvent = { kind: 'served', node: node('A'), to: 'B', ...head, request: 7 };
  assert.equal(judge([...known, asked]), 'I8');
  const spoilt: SimEvent = { kind: 'fate', who: 'A', what: 'spoilt' };
  assert.equal(judge([...known, spoilt, asked]), undefined);
  assert.equal(judge([...known, spoilt, reached, served]), 'I8');
  assert.equal(judge([...known, reached, served]), 'I8');
  // An answer that has waited for room since before.
  assert.equal(judge([...written('ABCDEF'), reached, registry(JOINT), ack('A', 2), served]), undefined);
});

test('the rules spelled out: four sets take all four who are in every one of them', () => {
  const [E, F] = [4, 5].map(slot);
  const H: Candidate = { ...placed('H', 4), kind: 'full', since: lsn(0) };
  const two = membership(3, { ...F, candidate: G });
  const four: Membership = {
    ...two,
    slots: [...two.slots.slice(0, 4), { ...E, candidate: H }, two.slots[5]],
  };
  const has = (names: string) => (name: NodeId) => names.includes(name);
  assert.ok(isWriteQuorum(four, has('ABCD')) && !isWriteQuorum(four, has('ABCEF')));
  assert.ok(isReadQuorum(four, has('ABC')) && !isReadQuorum(four, has('ABF')));
  const forced: Membership = {
    ...JOINT,
    slots: [...JOINT.slots.slice(0, 5), { ...F, candidate: { ...G, forced: true } }],
  };
  assert.ok(isWriteQuorum(forced, has('ABCG')) && !isWriteQuorum(forced, has('ABCF')));
});
