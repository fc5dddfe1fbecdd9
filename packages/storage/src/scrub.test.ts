import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Lsn, MemoryDisk, PageNumber } from '@rokka/kernel';
import { MESSAGE } from './messages.ts';
import * as codec from './message-codec.ts';
import type { IndexedRecord } from './record-index.ts';
import { Group } from './testing/group.ts';
import { head } from './testing/stores.ts';

/** On the disk, not only in the page cache. */
function flip(disk: MemoryDisk, path: string, at: number): void {
  const file = disk.files.get(path);
  assert.ok(file && at < file.bytes.length, `${path} at ${at}`);
  file.bytes[at] ^= 0x10;
  if (at < file.synced.length) file.synced[at] ^= 0x10;
}

/** Flips a bit of the page's content wherever it lies. */
function flipPage(group: Group, i: number, page: number): void {
  const disk = group.cluster.disks[i];
  const segment = group.cluster.segment(i);
  const content = Buffer.from(group.maker.page(page, segment.generation.lsn).content);
  const file = disk.files.get(`node/pages/${segment.id}.pages`);
  assert.ok(file);
  const at = Buffer.from(file.bytes).indexOf(content);
  assert.ok(at >= 0 && at % 8192 === 0, `page ${page} is on the disk`);
  flip(disk, `node/pages/${segment.id}.pages`, at + 77);
}

function placeOf(group: Group, i: number, lsn: number): IndexedRecord {
  const { index } = group.cluster.segment(i).chain;
  const place = { lsn: 0 as Lsn, page: 0, file: 0, offset: 0, length: 0, flags: 0 };
  const ordinal = index.find(lsn as Lsn);
  assert.ok(ordinal !== undefined, `record ${lsn} is in the log`);
  return index.read(ordinal, place);
}

function flipRecord(group: Group, i: number, lsn: number, byte = 57): void {
  const { file, offset } = placeOf(group, i, lsn);
  flip(group.cluster.disks[i], `node/log/${String(file).padStart(12, '0')}.log`, offset + byte);
}

async function withHistory(options: { seed?: number } = {}): Promise<Group> {
  const group = await Group.start({ nodes: 6, pages: 40, ...options });
  for (let i = 0; i < 10; i++) await group.write(30);
  await group.write(0);
  return group;
}

async function scrub(group: Group, i: number): Promise<void> {
  await group.cluster.run(group.cluster.nodes[i].scrubber.scrubNow());
}

test('a scrub of a sound node finds nothing and changes nothing', async () => {
  await using group = await withHistory();
  await group.coalesce([0]);
  const [node] = group.cluster.nodes;
  const { syncCount } = node.store.log;
  await scrub(group, 0);
  assert.deepEqual(
    [node.scrubber.passCount, node.scrubber.damagedPages, node.scrubber.damagedBatches],
    [1, 0, 0],
  );
  assert.ok(node.scrubber.scannedBytes > 40 * 8192, `${node.scrubber.scannedBytes} bytes`);
  assert.equal(node.store.log.syncCount, syncCount);
});

test('a rotten page is found by a scrub and made anew, whether its peers are ahead of it or behind', async () => {
  for (const ahead of [[0], [2, 4], [0, 2, 4]]) {
    await using group = await withHistory();
    await group.coalesce([0, 2, 4]);
    for (let i = 0; i < 4; i++) await group.write(30);
    await group.coalesce(ahead);
    for (let i = 0; i < 4; i++) await group.write(30);
    for (const page of [3, 17]) flipPage(group, 0, page);
    await scrub(group, 0);
    const [node] = group.cluster.nodes;
    assert.deepEqual([node.scrubber.damagedPages, node.repairer.repairedPages], [2, 2]);
    assert.equal(group.cluster.segment(0).lostPages.size, 0);
    group.demandTruth(0);
    await group.cluster.crash(0);
    await group.cluster.start(0);
    group.demandTruth(0);
    await group.coalesce([0]);
    group.demandTruth(0);
  }
});

test('a rotten page that a read meets is refused, and is there again soon after', async () => {
  await using group = await withHistory();
  await group.coalesce([0, 2, 4]);
  flipPage(group, 0, 5);
  const lsn = group.maker.lastLsn;
  const read = { ...head(), pages: [5 as PageNumber], readPoint: lsn, requiredScl: lsn };
  const { store } = group.cluster.nodes[0];
  assert.throws(() => store.read(read), { code: 'STORAGE_PAGE_UNKNOWN' });
  const among = { ...read, pages: [3, 4, 5, 6] as PageNumber[] };
  assert.equal(store.read(among).length, 2, 'those before it are served');
  const state = await group.cluster.writers[0].fence({});
  assert.equal(state.damaged, false, 'its log is whole');
  await group.cluster.pass(100);
  group.demandTruth(0);
});

test('a rotten page is refused to a newcomer, which takes it from another member', async () => {
  await using group = await Group.start({ pages: 40 });
  for (let i = 0; i < 10; i++) await group.write(30);
  await group.write(0);
  await group.coalesce([0, 2, 4]);
  for (const [i, page] of [
    [0, 3],
    [2, 9],
    [4, 30],
  ])
    flipPage(group, i, page);
  await group.join([6]);
  await group.whole(6);
  group.demandTruth(6);
  for (const i of [0, 2, 4]) await scrub(group, i);
  for (const i of [0, 2, 4]) group.demandTruth(i);
});

