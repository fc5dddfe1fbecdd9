import assert from 'node:assert/strict';
import { test } from 'node:test';
import { AssertionError, MemoryDisk, type Epoch, type Lsn } from '@rokka/kernel';
import { joined, RecordMaker } from './testing/records.ts';
import { copyOf, head, shipMessage, TestStore } from './testing/stores.ts';

const LOG = 'node/log/000000000001.log';

/** A node with several batches, and for each the SCL that it made durable and where it ends. */
function written(batches: number, perBatch = 5) {
  const node = new TestStore();
  node.create();
  const maker = new RecordMaker();
  const ends: { offset: number; scl: number }[] = [];
  for (let i = 0; i < batches; i++) {
    const scl = node.ship(maker.many(perBatch));
    ends.push({ scl, offset: lastNonZero(bytesOf(node.disk)) });
  }
  return { node, maker, ends };
}

function bytesOf(disk: MemoryDisk, path = LOG): Uint8Array {
  const file = disk.files.get(path);
  assert.ok(file, path);
  return file.bytes;
}

function lastNonZero(bytes: Uint8Array): number {
  let at = bytes.length;
  while (at > 0 && bytes[at - 1] === 0) at--;
  return at;
}

test('a log cut at any byte of its last batches keeps every batch before the cut', () => {
  const { node, ends, maker } = written(4);
  const image = bytesOf(node.disk).slice();
  const [from, to] = [ends[1].offset, ends[3].offset];
  for (let cut = from; cut <= to; cut += cut % 4096 < 100 ? 1 : 37) {
    const disk = copyOf(node.disk);
    bytesOf(disk).set(image);
    bytesOf(disk).fill(0, cut);
    const again = new TestStore({ disk });
    const expected = ends.filter(({ offset }) => offset <= cut).at(-1)?.scl;
    const state = again.fence();
    assert.equal(state.scl, expected, `cut at ${cut}`);
    assert.equal(state.damaged, false);
    // It goes on where it stopped, and what comes next is not confused with what was torn.
    const rest = maker.made.filter(({ lsn }) => lsn > state.scl);
    assert.equal(again.ship(rest), 20);
    assert.equal(again.reopened({ crash: true }).fence().scl, 20);
  }
});

test('a torn last batch is dropped whatever sectors of it reached the disk', () => {
  const node = new TestStore();
  node.create();
  const maker = new RecordMaker();
  node.ship(maker.many(5));
  node.store.ship(shipMessage(maker.many(60, { bytes: 200 })));
  const before = copyOf(node.disk);
  node.run();
  const whole = bytesOf(node.disk).slice();
  const sectors = Math.ceil((lastNonZero(whole) - lastNonZero(bytesOf(before))) / 512);
  assert.ok(sectors > 20);
  for (let lost = 0; lost < sectors; lost++) {
    const disk = copyOf(node.disk);
    const at = Math.ceil(lastNonZero(bytesOf(before)) / 4096) * 4096 + lost * 512;
    if (whole.subarray(at, at + 512).every((byte) => byte === 0)) continue;
    bytesOf(disk).fill(0, at, at + 512);
    const again = new TestStore({ disk });
    assert.equal(again.fence().scl, 5);
    assert.deepEqual(again.store.damages, []);
  }
});

test('a flipped bit before the last batch is damage: reported, never served, never a low SCL', () => {
  const { node, ends } = written(5);
  const image = bytesOf(node.disk);
  for (let at = 0; at < ends[3].offset; at += 61) {
    if (image[at] === 0 && at % 4096 > 600) continue;
    const disk = copyOf(node.disk);
    bytesOf(disk)[at] ^= 1 << (at % 8);
    if (batchOf(at, image) === undefined) continue;
    if (batchOf(at, image) === 0) {
      // The only manifest: without it nothing can be told, and a node that cannot tell must not start.
      assert.throws(() => new TestStore({ disk }), { code: 'STORAGE_DIRECTORY_EMPTIED' });
      continue;
    }
    const again = new TestStore({ disk });
    assert.equal(again.store.damages.length, 1, `bit at ${at}`);
    const isCreation = batchOf(at, image) === 1;
    if (isCreation) {
      assert.throws(() => again.fence(), { code: 'STORAGE_SEGMENT_UNKNOWN' });
      assert.throws(() => again.create(), { code: 'STORAGE_SEGMENT_UNKNOWN' });
      continue;
    }
    assert.equal(again.fence().damaged, true);
    assert.throws(() => again.read(0, 25), { code: 'STORAGE_SEGMENT_UNKNOWN' });
    assert.throws(() => again.store.fetch({ ...head(), after: 0 as Lsn, through: 9 as Lsn, limitBytes: 9 }), {
      code: 'STORAGE_SEGMENT_UNKNOWN',
    });
    // The verdict outlives the restart.
    assert.equal(again.reopened().fence().damaged, true);
  }
});

