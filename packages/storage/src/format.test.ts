/**
 * The bytes on disk, pinned: docs/storage-format.md describes what stands here. If this test fails, data directories that
 * people have can no longer be read: raise the format version and read the old one, or do not change it.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import * as path from 'node:path';
import { test } from 'node:test';
import { AssertionError, MemoryDisk, type Epoch, type Lsn, type PgIndex } from '@rokka/kernel';
import type { Identity } from './identity.ts';
import type { Epochs } from './messages.ts';
import { RecordMaker } from './testing/records.ts';
import { createMessage, head, TestStore } from './testing/stores.ts';

const GOLDEN = path.join(import.meta.dirname, 'testdata', 'directory-format-2.json');
const GOLDEN_1 = path.join(import.meta.dirname, 'testdata', 'directory-format-1.json');

const ROW_BYTES = 64;

interface GoldenFile {
  sizeBytes: number;
  /** Rows that are not all zeroes, in hexadecimal, by their offset. */
  rows: Record<string, string>;
}

function dump(disk: MemoryDisk): Record<string, GoldenFile> {
  const names = [...disk.files.keys()].filter((name) => !name.includes('spare'));
  return Object.fromEntries(names.map((name) => [name, dumpFile(disk.files.get(name)?.bytes ?? EMPTY)]));
}

const EMPTY = new Uint8Array(0);

function dumpFile(bytes: Uint8Array): GoldenFile {
  const rows: Record<string, string> = {};
  for (let at = 0; at < bytes.length; at += ROW_BYTES) {
    const row = bytes.subarray(at, at + ROW_BYTES);
    if (row.some((byte) => byte !== 0)) rows[at] = Buffer.from(row).toString('hex');
  }
  return { sizeBytes: bytes.length, rows };
}

function golden(file: string): Record<string, GoldenFile> {
  return JSON.parse(readFileSync(file, 'utf8')) as Record<string, GoldenFile>;
}

function diskOf(file: string): MemoryDisk {
  const disk = new MemoryDisk();
  for (const name of ['node', 'node/log', 'node/pages']) disk.makeDirectory(name);
  for (const [name, { sizeBytes, rows }] of Object.entries(golden(file))) {
    const bytes = new Uint8Array(sizeBytes);
    for (const [at, hex] of Object.entries(rows)) bytes.set(Buffer.from(hex, 'hex'), Number(at));
    disk.files.set(name, { bytes, synced: bytes.slice(), unsynced: [] });
  }
  return disk;
}

/** Every kind of entry, each with something in it. */
function directory(): TestStore {
  const node = new TestStore({ seed: 7 });
  node.create();
  node.create({ pg: 1 as PgIndex, kind: 'tail' });
  const maker = new RecordMaker();
  node.ship(maker.many(3, { pages: 2 }), { vdl: 2 as Lsn });
  node.fence({ volumeEpoch: 2 as Epoch });
  const range = { volumeEpoch: 2 as Epoch, after: 2 as Lsn, through: 50 as Lsn };
  node.wait<void>((done) => node.store.truncate({ ...head({ volumeEpoch: 2 as Epoch }), range }, done));
  const segment = node.store.segments.get(head());
  segment.learnPoints({ vdl: 2 as Lsn, pgmrpl: 2 as Lsn });
  node.store.coalescer.demand(segment);
  node.run(100);
  const { members } = segment;
  const self = { ...members[0], node: node.store.identity.node };
  const epochs = { volumeEpoch: 2 as Epoch, membershipEpoch: 2 as Epoch };
  node.fence({ ...epochs, members: [...members, self] });
  node.create({ ...epochs, pg: 2 as PgIndex, hydrate: true });
  const newcomer = node.store.segments.get(head({ pg: 2 as PgIndex }));
  const base = { lsn: 30 as Lsn, livePages: 0, tableDigest: 0 };
  const steps = [
    { begun: true, nextPage: 0 },
    { begun: true, nextPage: 20 },
  ];
  for (const [at, step] of steps.entries())
    node.wait<void>((done) =>
      node.store.copied(
        newcomer,
        {
          generation: { ...base, number: at + 1 },
          readFloor: (30 + at) as Lsn,
          hydration: { ...step, reason: 'newcomer', target: 40 as Lsn },
        },
        done,
      ),
    );
  const other = { ...head({ ...epochs, pg: 1 as PgIndex }), members: [...members] };
  node.wait<void>((done) => node.store.dropSegment(other, done));
  node.store.log.rotate();
  return node;
}

