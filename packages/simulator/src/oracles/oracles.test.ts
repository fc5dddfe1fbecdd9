/** Each oracle but that of members (membership.test.ts) told a short story that breaks its invariant, and the same story without the break. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { PAGE_SIZE, type Epoch, type Lsn, type NodeId, type PageNumber, type PgIndex } from '@rokka/kernel';
import { encodeRecord, sealRecord, settledMembership, type Membership } from '@rokka/quorum';
import type { SegmentState } from '@rokka/storage';
import type { VolumeRecord } from '@rokka/volume';
import { BrokenInvariant } from '../broken-invariant.ts';
import { EventLog, type Listeners } from '../event-log.ts';
import type { EventOf, SeenRecord, SimEvent } from '../events.ts';
import { seenRecords } from '../seen-records.ts';
import { DurabilityOracle } from './durability.ts';
import { History } from './history.ts';
import { ProgressOracle } from './progress.ts';
import { ReadOracle } from './reads.ts';
import { SegmentOracle } from './segments.ts';
import { TakeOverOracle } from './take-overs.ts';

const NODES = ['n0', 'n1', 'n2', 'n3', 'n4', 'n5'] as NodeId[];
const PG = 0 as PgIndex;
/** Of another group. */
const OTHER = 1 as PgIndex;
const NONE = new Uint8Array(0);

/** The invariant that the story breaks, if it does. */
function judge(story: readonly SimEvent[]): string | undefined {
  const history = new History();
  const oracles = [DurabilityOracle, SegmentOracle, ProgressOracle, ReadOracle].map(
    (Oracle) => new Oracle(history),
  );
  return judgedBy([history, ...oracles], story);
}

function judgedBy(oracles: { listeners: Listeners }[], story: readonly SimEvent[]): string | undefined {
  let broken: unknown;
  const events = new EventLog({ nowMs: () => 0, onBroken: (error) => (broken ??= error) });
  for (const { listeners } of oracles) events.add(listeners);
  for (const event of story) events.append(event);
  if (broken === undefined) return undefined;
  if (!(broken instanceof BrokenInvariant)) throw broken;
  return broken.invariant;
}

/** A record of page 0; with `text` at its start. */
function record(
  lsn: number,
  options: {
    previous?: number;
    previousPg?: number;
    pg?: PgIndex;
    epoch?: number;
    cpl?: boolean;
    text?: string;
  } = {},
): SeenRecord {
  const { previous = lsn - 1, epoch = 1, cpl = true, text = `record ${lsn}` } = options;
  const { pg = PG, previousPg = previous } = options;
  const content = new Uint8Array(PAGE_SIZE);
  content.set(Buffer.from(text));
  const bytes = new Uint8Array(256);
  const ranges = [{ offset: 0, length: text.length }];
  const length = encodeRecord(bytes, 0, { page: 0 as PageNumber, init: false, ranges, content });
  sealRecord(bytes.subarray(0, length), {
    lsn: lsn as Lsn,
    previousVolumeLsn: previous as Lsn,
    previousPgLsn: previousPg as Lsn,
    previousPageLsn: previous as Lsn,
    volumeEpoch: epoch as Epoch,
    pg,
    cpl,
  });
  return seenRecords(bytes.slice(0, length))[0];
}

const SETTLED = settledMembership(
  1 as Epoch,
  NODES.map(
    (node, place) => ({ node, zone: 'a' as never, kind: place % 2 === 0 ? 'full' : 'tail' }) as const,
  ),
);

/** The first so many members are being replaced. */
function changing(count: number): Membership {
  const slots = SETTLED.slots.map((slot, place) =>
    place < count
      ? { ...slot, candidate: { ...slot.member, node: `n${6 + place}` as NodeId, since: 4 as Lsn } }
      : slot,
  );
  return { epoch: (1 + count) as Epoch, slots };
}

function registry(
  epoch: number,
  ranges: readonly (readonly [epoch: number, after: number, through: number])[] = [],
  membership = SETTLED,
): SimEvent {
  const group = (pg: PgIndex, membership: Membership) => ({ pg, membership, missing: [], retired: [] });
  const record: VolumeRecord = {
    volumeId: 'v' as never,
    name: 'v',
    volumeEpoch: epoch as Epoch,
    lsnAllocationLimitMax: 10,
    pagesPerGroup: 8,
    groupsMax: 2,
    allFull: false,
    nodes: [],
    stores: {},
    groups: [group(PG, membership), group(OTHER, SETTLED)],
    truncationRanges: ranges.map(([volumeEpoch, after, through]) => ({
      volumeEpoch: volumeEpoch as Epoch,
      after: after as Lsn,
      through: through as Lsn,
    })),
  };
  return { kind: 'registry', record };
}

