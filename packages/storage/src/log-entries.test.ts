/** Memberships, hydration and drops in the log: cut anywhere, rotten anywhere, interrupted anywhere. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Epoch, Lsn, MemoryDisk, NodeId, PgIndex, Zone } from '@rokka/kernel';
import type { CopiedEntry } from './control-state.ts';
import type { MemberAddress } from './messages.ts';
import type { Segment } from './segment.ts';
import { RecordMaker } from './testing/records.ts';
import { copyOf, CRASH_FATES, CrashImage, head, TestStore } from './testing/stores.ts';

const LOG = 'node/log/000000000001.log';
const SELF = 'self' as NodeId;
const pg = (value: number) => value as PgIndex;
const epoch = (value: number) => value as Epoch;

const membersOf = (...names: string[]): MemberAddress[] =>
  names.map((node) => ({ node: node as NodeId, address: node, zone: 'a' as Zone, kind: 'full' }));

function copied(node: TestStore, number: number, more: Partial<CopiedEntry>): void {
  const segment = node.store.segments.get(head({ pg: pg(1) }));
  const generation = { number, lsn: 30 as Lsn, livePages: 0, tableDigest: 0 };
  const entry = { generation, readFloor: 0 as Lsn, hydration: undefined, ...more };
  node.wait<void>((done) => node.store.copied(segment, entry, done));
}

const newcomer = (nextPage: number) =>
  ({ reason: 'newcomer', begun: true, nextPage, target: 35 as Lsn }) as const;

/** Each makes one batch of the log. */
const STEPS: ((node: TestStore) => void)[] = [
  (node) => node.create(),
  (node) => void node.ship(new RecordMaker().many(5)),
  (node) => node.create({ pg: pg(1), hydrate: true, members: membersOf('a', SELF) }),
  (node) => void node.fence({ membershipEpoch: epoch(2), members: membersOf('a', SELF, 'b') }),
  (node) => copied(node, 1, { hydration: newcomer(0) }),
  (node) => copied(node, 2, { hydration: newcomer(8), readFloor: 33 as Lsn }),
  (node) => void node.fence({ volumeEpoch: epoch(4), membershipEpoch: epoch(3), members: membersOf(SELF) }),
  (node) => copied(node, 3, { readFloor: 34 as Lsn }),
  (node) => node.create({ pg: pg(2), kind: 'tail', volumeEpoch: epoch(4) }),
  (node) =>
    node.wait<void>((done) =>
      node.store.dropSegment(
        {
          ...head({ pg: pg(2), volumeEpoch: epoch(4), membershipEpoch: epoch(2) }),
          members: membersOf('a'),
        },
        done,
      ),
    ),
  (node) => node.create({ pg: pg(3), kind: 'tail', volumeEpoch: epoch(4) }),
];

/** The step that makes each segment. */
const MADE_IN = [0, 2, 8, 10];

function describe({ id, epochs, members, hydration, readFloor, generation, chain, durableScl }: Segment) {
  const names = members.map(({ node }) => node);
  const { number, lsn } = generation;
  return { id, epochs, names, hydration, readFloor, number, lsn, base: chain.base, durableScl };
}

function stateOf(node: TestStore) {
  const { segments } = node.store;
  return { nextId: segments.nextId, segments: [...segments.all].map(describe) };
}

function bytesOf(disk: MemoryDisk): Uint8Array {
  const file = disk.files.get(LOG);
  assert.ok(file);
  return file.bytes;
}

function lastNonZero(bytes: Uint8Array): number {
  let at = bytes.length;
  while (at > 0 && bytes[at - 1] === 0) at--;
  return at;
}

function steps() {
  const node = new TestStore({ node: SELF });
  const states = STEPS.map((step) => {
    step(node);
    return { end: lastNonZero(bytesOf(node.disk)), state: stateOf(node) };
  });
  return { node, states };
}

test('each of them is there again after a restart, from entries and from a manifest', () => {
  const node = new TestStore({ node: SELF });
  for (const step of STEPS) {
    step(node);
    const expected = stateOf(node);
    for (const manifest of [false, true]) {
      const disk = copyOf(node.disk);
      const again = new TestStore({ disk });
      assert.deepEqual(stateOf(again), expected);
      if (manifest) again.store.log.rotate();
      assert.deepEqual(stateOf(again.reopened({ crash: true })), expected);
    }
  }
});

test('a log cut at any byte is what it was before the step that was cut', () => {
  const { node, states } = steps();
  const whole = bytesOf(node.disk).slice();
  for (let cut = states[0].end; cut <= lastNonZero(whole); cut += cut % 4096 < 300 ? 1 : 61) {
    const disk = copyOf(node.disk);
    bytesOf(disk).fill(0, cut);
    const again = new TestStore({ disk });
    const expected = states.findLast(({ end }) => end <= cut)?.state;
    assert.deepEqual(stateOf(again), expected, `cut at ${cut}`);
    assert.deepEqual(again.store.damages, []);
  }
});

