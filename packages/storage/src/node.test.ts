import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Epoch, Lsn, PageNumber, PgIndex } from '@rokka/kernel';
import * as codec from './message-codec.ts';
import { MESSAGE } from './messages.ts';
import type { NodeStatus } from './node-status.ts';
import { TestCluster, TestWriter } from './testing/cluster.ts';
import { RecordMaker } from './testing/records.ts';
import { head } from './testing/stores.ts';

const epoch = (value: number) => value as Epoch;

test('ships are answered by one cumulative ack a segment and flush', async () => {
  await using cluster = await TestCluster.open(1);
  const [writer] = cluster.writers;
  await writer.create('full');
  await writer.create('tail', 1);
  const first = new RecordMaker();
  const second = new RecordMaker({ pg: 1 });
  for (let i = 0; i < 5; i++) {
    writer.ship(first.many(3));
    writer.ship(second.many(2), { pg: 1 as PgIndex });
  }
  await cluster.pass(5);
  assert.deepEqual(
    writer.acks.map(({ pg, scl, coalesced }) => [pg, scl, coalesced]),
    [
      [0, 15, 0],
      [1, 10, 10],
    ],
  );
  writer.ship([], { vdl: 15 as Lsn });
  await cluster.pass(5);
  assert.equal(writer.acks.at(-1)?.scl, 15, 'a heartbeat is answered too');
  const status = JSON.parse(
    Buffer.from(await writer.request(MESSAGE.STATUS, new Uint8Array())).toString(),
  ) as NodeStatus;
  assert.deepEqual(
    status.segments.map(({ pg, kind, scl, vdl, damaged }) => ({ pg, kind, scl, vdl, damaged })),
    [
      { pg: 0, kind: 'full', scl: 15, vdl: 15, damaged: false },
      { pg: 1, kind: 'tail', scl: 10, vdl: 0, damaged: false },
    ],
  );
  assert.ok(status.log.syncs > 0 && status.memory.residentBytes > 0);
});

test('a stranger is turned away', async () => {
  await using cluster = await TestCluster.open(1);
  const connect = (node: string, name: string) => new TestWriter(cluster).connect(0, node, name);
  await assert.rejects(connect('n1', 'test'), { code: 'STORAGE_WRONG_NODE' });
  await assert.rejects(connect('n0', 'other'), { code: 'STORAGE_WRONG_CLUSTER' });
  const raw = await cluster.run(
    cluster.network.connect(
      'n0',
      { onFrame: (_, { body }) => (answer = codec.decodeError(body)), onClose() {} },
      { timeoutMs: 100 },
    ),
  );
  let answer: { code: string } | undefined;
  raw.send(MESSAGE.STATUS, 1, []);
  await cluster.pass(5);
  assert.equal(answer?.code, 'STORAGE_BAD_MESSAGE');
  raw.close();
});

test('a fence is durable, refuses the older writer, and reads the state after that', async () => {
  await using cluster = await TestCluster.open(1);
  const [old] = cluster.writers;
  await old.create('full');
  const maker = new RecordMaker();
  old.ship(maker.many(10), { vdl: 8 as Lsn });
  const successor = await cluster.writer(0);
  const state = await successor.fence({ volumeEpoch: epoch(2) });
  assert.deepEqual([state.scl, state.vdl, state.volumeEpoch, state.tail.length], [10, 8, 2, 2]);
  old.ship(maker.many(1));
  await cluster.pass(5);
  assert.deepEqual(
    old.refusals.map(({ code, volumeEpoch }) => [code, volumeEpoch]),
    [['STORAGE_STALE_EPOCH', 2]],
  );
  await assert.rejects(old.fence({ volumeEpoch: epoch(1) }), { code: 'STORAGE_STALE_EPOCH' });
  const read = codec.encodeRead({
    ...head(),
    pages: [0 as PageNumber],
    readPoint: 8 as Lsn,
    requiredScl: 8 as Lsn,
  });
  await assert.rejects(
    old.request(MESSAGE.READ, read),
    (error: { code: string; detail: { volumeEpoch: number } }) => {
      assert.deepEqual([error.code, error.detail.volumeEpoch], ['STORAGE_STALE_EPOCH', 2]);
      return true;
    },
  );
  successor.ship([], { volumeEpoch: epoch(3) });
  successor.ship([], { volumeEpoch: epoch(2), membershipEpoch: epoch(2) });
  successor.ship([], { volumeEpoch: epoch(2), pg: 9 as PgIndex });
  await cluster.pass(5);
  assert.deepEqual(
    successor.refusals.map(({ code }) => code),
    ['STORAGE_UNFENCED', 'STORAGE_STALE_MEMBERSHIP', 'STORAGE_NO_SEGMENT'],
  );
  // The fence is on the disk, not only in memory.
  await cluster.run(cluster.nodes[0][Symbol.asyncDispose]());
  cluster.disks[0].crash();
  await cluster.start(0);
  const again = await cluster.writer(0);
  await assert.rejects(again.fence({ volumeEpoch: epoch(1) }), { code: 'STORAGE_STALE_EPOCH' });
});

