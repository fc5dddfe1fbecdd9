/** What the system's disk does aside, while the process goes on. */
import assert from 'node:assert/strict';
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import { test } from 'node:test';
import { systemDisk, type DiskFile } from './disk.ts';

async function inFile(work: (file: DiskFile) => Promise<void>): Promise<void> {
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'rokka-disk-'));
  try {
    await work(systemDisk.open(path.join(directory, 'file'), { create: true }));
  } finally {
    fs.rmSync(directory, { recursive: true });
  }
}

async function writeAside(file: DiskFile, parts: readonly Uint8Array[], at: number): Promise<void> {
  assert.ok(file.writeAside);
  await file.writeAside(parts, at);
}

test('what is written aside is there, every part at its place', { timeout: 20_000 }, () =>
  inFile(async (file) => {
    // More parts than the system takes at once.
    const parts = Array.from({ length: 3_000 }, (_, i) => new Uint8Array(1 + (i % 3)).fill(i));
    await Promise.all([writeAside(file, parts, 100), file.syncAside?.()]);
    const all = Buffer.concat(parts);
    const read = new Uint8Array(all.length);
    assert.equal(file.read(read, 100), all.length);
    assert.ok(all.equals(read));
    file[Symbol.dispose]();
  }),
);

test(
  'a file that is closed meanwhile gives its number away only when the work is done',
  { timeout: 20_000 },
  () =>
    inFile(async (file) => {
      const block = new Uint8Array(8 * 1024 * 1024).fill(7);
      const written = writeAside(file, [block, block], 0);
      file[Symbol.dispose]();
      using other = systemDisk.open(`${file.path}.other`, { create: true });
      await written;
      assert.equal(fs.statSync(file.path).size, 2 * block.length);
      assert.equal(other.sizeBytes(), 0);
      await assert.rejects(writeAside(file, [block], 0), /is closed/);
    }),
);