test('a flipped bit in any step but the last is damage, and nothing is told of what it may have held', () => {
  const { node, states } = steps();
  const image = bytesOf(node.disk);
  for (let batch = 1; batch + 1 < states.length; batch++) {
    const start = Math.ceil(states[batch - 1].end / 4096) * 4096;
    for (let at = start; at < states[batch].end; at += 5) {
      const disk = copyOf(node.disk);
      bytesOf(disk)[at] ^= 1 << (at % 8);
      assert.notDeepEqual(bytesOf(disk), image);
      const again = new TestStore({ disk });
      assert.equal(again.store.damages.length, 1, `bit at ${at}`);
      for (const segment of again.store.segments.all) {
        // Those made after the damage were whole when they were made.
        if (MADE_IN[segment.id - 1] > batch) continue;
        assert.ok(segment.damaged, `segment ${segment.id}, bit at ${at}`);
        assert.throws(() => segment.demandComplete(), { code: /SEGMENT_UNKNOWN|HYDRATING/ });
      }
      assert.throws(() => again.create({ pg: pg(9), volumeEpoch: epoch(4) }), {
        code: 'STORAGE_SEGMENT_UNKNOWN',
      });
    }
  }
});

test('the power fails at any access of a drop: the segment is whole or gone, and never half', () => {
  let accesses = 1;
  for (let nth = 1; nth <= accesses; nth++) {
    const node = new TestStore({ node: SELF });
    const maker = new RecordMaker();
    node.create({ members: membersOf('a', SELF) });
    node.create({ pg: pg(1), members: membersOf('a', SELF) });
    node.ship(maker.many(40));
    const segment = node.store.segments.get(head());
    segment.learnPoints({ vdl: 30 as Lsn, pgmrpl: 30 as Lsn });
    node.store.coalescer.demand(segment);
    node.run(500);
    assert.equal(segment.coalesced, 30);
    const drop = { ...head({ membershipEpoch: epoch(2) }), members: membersOf('a', 'b') };
    const crash = new CrashImage(node.disk, nth);
    node.wait<void>((done) => node.store.dropSegment(drop, done));
    node.store.log.rotate();
    node.disk.onAccess = undefined;
    assert.deepEqual(node.disk.list('node/pages'), ['2.pages', '2.table']);
    accesses = Math.max(accesses, crash.accesses);
    for (const fate of CRASH_FATES) {
      const disk = crash.crashed(fate);
      if (!disk) continue;
      let again = new TestStore({ disk });
      const left = again.store.segments.find(head());
      if (left) {
        assert.deepEqual([left.durableScl, left.coalesced, left.damaged], [40, 30, false]);
        assert.deepEqual(again.read(1, 40).content, maker.page(1).content);
        again.wait<void>((done) => again.store.dropSegment(drop, done));
      }
      again = again.reopened({ crash: true });
      assert.deepEqual(disk.list('node/pages'), ['2.pages', '2.table'], `access ${nth}, ${fate}`);
      assert.deepEqual(
        [...again.store.segments.all].map(({ id }) => id),
        [2],
      );
      again.create();
      assert.equal(again.store.segments.get(head()).id, 3, 'a number is never used again');
      assert.equal(again.fence().scl, 0, 'and nothing of what it was comes back');
    }
  }
  assert.ok(accesses >= 4, `${accesses} accesses were tried`);
});

test('the log does not wait for a segment that was dropped', () => {
  const node = new TestStore({ node: SELF });
  node.create({ kind: 'tail' });
  node.create({ pg: pg(1), kind: 'tail' });
  const [idle, busy] = [new RecordMaker({ pg: 1 }), new RecordMaker()];
  node.ship(idle.many(3), { pg: pg(1) });
  const write = () => {
    for (let i = 0; i < 100; i++) {
      const lsn = busy.lastLsn;
      node.ship(busy.many(20, { bytes: 100 }), { vdl: lsn, logFloor: lsn });
      node.run(10);
    }
  };
  write();
  const { fileCount } = node.store.log;
  assert.ok(fileCount > 3, 'the idle one holds the log');
  const drop = { ...head({ pg: pg(1), membershipEpoch: epoch(2) }), members: membersOf('a') };
  node.wait<void>((done) => node.store.dropSegment(drop, done));
  write();
  assert.ok(node.store.log.fileCount <= 3, `${node.store.log.fileCount} files`);
  assert.equal(node.reopened({ crash: true }).store.segments.count, 1);
});

test('a drop in the midst of coalescing', () => {
  for (let after = 0; after < 12; after++) {
    const node = new TestStore({ node: SELF });
    node.create();
    const maker = new RecordMaker();
    node.ship(maker.many(300, { pages: 60 }));
    const segment = node.store.segments.get(head());
    segment.learnPoints({ vdl: 300 as Lsn, pgmrpl: 300 as Lsn });
    let accesses = 0;
    node.disk.onAccess = () => {
      if (accesses++ !== after) return;
      node.clock.soon(() =>
        node.store.dropSegment({ ...head({ membershipEpoch: epoch(2) }), members: membersOf('a') }, () => {}),
      );
    };
    node.store.coalescer.demand(segment);
    node.run(3_000);
    node.disk.onAccess = undefined;
    assert.equal(segment.dropped, accesses > after);
    assert.deepEqual(node.failures, []);
    assert.equal(node.reopened({ crash: true }).store.segments.count, segment.dropped ? 0 : 1);
  }
});