test('a damaged record is refused with all of its ship', async () => {
  await using cluster = await TestCluster.open(1);
  const [writer] = cluster.writers;
  await writer.create('full');
  const records = new RecordMaker().many(3);
  records[1].bytes[60] ^= 1;
  writer.ship(records);
  const foreign = new RecordMaker({ pg: 4 }).many(1);
  writer.ship(foreign);
  writer.ship(new RecordMaker({ epoch: 2 }).many(1));
  writer.ship([new RecordMaker().make({ page: 5000 })]);
  await cluster.pass(5);
  assert.deepEqual(
    writer.refusals.map(({ code }) => code),
    ['STORAGE_BAD_RECORD', 'STORAGE_BAD_RECORD', 'STORAGE_BAD_RECORD', 'STORAGE_BAD_RECORD'],
  );
  assert.equal((await writer.fence({})).scl, 0);
});

test('records of a truncated range never count, however they come', async () => {
  await using cluster = await TestCluster.open(1);
  const [writer] = cluster.writers;
  await writer.create('full');
  const maker = new RecordMaker();
  const all = maker.many(10);
  writer.ship(all.slice(0, 8));
  const range = { volumeEpoch: epoch(2), after: 6 as Lsn, through: 100 as Lsn };
  await assert.rejects(writer.truncate({ ...head(), range }), { code: 'STORAGE_UNFENCED' });
  await writer.fence({ volumeEpoch: epoch(2) });
  await writer.truncate({ ...head({ volumeEpoch: epoch(2) }), range });
  assert.equal((await writer.fence({ volumeEpoch: epoch(2) })).scl, 6);
  writer.ship(all, { volumeEpoch: epoch(2) });
  maker.truncate({ after: 6, through: 100, epoch: 2 });
  writer.ship(maker.many(2), { volumeEpoch: epoch(2) });
  await cluster.pass(5);
  assert.equal(writer.acks.at(-1)?.scl, 102);
  const read = {
    ...head({ volumeEpoch: epoch(2) }),
    pages: [1 as PageNumber],
    readPoint: 102 as Lsn,
    requiredScl: 102 as Lsn,
  };
  const [answer] = codec.decodeReadAnswer(await writer.request(MESSAGE.READ, codec.encodeRead(read)));
  assert.deepEqual(answer.content, maker.page(1).content);
});

test('a writer whose range this segment has missed is told so', async () => {
  await using cluster = await TestCluster.open(1);
  const [writer] = cluster.writers;
  await writer.create('full');
  const maker = new RecordMaker();
  writer.ship(maker.many(8));
  await writer.fence({ volumeEpoch: epoch(2) });
  maker.truncate({ after: 6, through: 100, epoch: 2 });
  const next = maker.many(2);
  writer.ship(next, { volumeEpoch: epoch(2) });
  await cluster.pass(5);
  assert.equal(writer.refusals.at(-1)?.code, 'STORAGE_RANGE_MISSED');
  const ranges = [{ volumeEpoch: epoch(2), after: 6 as Lsn, through: 100 as Lsn }];
  assert.equal((await writer.fence({ volumeEpoch: epoch(2), ranges })).scl, 6);
  writer.ship(next, { volumeEpoch: epoch(2) });
  await cluster.pass(5);
  assert.equal(writer.acks.at(-1)?.scl, 102);
});

test('random frames never bring the node down', async () => {
  await using cluster = await TestCluster.open(1);
  const [writer] = cluster.writers;
  await writer.create('full');
  for (let type = 1; type < 12; type++) {
    if (type === MESSAGE.SHIP) continue;
    await writer.request(type, Buffer.from('a5'.repeat(type * 7), 'hex')).catch(() => {});
  }
  await writer.fence({});
});