test('a data directory is written as it always was', () => {
  assert.deepEqual(dump(directory().disk), golden(GOLDEN));
});

test('a data directory is read as it was written, with and without its last manifest', () => {
  for (const withManifest of [true, false]) {
    const disk = diskOf(GOLDEN);
    if (!withManifest) disk.files.delete('node/log/000000000002.log');
    const node = new TestStore({ disk });
    const epochs = { volumeEpoch: 2 as Epoch, membershipEpoch: 2 as Epoch };
    demandPast(node, epochs);
    const [segment, newcomer, ...more] = [...node.store.segments.all];
    assert.deepEqual(more, []);
    assert.deepEqual(
      segment.members.map(({ node: name }) => name),
      ['n', node.store.identity.node],
    );
    assert.deepEqual(
      [newcomer.pg, newcomer.hydration, newcomer.readFloor, newcomer.generation.lsn, newcomer.durableScl],
      [2, { reason: 'newcomer', begun: true, nextPage: 20, target: 40 }, 31, 30, 30],
    );
    assert.equal(node.store.segments.nextId, 4, 'no number is used again');
    assert.equal(disk.exists('node/pages/2.pages'), false);
  }
});

test('a data directory of format 1 is read, and upgraded', () => {
  const disk = diskOf(GOLDEN_1);
  const node = new TestStore({ disk });
  demandPast(node, { volumeEpoch: 2 as Epoch, membershipEpoch: 1 as Epoch });
  const versionOf = (bytes: Uint8Array) => (JSON.parse(Buffer.from(bytes).toString()) as Identity).version;
  const identity = disk.files.get('node/identity.json');
  assert.ok(identity);
  assert.equal(versionOf(identity.bytes), 2);
  const epochs = { volumeEpoch: 2 as Epoch, membershipEpoch: 2 as Epoch };
  const members = [{ ...createMessage().members[0], node: node.store.identity.node }];
  node.fence({ ...epochs, members });
  const again = node.reopened({ crash: true });
  demandPast(again, epochs);
  assert.deepEqual(again.store.segments.get(head()).members, members);
});

test('the power fails at any moment of the upgrade: it is made at the next start', () => {
  for (let nth = 1, count = nth; count >= nth; nth++) {
    const disk = diskOf(GOLDEN_1);
    count = 0;
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
    demandPast(new TestStore({ disk }), { volumeEpoch: 2 as Epoch, membershipEpoch: 1 as Epoch });
  }
});

/** What both directories have in common. */
function demandPast(node: TestStore, epochs: Epochs): void {
  const state = node.fence(epochs);
  assert.deepEqual([state.scl, state.vdl, state.coalesced, state.damaged], [2, 2, 2, false]);
  assert.deepEqual(state.ranges, [{ volumeEpoch: 2, after: 2, through: 50 }]);
  const maker = new RecordMaker();
  maker.many(2, { pages: 2 });
  for (let page = 0; page < 2; page++) {
    const { lsn, content } = maker.page(page);
    const answer = node.read(page, 2, epochs);
    assert.equal(answer.pageLsn, lsn);
    if (lsn > 0) assert.deepEqual(answer.content, content);
  }
}

test('a directory of another format, cluster, zone or node is refused, not touched', () => {
  const identityOf = (change: (identity: Record<string, unknown>) => void) => {
    const { disk } = directory();
    const file = disk.files.get('node/identity.json');
    assert.ok(file);
    const identity = JSON.parse(Buffer.from(file.bytes).toString()) as Record<string, unknown>;
    change(identity);
    file.bytes = Buffer.from(JSON.stringify(identity));
    return disk;
  };
  const open = (change: (identity: Record<string, unknown>) => void) => () =>
    new TestStore({ disk: identityOf(change) });
  assert.throws(
    open((identity) => (identity['version'] = 3)),
    { code: 'STORAGE_DIRECTORY_VERSION' },
  );
  assert.throws(
    open((identity) => (identity['cluster'] = 'x')),
    { code: 'STORAGE_DIRECTORY_FOREIGN' },
  );
  assert.throws(
    open((identity) => (identity['zone'] = 'b')),
    { code: 'STORAGE_DIRECTORY_FOREIGN' },
  );
  assert.doesNotThrow(open(() => {}));
});