/** Number of the batch that holds byte `at`, if it is part of one and not padding. */
function batchOf(at: number, image: Uint8Array): number | undefined {
  const view = new DataView(image.buffer, image.byteOffset);
  for (let start = 0, count = 0; view.getUint32(start, true) !== 0; count++) {
    const length = view.getUint32(start + 12, true);
    if (at >= start && at < start + length) return count;
    start += Math.ceil(length / 4096) * 4096;
  }
  return undefined;
}

test('a segment damaged before a later manifest is whole again when its peers have filled it', () => {
  const node = new TestStore();
  node.create();
  const maker = new RecordMaker();
  for (let i = 0; i < 4; i++) node.ship(maker.many(10));
  const hole = lastNonZero(bytesOf(node.disk)) - 20;
  for (let i = 0; i < 4; i++) node.ship(maker.many(10));
  node.store.log.rotate();
  node.ship(maker.many(10));
  bytesOf(node.disk)[hole] ^= 1;
  const again = node.reopened();
  assert.deepEqual(
    again.store.damages.map(({ file }) => file),
    [1],
  );
  const state = again.fence();
  assert.deepEqual([state.damaged, state.scl], [true, 30]);
  const segment = again.store.segments.get(head());
  again.store.ingest(segment, Buffer.concat(maker.made.slice(30, 40).map(({ bytes }) => bytes)));
  again.run();
  assert.deepEqual([segment.damaged, segment.durableScl], [false, 90]);
  assert.deepEqual(again.read(1, 90).content, maker.page(1).content);
});

test('a record that waited above a hole, became part of what was acknowledged, and rotted, is missed', () => {
  const node = new TestStore();
  node.create();
  const maker = new RecordMaker();
  node.ship(maker.many(5));
  const [lacking, ...waiting] = [maker.make({ page: 1 }), ...maker.many(3)];
  assert.equal(node.ship(waiting), 5, 'they wait above the hole');
  const rottenAt = lastNonZero(bytesOf(node.disk)) - 8;
  node.store.log.rotate();
  assert.equal(node.ship([lacking]), 9, 'and count with what filled it, without being written again');
  node.store[Symbol.dispose]();
  bytesOf(node.disk)[rottenAt] ^= 1;
  const again = new TestStore({ disk: node.disk });
  assert.equal(again.fence().damaged, true, 'a manifest written while they waited does not clear it');
  again.store.ingest(again.store.segments.get(head()), joined(waiting));
  const { scl, damaged } = again.fence();
  assert.deepEqual({ scl, damaged }, { scl: 9, damaged: false }, 'peers have filled it');
});

test('rotation drops what the floors allow, and a restart needs none of it', () => {
  const node = new TestStore();
  node.create({ kind: 'tail' });
  const maker = new RecordMaker();
  for (let i = 0; i < 200; i++) {
    const records = maker.many(20, { bytes: 100 });
    const lsn = maker.lastLsn;
    node.ship(records, { vdl: lsn, logFloor: Math.max(0, lsn - 100) as Lsn });
    node.run(20);
  }
  assert.ok(node.store.log.fileCount <= 3, `${node.store.log.fileCount} files`);
  assert.ok(bytesOf(node.disk, 'node/log/spare'), 'a spare is ready');
  assert.ok(node.disk.list('node/log').length <= 4, 'dropped files are gone');
  const again = node.reopened({ crash: true });
  const state = again.fence();
  assert.equal(state.scl, 4000);
  assert.ok(state.logFloor > 3000);
  const fetch = (after: number) =>
    again.store.fetch({ ...head(), after: after as Lsn, through: 4000 as Lsn, limitBytes: 1 << 20 });
  assert.throws(() => fetch(0), { code: 'STORAGE_LOG_DROPPED' });
  const expected = maker.made.filter(({ lsn }) => lsn > state.logFloor).map(({ bytes }) => bytes);
  assert.deepEqual(new Uint8Array(fetch(state.logFloor)), new Uint8Array(Buffer.concat(expected)));
});