const appended = (records: readonly SeenRecord[], vdl = 0): EventOf<'appended'> => ({
  kind: 'appended',
  writer: 'w1',
  vdl: vdl as Lsn,
  records,
});
const acked = (lsn: number, epoch = 1): SimEvent => ({
  kind: 'acked',
  writer: 'w1',
  epoch: epoch as Epoch,
  lsn: lsn as Lsn,
});
const opened = (vdl: number, epoch: number): SimEvent => ({
  kind: 'opened',
  tookOver: false,
  writer: 'w2',
  epoch: epoch as Epoch,
  vdl: vdl as Lsn,
});
const delivered = (node: NodeId, records: readonly SeenRecord[], pg = PG): SimEvent => ({
  kind: 'delivered',
  node,
  from: 'w1',
  pg,
  records,
});

function ack(node: NodeId, scl: number, epoch = 1, pg = PG): SimEvent {
  const epochs = { epoch: epoch as Epoch, membershipEpoch: 1 as Epoch };
  return { kind: 'ack', node, to: 'w1', pg, ...epochs, scl: scl as Lsn, coalesced: 0 as Lsn };
}

function fenced(node: NodeId, scl: number, epoch: number, ranges: SegmentState['ranges'] = []): SimEvent {
  const state = {
    volume: 'v' as never,
    pg: PG,
    volumeEpoch: epoch as Epoch,
    membershipEpoch: 1 as Epoch,
    kind: 'full',
    scl: scl as Lsn,
    vdl: 0 as Lsn,
    coalesced: 0 as Lsn,
    logFloor: 0 as Lsn,
    ranges,
    tail: [],
    damaged: false,
    unknown: false,
    hydrating: false,
  } as const;
  return { kind: 'state', node, to: 'w2', of: 'fence', state: { ...state, tail: [] } };
}

/** Four records in two mini-transactions, on the first `count` nodes. */
const FOUR = [1, 2, 3, 4].map((lsn) => record(lsn, { cpl: lsn % 2 === 0 }));
const made = (): SimEvent[] => [appended(FOUR.slice(0, 2)), appended(FOUR.slice(2))];
const written = (count: number): SimEvent[] => [
  registry(1),
  ...made(),
  ...NODES.slice(0, count).flatMap((node) => [delivered(node, FOUR), ack(node, 4)]),
];

test('I1, I7: what was acknowledged is part of every later recovery, whichever comes first', () => {
  const range = registry(2, [[2, 2, 12]]);
  assert.equal(judge([...written(4), acked(4), registry(2, [[2, 4, 14]])]), undefined);
  assert.equal(judge([...written(4), acked(4), range]), 'I1');
  assert.equal(judge([...written(4), range, acked(2)]), undefined);
  assert.equal(judge([...written(4), range, acked(4)]), 'I7');
});

test('I3: a recovery stands at the end of a mini-transaction', () => {
  assert.equal(judge([...written(4), registry(2, [[2, 3, 13]])]), 'I3');
  // Whatever its record says of itself.
  const [first, second] = [1, 2].map((lsn) => record(lsn));
  assert.equal(judge([registry(1), appended([first, second]), registry(2, [[2, 1, 11]])]), 'I3');
  assert.equal(judge([registry(1), appended([first]), registry(2, [[2, 1, 11]])]), undefined);
});

test('I6: a write quorum has what is called durable, and what an opening has kept', () => {
  assert.equal(judge([...written(3), acked(4)]), 'I6');
  const kept = [...written(4), registry(2, [[2, 4, 14]])];
  const fences = (count: number) => NODES.slice(0, count).map((node) => fenced(node, 4, 2));
  assert.equal(judge([...kept, ...fences(4), opened(4, 2)]), undefined);
  assert.equal(judge([...kept, ...fences(2), opened(4, 2)]), 'I6');
});

test('I6: a change of members takes nothing back, and what comes after it needs the new sets', () => {
  const changed = [...written(4), acked(4), registry(1, [], changing(1)), registry(1, [], changing(2))];
  const four = NODES.slice(0, 4);
  const elsewhere = [record(5, { previousPg: 0, pg: OTHER })];
  const held = (pg: PgIndex, records: readonly SeenRecord[]): SimEvent[] => [
    appended(records),
    ...four.flatMap((node) => [delivered(node, records, pg), ack(node, records.at(-1)?.lsn ?? 0, 1, pg)]),
  ];
  assert.equal(judge([...changed, ...held(OTHER, elsewhere), acked(5)]), undefined);
  // Four had it before the members changed twice; only then was all that is below it durable.
  const late = [...written(4), registry(1, [], changing(1)), registry(1, [], changing(2)), acked(4)];
  assert.equal(judge(late), undefined);
  assert.equal(judge([...written(3), ...late.slice(-3)]), 'I6');
  assert.equal(judge([...changed, ...held(PG, [record(5)]), acked(5)]), 'I6');
});

