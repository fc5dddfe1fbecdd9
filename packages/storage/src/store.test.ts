import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MemoryDisk, type Epoch, type Lsn, type NodeId, type PgIndex, type Zone } from '@rokka/kernel';
import { RecordMaker } from './testing/records.ts';
import { head, TestStore } from './testing/stores.ts';

test('records are durable, in order, and give pages back', () => {
  const node = new TestStore();
  node.create();
  const maker = new RecordMaker();
  assert.equal(node.ship(maker.many(100)), 100);
  for (let page = 0; page < 4; page++) {
    const expected = maker.page(page);
    const answer = node.read(page, 100);
    assert.equal(answer.pageLsn, expected.lsn);
    assert.deepEqual(answer.content, expected.content);
  }
  assert.equal(node.read(40, 100).content.length, 0, 'a page never written');
});

test('nothing is durable before its flush, and one flush serves all that came in a turn', () => {
  const node = new TestStore();
  node.create();
  const syncs = node.store.log.syncCount;
  const maker = new RecordMaker();
  const segment = node.store.ship({ ...shipOf(maker, 3) });
  node.store.ship({ ...shipOf(maker, 3) });
  assert.equal(segment.chain.scl, 6);
  assert.equal(segment.durableScl, 0);
  node.run();
  assert.equal(segment.durableScl, 6);
  assert.equal(node.store.log.syncCount, syncs + 1);
});

test('after a restart SCL, epochs, ranges and pages are the same', () => {
  let node = new TestStore();
  node.create();
  node.create({ pg: 1 as never, kind: 'tail' });
  const maker = new RecordMaker();
  node.ship(maker.many(50), { vdl: 40 as Lsn });
  const range = { volumeEpoch: 2 as Epoch, after: 45 as Lsn, through: 1000 as Lsn };
  node.fence({ volumeEpoch: 2 as Epoch });
  node.wait<void>((done) =>
    node.store.truncate(
      {
        volume: 'volume-1' as never,
        pg: 0 as never,
        volumeEpoch: 2 as Epoch,
        membershipEpoch: 1 as Epoch,
        range,
      },
      done,
    ),
  );
  maker.truncate({ after: 45, through: 1000, epoch: 2 });
  assert.equal(node.ship(maker.many(20), { volumeEpoch: 2 as Epoch, vdl: 1010 as Lsn }), 1020);
  const before = node.fence({ volumeEpoch: 3 as Epoch });
  for (const crash of [false, true]) {
    node = node.reopened({ crash });
    const after = node.fence({ volumeEpoch: 3 as Epoch });
    assert.deepEqual(after, before);
    assert.equal(after.scl, 1020);
    assert.deepEqual(after.ranges, [range]);
    assert.deepEqual(
      after.tail.map(({ lsn }) => lsn),
      Array.from({ length: 10 }, (_, i) => 1011 + i),
    );
    for (let page = 0; page < 4; page++)
      assert.deepEqual(node.read(page, 1020, { volumeEpoch: 3 as Epoch }).content, maker.page(page).content);
  }
});

test('a record that waits above a hole and is annulled is forgotten, though the one before it is kept', () => {
  const node = new TestStore();
  node.create();
  const maker = new RecordMaker();
  const records = maker.many(12);
  node.ship([...records.slice(0, 9), ...records.slice(10)]);
  assert.equal(node.store.segments.get(head()).chain.heldCount, 2);
  const volumeEpoch = 2 as Epoch;
  const ranges = [{ volumeEpoch, after: 10 as Lsn, through: 100 as Lsn }];
  assert.equal(node.fence({ volumeEpoch, ranges }).scl, 9);
  assert.equal(node.ship([records[9]], { volumeEpoch }), 10);
  maker.truncate({ after: 10, through: 100, epoch: 2 });
  assert.equal(node.ship(maker.many(2), { volumeEpoch }), 102);
  assert.equal(node.reopened({ crash: true }).fence({ volumeEpoch }).scl, 102);
});

function shipOf(maker: RecordMaker, count: number) {
  const records = maker.many(count);
  return {
    volume: 'volume-1' as never,
    pg: 0 as never,
    volumeEpoch: 1 as Epoch,
    membershipEpoch: 1 as Epoch,
    vdl: 0 as Lsn,
    pgmrpl: 0 as Lsn,
    logFloor: 0 as Lsn,
    records: Buffer.concat(records.map(({ bytes }) => bytes)),
  };
}

test('the names of page files, and of their directory, last before a segment counts, and at each start', () => {
  const synced: string[] = [];
  const disk = new MemoryDisk();
  disk.syncDirectory = (path) => void synced.push(path);
  const node = new TestStore({ disk });
  synced.length = 0;
  node.create();
  assert.deepEqual(synced, ['node/pages', 'node']);
  synced.length = 0;
  node.reopened();
  // The identity's name first: what it says decides whether the log is kept.
  assert.equal(synced[0], 'node');
  assert.ok(synced.includes('node/pages'));
});

test('a writer that was replaced makes no segment any more, where one was dropped either, and after restarts', () => {
  const node = new TestStore();
  node.create();
  node.fence({ volumeEpoch: 3 as Epoch });
  const create = (store: TestStore, volumeEpoch: number, pg: number) => () =>
    store.create({ pg: pg as PgIndex, volumeEpoch: volumeEpoch as Epoch });
  assert.throws(create(node, 2, 1), { code: 'STORAGE_STALE_EPOCH' });
  const address = head({ volumeEpoch: 3 as Epoch, membershipEpoch: 2 as Epoch });
  const members = [{ node: 'other' as NodeId, address: 'other', zone: 'a' as Zone, kind: 'full' as const }];
  node.wait<void>((done) => node.store.dropSegment({ ...address, members }, done));
  const again = node.reopened();
  assert.throws(create(again, 2, 0), { code: 'STORAGE_STALE_EPOCH' });
  again.store.log.rotate();
  const later = again.reopened({ crash: true });
  assert.throws(create(later, 2, 0), { code: 'STORAGE_STALE_EPOCH' });
  create(later, 4, 0)();
  assert.equal(later.store.segments.count, 1);
});