test('many files that become droppable at once are gone, but for four spares', () => {
  const node = new TestStore();
  node.create({ kind: 'tail' });
  const maker = new RecordMaker();
  while (maker.lastLsn < 4000) node.ship(maker.many(20, { bytes: 100 }), { vdl: maker.lastLsn });
  assert.ok(node.store.log.fileCount > 9);
  node.ship([], { vdl: 4000 as Lsn, logFloor: 4000 as Lsn });
  node.store.log.rotate();
  node.run(100);
  const names = () => node.disk.list('node/log').filter((name) => !name.endsWith('.log'));
  assert.deepEqual(names(), ['spare', 'spare-2', 'spare-3', 'spare-4']);
  assert.equal(node.disk.list('node/log').length, 5);
  // Log goes on in them.
  while (maker.lastLsn < 5000) node.ship(maker.many(20, { bytes: 100 }), { vdl: maker.lastLsn });
  node.run(100);
  assert.ok(names().length < 4);
  assert.equal(node.reopened({ crash: true }).fence().scl, 5000);
});

test('what a recycled file still holds is never taken for new', () => {
  const node = new TestStore();
  node.create({ kind: 'tail' });
  const maker = new RecordMaker();
  while (maker.lastLsn < 4000) {
    const records = maker.many(20, { bytes: 100 });
    node.ship(records, { vdl: maker.lastLsn, logFloor: Math.max(0, maker.lastLsn - 100) as Lsn });
    node.run(20);
  }
  const state = node.fence();
  // The power fails when the spare, once a log file with a manifest, has its new name and nothing else is new.
  const newest = node.disk.list('node/log').findLast((name) => name.endsWith('.log'));
  const next = String(Number(newest?.slice(0, -4)) + 1).padStart(12, '0');
  assert.notEqual(lastNonZero(bytesOf(node.disk, 'node/log/spare')), 0, 'the spare was used before');
  node.disk.rename('node/log/spare', `node/log/${next}.log`);
  const again = node.reopened({ crash: true });
  assert.deepEqual(again.fence(), state);
  assert.deepEqual(again.store.damages, []);
});