test('I5: a node claims only what it was given, and takes a claim back only for a range', () => {
  const start = [registry(1), ...made()];
  const node = NODES[0];
  assert.equal(judge([...start, delivered(node, [FOUR[0], FOUR[2], FOUR[3]]), ack(node, 4)]), 'I5');
  assert.equal(judge([...written(1), ack(node, 3)]), 'I5');
  // An answer that waited may be older than an acknowledgement, but not than the process that gives it.
  const restarted = { kind: 'store', node, store: 's' } as const;
  assert.equal(judge([restarted, ...written(1), fenced(node, 3, 1)]), undefined);
  assert.equal(judge([restarted, ...written(1), restarted, fenced(node, 3, 1)]), 'I5');
  const range = { volumeEpoch: 2 as Epoch, after: 2 as Lsn, through: 12 as Lsn };
  const truncated = [...written(1), registry(2, [[2, 2, 12]])];
  assert.equal(judge([...truncated, fenced(node, 2, 2, [range])]), undefined);
  assert.equal(judge([...truncated, fenced(node, 0, 2, [range])]), 'I5');
});

test('I2: what lies in a range that a node knows it neither claims nor gives', () => {
  const range = { volumeEpoch: 2 as Epoch, after: 2 as Lsn, through: 12 as Lsn };
  const node = NODES[0];
  const known = [...written(1), registry(2, [[2, 2, 12]]), fenced(node, 2, 2, [range])];
  assert.equal(judge([...known, ack(node, 4, 2)]), 'I2');
  const gave = { kind: 'gave', node, to: 'n1', pg: PG, epoch: 2 as Epoch, records: [FOUR[3]] } as const;
  assert.equal(judge([...known, gave]), 'I2');
  assert.equal(judge([...written(1), gave]), undefined);
});

test('I2: the registry lists every range that was ever decided', () => {
  const first = [2, 4, 14] as const;
  const later = [3, 4, 24] as const;
  assert.equal(judge([...written(4), registry(2, [first]), registry(3, [first, later])]), undefined);
  assert.equal(judge([...written(4), registry(2, [first]), registry(3, [later])]), 'I2');
});

test('I4: a record is what its writer made', () => {
  const other = record(2, { cpl: true, text: 'something else' });
  assert.equal(judge([...written(1), delivered(NODES[1], [other])]), 'I4');
  assert.equal(judge([...written(1), delivered(NODES[1], [record(9)])]), 'I4');
});

test('I8: the epochs of a segment never fall', () => {
  assert.equal(judge([...written(1), registry(2), fenced(NODES[0], 4, 2), ack(NODES[0], 4, 1)]), 'I8');
});

test('I12: a page is what the log gives as of the read point', () => {
  const read = (readPoint: number, text: string, pageLsn = readPoint): SimEvent => {
    const content = new Uint8Array(PAGE_SIZE);
    content.set(Buffer.from(text));
    const page = { page: 0 as PageNumber, readPoint: readPoint as Lsn, pageLsn: pageLsn as Lsn, content };
    return { kind: 'read-answer', node: NODES[0], to: 'w1', pg: PG, epoch: 1 as Epoch, ...page };
  };
  assert.equal(judge([...written(4), read(2, 'record 2'), read(4, 'record 4')]), undefined);
  assert.equal(judge([...written(4), read(4, 'record 3')]), 'I12');
  assert.equal(judge([...written(4), read(4, 'record 4', 3)]), 'I12');
  const seen = {
    kind: 'seen',
    writer: 'w1',
    epoch: 1 as Epoch,
    page: 1 as PageNumber,
    applied: 4 as Lsn,
  } as const;
  assert.equal(judge([...written(4), { ...seen, content: new Uint8Array(PAGE_SIZE) }]), undefined);
  assert.equal(judge([...written(4), { ...seen, page: 0 as PageNumber, content: NONE }]), 'I12');
});

