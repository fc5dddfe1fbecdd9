/**
 * The bytes on disk, pinned: docs/storage-format.md describes what stands here. If this test fails, data directories that
 * people have can no longer be read: raise the format version and read the old one, or do not change it.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import * as path from 'node:path';
import { test } from 'node:test';
import { MemoryDisk, type Epoch, type Lsn } from '@rokka/kernel';
import { RecordMaker } from './testing/records.ts';
import { head, TestStore } from './testing/stores.ts';

const GOLDEN = path.join(import.meta.dirname, 'testdata', 'directory-format-1.json');

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

function golden(): Record<string, GoldenFile> {
  return JSON.parse(readFileSync(GOLDEN, 'utf8')) as Record<string, GoldenFile>;
}

function directory(): TestStore {
  const node = new TestStore({ seed: 7 });
  node.create();
  node.create({ pg: 1 as never, kind: 'tail' });
  const maker = new RecordMaker();
  node.ship(maker.many(3, { pages: 2 }), { vdl: 2 as Lsn });
  node.fence({ volumeEpoch: 2 as Epoch });
  const range = { volumeEpoch: 2 as Epoch, after: 2 as Lsn, through: 50 as Lsn };
  node.wait<void>((done) => node.store.truncate({ ...head({ volumeEpoch: 2 as Epoch }), range }, done));
  const segment = node.store.segments.get(head());
  segment.learnPoints({ vdl: 2 as Lsn, pgmrpl: 2 as Lsn });
  node.store.coalescer.demand(segment);
  node.run(100);
  node.store.log.rotate();
  return node;
}

test('a data directory is written as it always was', () => {
  assert.deepEqual(dump(directory().disk), golden());
});

test('a data directory of the past is read', () => {
  const disk = new MemoryDisk();
  for (const name of ['node', 'node/log', 'node/pages']) disk.makeDirectory(name);
  for (const [name, { sizeBytes, rows }] of Object.entries(golden())) {
    const bytes = new Uint8Array(sizeBytes);
    for (const [at, hex] of Object.entries(rows)) bytes.set(Buffer.from(hex, 'hex'), Number(at));
    disk.files.set(name, { bytes, synced: bytes.slice(), unsynced: [] });
  }
  const node = new TestStore({ disk });
  const state = node.fence({ volumeEpoch: 2 as Epoch });
  assert.deepEqual([state.scl, state.vdl, state.coalesced, state.damaged], [2, 2, 2, false]);
  assert.deepEqual(state.ranges, [{ volumeEpoch: 2, after: 2, through: 50 }]);
  const maker = new RecordMaker();
  maker.many(2, { pages: 2 });
  for (let page = 0; page < 2; page++) {
    const { lsn, content } = maker.page(page);
    const answer = node.read(page, 2, { volumeEpoch: 2 as Epoch });
    assert.equal(answer.pageLsn, lsn);
    if (lsn > 0) assert.deepEqual(answer.content, content);
  }
});

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
    open((identity) => (identity['version'] = 2)),
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