for (const [how, writesThrough] of [
  ['', false],
  [', written through', true],
] as const) {
  const disk = () => Object.assign(new MemoryDisk(), { writesThrough });

  test(`a full disk stops the acknowledgements and nothing else, and passes${how}`, () => {
    const node = new TestStore({ disk: disk() });
    node.create();
    const maker = new RecordMaker();
    node.ship(maker.many(10));
    const segment = node.store.segments.get(head());
    node.disk.onAccess = (kind, path) => {
      if (kind === 'write') throw Object.assign(new Error('ENOSPC'), { code: 'ENOSPC', path });
    };
    node.store.ship(shipMessage(maker.many(10)));
    node.run(1);
    assert.equal(segment.durableScl, 10);
    assert.equal(node.store.log.failure?.code, 'STORAGE_DISK_FULL');
    assert.throws(() => node.store.ship(shipMessage(maker.many(10))), { code: 'STORAGE_DISK_FULL' });
    assert.throws(
      () => node.store.fence({ ...head({ volumeEpoch: 2 as Epoch }), members: [], ranges: [] }, () => {}),
      {
        code: 'STORAGE_DISK_FULL',
      },
    );
    assert.deepEqual(node.read(0, 10).content, maker.page(0, 10 as Lsn).content, 'reads go on');
    node.disk.onAccess = undefined;
    node.run(1000);
    assert.equal(segment.durableScl, 20);
    assert.equal(node.ship(maker.made.slice(20)), 30);
    assert.equal(node.reopened({ crash: true }).fence().scl, 30);
    assert.deepEqual(node.failures, []);
  });

  test(`space runs out at any write of a long run, comes back, and the log is never damaged${how}`, () => {
    for (let nth = 1; ; nth++) {
      const node = new TestStore({
        disk: disk(),
        tuning: { logFileBytes: 32 * 1024, logBatchBytes: 8 * 1024 },
      });
      node.create();
      const maker = new RecordMaker();
      let writes = 0;
      node.disk.onAccess = (kind) => {
        if (kind === 'write' && ++writes >= nth && writes < nth + 3)
          throw Object.assign(new Error('ENOSPC'), { code: 'ENOSPC' });
      };
      for (let i = 0; i < 8; i++) {
        const records = maker.many(20, { bytes: 100 });
        for (let attempt = 0; attempt < 5; attempt++) {
          try {
            node.store.ship(shipMessage(records));
          } catch (error) {
            assert.equal((error as { code?: string }).code, 'STORAGE_DISK_FULL');
          }
          node.run(500);
        }
      }
      assert.equal(node.store.segments.get(head()).durableScl, 160, `write ${nth}`);
      node.disk.onAccess = undefined;
      const again = node.reopened({
        crash: true,
        tuning: { logFileBytes: 32 * 1024, logBatchBytes: 8 * 1024 },
      });
      assert.deepEqual([again.fence().scl, again.fence().damaged], [160, false]);
      if (writes < nth) return;
    }
  });

  test(`after a failed sync the node acknowledges nothing more and says so${how}`, () => {
    const node = new TestStore({ disk: disk() });
    node.create();
    const maker = new RecordMaker();
    node.ship(maker.many(10));
    node.disk.onAccess = (kind) => {
      if (kind === 'sync') throw Object.assign(new Error('EIO'), { code: 'EIO' });
    };
    const segment = node.store.ship(shipMessage(maker.many(10)));
    let durable = false;
    node.store.whenDurable(() => (durable = true));
    node.run(1000);
    node.disk.onAccess = undefined;
    node.run(1000);
    assert.equal(durable, false);
    assert.equal(segment.durableScl, 10);
    assert.deepEqual(
      node.failures.map(({ code }) => code),
      ['STORAGE_DISK_FAILED'],
    );
    assert.throws(() => node.store.ship(shipMessage(maker.many(1))), { code: 'STORAGE_DISK_FAILED' });
    assert.equal(node.reopened({ crash: true }).fence().scl, 10);
  });
}

test('an identity without its log does not start as an empty node', () => {
  const { node } = written(2);
  for (const path of node.disk.files.keys()) if (path.startsWith('node/log/')) node.disk.files.delete(path);
  assert.throws(() => new TestStore({ disk: node.disk }), { code: 'STORAGE_DIRECTORY_EMPTIED' });
});

test('a first start that is interrupted at any write is repeated', () => {
  for (let nth = 1; nth < 30; nth++) {
    const disk = new TestStore().disk;
    disk.files.clear();
    let count = 0;
    disk.onAccess = () => {
      if (++count === nth) throw new AssertionError('power is gone');
    };
    try {
      assert.ok(new TestStore({ disk }));
    } catch (error) {
      assert.match(String(error), /power is gone/);
    }
    disk.onAccess = undefined;
    disk.crash();
    const node = new TestStore({ disk });
    node.create();
    assert.equal(node.ship(new RecordMaker().many(3)), 3);
  }
});

test('the last batch, read from a cache that a failed sync left clean, is on the disk after the next start', () => {
  const { node, ends } = written(5);
  const sclOn = (disk: MemoryDisk) => new TestStore({ disk }).store.segments.get(head()).durableScl;
  node.store[Symbol.dispose]();
  const file = node.disk.files.get(LOG);
  assert.ok(file);
  file.synced = file.bytes.slice();
  file.synced.fill(0, ends[3].offset);
  file.unsynced.length = 0;
  assert.equal(sclOn(node.disk), ends[4].scl);
  node.disk.crash();
  assert.equal(sclOn(node.disk), ends[4].scl);
});