test('I14: no LSN twice, none beyond a successor’s range, none too far ahead of what is durable', () => {
  assert.equal(judge([registry(1), appended(FOUR), appended([record(4, { epoch: 2 })])]), 'I14');
  const range = registry(2, [[2, 0, 3]]);
  assert.equal(judge([registry(1), range, appended(FOUR)]), 'I14');
  assert.equal(judge([registry(1), appended(FOUR), range]), 'I14');
  const many = Array.from({ length: 11 }, (_, index) => record(index + 1));
  assert.equal(judge([registry(1), appended(many.slice(0, 10))]), undefined);
  assert.equal(judge([registry(1), appended(many)]), 'I14');
});

/** What w1 had made, by a log in memory that is its own; the first of the two mini-transactions is durable. */
const LEFT: SimEvent[] = [memory('w1', 'begun', { epoch: 1 as Epoch }), ...made()];
/** The second one as another writer appends it. */
const AGAIN = [13, 14].map((lsn) => record(lsn, { cpl: lsn === 14, epoch: 2, text: `record ${lsn - 10}` }));
const claimed = (epochBefore: number): SimEvent[] => [
  memory('w2', 'asked', { epoch: epochBefore as Epoch }),
  memory('w2', 'claimed', { epoch: (epochBefore + 1) as Epoch }),
];
const takingOver = [...claimed(1), memory('w2', 'taking over', { epoch: 2 as Epoch, vdl: 2 as Lsn })];
const refused: SimEvent[] = [
  memory('w2', 'ended', {}),
  { kind: 'fate', who: 'w2', what: 'failed', why: 'VOLUME_NOT_RESUMABLE' },
];
const tookOver = memory('w2', 'took over', {});
const byNext = (records: readonly SeenRecord[]): SimEvent => ({ ...appended(records), writer: 'w2' });

function memory(
  writer: string,
  what: EventOf<'memory'>['what'],
  of: { epoch?: Epoch; vdl?: Lsn },
): EventOf<'memory'> {
  return { kind: 'memory', writer, memory: 'w1', what, ...of };
}

const judgeTakeOver = (story: readonly SimEvent[]) => judgedBy([new TakeOverOracle()], story);

test('I17: whoever takes over appends what its recovery did not find: all of it, unchanged, nothing else', () => {
  assert.equal(judgeTakeOver([...LEFT, ...takingOver, byNext(AGAIN), tookOver]), undefined);
  assert.equal(judgeTakeOver([...LEFT, ...takingOver, tookOver]), 'I17');
  assert.equal(judgeTakeOver([...LEFT, ...takingOver, byNext(FOUR.slice(0, 2))]), 'I17');
  assert.equal(judgeTakeOver([...LEFT, ...takingOver, byNext(AGAIN), byNext(AGAIN)]), 'I17');
  const found = memory('w2', 'taking over', { epoch: 2 as Epoch, vdl: 4 as Lsn });
  assert.equal(judgeTakeOver([...LEFT, ...claimed(1), found, tookOver]), undefined);
});

test('I17: the next one takes over what was taken over, from whoever was killed before it was done nobody does', () => {
  const third = (what: EventOf<'memory'>['what'], of = {}) => memory('w3', what, of);
  const next = [third('asked', { epoch: 2 }), third('claimed', { epoch: 3 })];
  const begun = [...LEFT, ...takingOver, byNext(AGAIN)];
  assert.equal(judgeTakeOver([...begun, ...next]), 'I17');
  const done = [...begun, tookOver, ...next, third('taking over', { epoch: 3, vdl: 2 })];
  assert.equal(judgeTakeOver([...done, third('took over')]), 'I17');
  const last: SimEvent = { ...appended(AGAIN), writer: 'w3' };
  assert.equal(judgeTakeOver([...done, last, third('took over')]), undefined);
});

test('I17: nobody is refused without a reason, nor let in where somebody else had the volume', () => {
  const asked = (epoch: number) => memory('w2', 'asked', { epoch: epoch as Epoch });
  assert.equal(judgeTakeOver([...LEFT, asked(1), ...refused]), 'I17');
  assert.equal(judgeTakeOver([...LEFT, ...claimed(1), ...refused]), 'I17');
  assert.equal(judgeTakeOver([...LEFT, asked(2), ...refused]), undefined);
  assert.equal(judgeTakeOver([...LEFT, ...claimed(2)]), 'I17');
  // The one in between was killed when it had claimed.
  assert.equal(judgeTakeOver([...LEFT, ...claimed(1), ...claimed(2)]), undefined);
  const ended = memory('w1', 'ended', {});
  assert.equal(judgeTakeOver([...LEFT, ended, asked(1), ...refused]), undefined);
  assert.equal(judgeTakeOver([...LEFT, ended, ...claimed(1)]), 'I17');
});
