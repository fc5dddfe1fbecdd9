import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Epoch, Lsn } from '@rokka/kernel';
import { TestCluster } from './testing/cluster.ts';
import { RecordMaker } from './testing/records.ts';
import { head } from './testing/stores.ts';

async function sixWithSegments(): Promise<TestCluster> {
  const cluster = await TestCluster.open();
  for (const [i, writer] of cluster.writers.entries()) await writer.create(i % 2 === 0 ? 'full' : 'tail');
  return cluster;
}

const sclsOf = (cluster: TestCluster) =>
  cluster.nodes.map((node) => node.store.segments.get(head()).durableScl as number);

test('with the writer silent, six nodes that each lack something converge', async () => {
  await using cluster = await sixWithSegments();
  const maker = new RecordMaker();
  const records = maker.many(600, { bytes: 100 });
  for (const [i, writer] of cluster.writers.entries()) {
    // Each record reaches four of six; every node has holes.
    writer.ship(records.filter((_, at) => (at + i) % 6 < 4 || at >= 590 + i));
  }
  await cluster.pass(8_000);
  assert.deepEqual(sclsOf(cluster), [600, 600, 600, 600, 600, 600]);
  for (const i of [0, 2, 4]) {
    const [answer] = cluster.nodes[i].store.read({
      ...head(),
      pages: [1 as never],
      readPoint: 600 as Lsn,
      requiredScl: 600 as Lsn,
    });
    assert.deepEqual(answer.content, maker.page(1).content);
  }
  assert.ok(cluster.nodes.every(({ gossip }) => gossip.fetchedRecords > 0));
});

test('a hole is filled soon, not at the next round', async () => {
  await using cluster = await sixWithSegments();
  const records = new RecordMaker().many(30);
  for (const writer of cluster.writers.slice(1)) writer.ship(records);
  await cluster.pass(3);
  cluster.writers[0].ship(records.slice(20));
  await cluster.pass(100);
  assert.equal(sclsOf(cluster)[0], 30);
});

test('nothing is given to, or taken from, a node of another volume epoch', async () => {
  await using cluster = await sixWithSegments();
  const records = new RecordMaker().many(30);
  for (const writer of cluster.writers.slice(0, 3)) writer.ship(records);
  for (const writer of cluster.writers.slice(0, 3)) await writer.fence({ volumeEpoch: 2 as Epoch });
  await cluster.pass(5_000);
  assert.deepEqual(sclsOf(cluster), [30, 30, 30, 0, 0, 0]);
  for (const writer of cluster.writers.slice(3)) await writer.fence({ volumeEpoch: 2 as Epoch });
  await cluster.pass(6_000);
  assert.deepEqual(sclsOf(cluster), [30, 30, 30, 30, 30, 30]);
});

test('a node that missed a truncation learns the range before it takes or gives anything', async () => {
  await using cluster = await sixWithSegments();
  const maker = new RecordMaker();
  const records = maker.many(20);
  for (const writer of cluster.writers) writer.ship(records.slice(0, 16));
  cluster.writers[5].ship(records.slice(16));
  for (const writer of cluster.writers) await writer.fence({ volumeEpoch: 2 as Epoch });
  const range = { volumeEpoch: 2 as Epoch, after: 15 as Lsn, through: 1000 as Lsn };
  for (const writer of cluster.writers.slice(0, 5))
    await writer.truncate({ ...head({ volumeEpoch: 2 as Epoch }), range });
  maker.truncate({ after: 15, through: 1000, epoch: 2 });
  const next = maker.many(10);
  for (const writer of cluster.writers.slice(0, 5)) writer.ship(next, { volumeEpoch: 2 as Epoch });
  await cluster.pass(6_000);
  assert.deepEqual(sclsOf(cluster), [1010, 1010, 1010, 1010, 1010, 1010]);
  const state = await cluster.writers[5].fence({ volumeEpoch: 2 as Epoch });
  assert.deepEqual(state.ranges, [range]);
});

test('a node that was away catches up over many fetches, and dead peers do not stop it', async () => {
  await using cluster = await sixWithSegments();
  const maker = new RecordMaker();
  await cluster.run(cluster.nodes[5][Symbol.asyncDispose]());
  for (let i = 0; i < 40; i++) {
    const records = maker.many(10, { bytes: 4000 });
    for (const writer of cluster.writers.slice(0, 5)) writer.ship(records);
    await cluster.pass(1);
  }
  for (const i of [1, 2, 3]) cluster.network.kill(`n${i}`);
  await cluster.start(5);
  await cluster.pass(10_000);
  assert.equal(sclsOf(cluster)[5], 400);
});

test('two nodes that were away for hours come back together and catch up from all that are there', async () => {
  await using cluster = await sixWithSegments();
  const maker = new RecordMaker();
  const first = maker.many(5);
  for (const writer of cluster.writers) writer.ship(first);
  await cluster.pass(5);
  for (const i of [4, 5]) await cluster.crash(i);
  for (let i = 0; i < 120; i++) {
    const records = maker.many(100, { bytes: 60 });
    // Nobody may drop what the two have not got.
    for (const writer of cluster.writers.slice(0, 4))
      writer.ship(records, { vdl: maker.lastLsn, pgmrpl: maker.lastLsn });
    await cluster.pass(1);
  }
  const { bytesWritten } = cluster.nodes[0].store.log;
  await cluster.pass(1_000);
  await cluster.start(4);
  await cluster.start(5);
  await cluster.pass(4_000);
  assert.deepEqual(sclsOf(cluster), Array(6).fill(maker.lastLsn));
  for (const i of [4, 5]) assert.ok(cluster.nodes[i].gossip.fetchedRecords >= 12_000);
  assert.equal(cluster.nodes[0].store.log.bytesWritten, bytesWritten, 'it costs the others no write');
  const [answer] = cluster.nodes[4].store.read({
    ...head(),
    pages: [1 as never],
    readPoint: maker.lastLsn,
    requiredScl: maker.lastLsn,
  });
  assert.deepEqual(answer.content, maker.page(1).content);
});