test('a rotten record makes its segment count as unknown until it is written again', async () => {
  await using group = await withHistory();
  const { cluster } = group;
  const [writer] = cluster.writers;
  for (const lsn of [120, 121, 299]) flipRecord(group, 0, lsn);
  const fetch = codec.encodeFetch({ ...head(), after: 110 as Lsn, through: 130 as Lsn, limitBytes: 1 << 16 });
  cluster.network.cut('n0', 'n1');
  for (const peer of ['n2', 'n3', 'n4', 'n5']) cluster.network.cut('n0', peer);
  await assert.rejects(writer.request(MESSAGE.FETCH, fetch), { code: 'STORAGE_LOG_DAMAGED' });
  assert.equal((await writer.fence({})).damaged, true);
  const sound = codec.encodeFetch({ ...head(), after: 130 as Lsn, through: 140 as Lsn, limitBytes: 1 << 16 });
  await writer.request(MESSAGE.FETCH, sound);
  writer.acks.length = 0;
  await group.write(5, [0, 1]);
  assert.equal(writer.acks.length, 0, 'what it cannot read it does not acknowledge');
  for (const peer of ['n1', 'n2', 'n3', 'n4', 'n5']) cluster.network.heal('n0', peer);
  await cluster.pass(3_000);
  const state = await writer.fence({});
  // The second one was met when the first was mended, the third by nobody yet.
  assert.deepEqual([state.damaged, state.scl], [false, 305]);
  assert.equal(writer.acks.at(-1)?.scl, 305, 'the writer is told');
  await scrub(group, 0);
  assert.equal(cluster.nodes[0].repairer.repairedRecords, 3);
  group.demandTruth(0);
  await cluster.crash(0);
  await cluster.start(0);
  const again = await cluster.writer(0);
  const whole = await again.fence({});
  assert.deepEqual([whole.damaged, whole.scl], [false, 305]);
  group.demandTruth(0);
});

test('a batch that rots outside its records is made up for before a restart needs it', async () => {
  for (const byte of [-1, -9, -40]) {
    await using group = await withHistory();
    const { cluster } = group;
    // The VDL, the segment, and the header of the batch, before the first record of a ship.
    flipRecord(group, 0, 121, byte);
    await scrub(group, 0);
    assert.deepEqual(
      [cluster.nodes[0].scrubber.damagedBatches, cluster.nodes[0].repairer.repairedRecords],
      [1, 0],
    );
    await scrub(group, 0);
    assert.equal(cluster.nodes[0].scrubber.damagedBatches, 1, 'it is counted once');
    await cluster.crash(0);
    await cluster.start(0);
    assert.equal(cluster.nodes[0].store.damages.length, 1, 'the bytes are still there');
    const state = await (await cluster.writer(0)).fence({});
    assert.deepEqual([state.damaged, state.scl], [false, 300]);
    group.demandTruth(0);
  }
});

test('pages whose table has rotted are copied anew while the log goes on', async () => {
  await using group = await withHistory();
  const { cluster } = group;
  await group.coalesce([0, 2, 4]);
  await group.write(30);
  const { id } = cluster.segment(0);
  await cluster.crash(0);
  flip(cluster.disks[0], `node/pages/${id}.table`, 4);
  cluster.network.cut('n0', 'n2');
  cluster.network.cut('n0', 'n4');
  await cluster.start(0);
  const writer = (cluster.writers[0] = await cluster.writer(0));
  const state = await writer.fence({});
  assert.deepEqual([state.damaged, state.hydrating, state.scl], [true, false, 330], 'its log is as it was');
  assert.throws(() => group.demandTruth(0), { code: 'STORAGE_PAGES_DAMAGED' });
  await group.write(30);
  assert.equal(writer.acks.at(-1)?.scl, 360, 'and it goes on');
  cluster.network.heal('n0', 'n2');
  cluster.network.heal('n0', 'n4');
  await group.whole(0);
  await cluster.pass(2_000);
  assert.equal((await writer.fence({})).damaged, false);
  group.demandTruth(0);
  await cluster.crash(0);
  await cluster.start(0);
  group.demandTruth(0);
});

test('what nobody can give stays refused, and people are told so once', async () => {
  await using group = await withHistory();
  const { cluster } = group;
  await group.coalesce([0, 2, 4]);
  for (const i of [0, 2, 4]) flipPage(group, i, 8);
  await scrub(group, 0);
  await cluster.pass(5_000);
  assert.deepEqual([...cluster.segment(0).lostPages], [8]);
  const complaints = cluster.lines.filter(
    (line) => line.startsWith('n0') && line.includes('cannot be mended'),
  );
  assert.equal(complaints.length, 1, complaints.join('\n'));
  assert.throws(() => group.demandTruth(0), { code: 'STORAGE_PAGE_UNKNOWN' });
});

test('a scrub goes on by itself, as fast as it may', async () => {
  await using group = await Group.start({ nodes: 6, pages: 40, tuning: { scrubBytesPerSecond: 1 << 20 } });
  for (let i = 0; i < 10; i++) await group.write(30);
  await group.write(0);
  await group.coalesce([0, 2, 4]);
  flipPage(group, 0, 7);
  await group.cluster.pass(130_000 / 10);
  const [{ scrubber, repairer }] = group.cluster.nodes;
  assert.ok(scrubber.passCount >= 1);
  assert.equal(repairer.repairedPages, 1);
});
