/** What the system's disk does beside plain reads and writes: aside, while the process goes on, and past the page cache. */
import assert from 'node:assert/strict';
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import { test } from 'node:test';
import { systemDisk, type DiskFile } from './disk.ts';

const { O_DIRECT, O_DSYNC } = fs.constants;

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

test(
  'what is written is there, every part at its place, aside and while one waits',
  { timeout: 20_000 },
  () =>
    inFile(async (file) => {
      // More parts than the system takes at once.
      const parts = Array.from({ length: 3_000 }, (_, i) => new Uint8Array(1 + (i % 3)).fill(i));
      await Promise.all([writeAside(file, parts, 100), file.syncAside?.()]);
      const all = Buffer.concat(parts);
      const read = new Uint8Array(all.length);
      assert.equal(file.read(read, 100), all.length);
      assert.ok(all.equals(read));
      file.write(parts, 50_000);
      assert.equal(file.read(read.fill(9), 50_000), all.length);
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

test(
  'what is written through lies where plain reads find it, among what was written plainly',
  { timeout: 20_000 },
  (t) =>
    inFile(async (file) => {
      file.write([new Uint8Array(64 * 1024).fill(1)], 0);
      file.sync();
      const seen = new Uint8Array(64 * 1024);
      file.read(seen, 0);
      assert.ok(systemDisk.memory && file.writeThrough);
      const memory = systemDisk.memory(128 * 1024);
      for (let block = 0; block < 8; block++) {
        const bytes = memory.subarray(block * 8192, block * 8192 + 4096).fill(block + 2);
        if (!file.writeThrough(bytes, block * 8192)) return t.skip('this file system has no direct I/O');
        file.write([new Uint8Array(4096).fill(block + 100)], block * 8192 + 4096);
      }
      file.sync();
      file.read(seen, 0);
      const found = Array.from(
        { length: 16 },
        (_, block) => new Set(seen.subarray(block * 4096, block * 4096 + 4096)),
      );
      const expected = Array.from({ length: 8 }, (_, block) => [
        new Set([block + 2]),
        new Set([block + 100]),
      ]).flat();
      assert.deepEqual(found, expected);
      file[Symbol.dispose]();
      assert.throws(() => file.writeThrough?.(memory.subarray(0, 4096), 0), /is closed/);
    }),
);

test('what writes through goes past the page cache and waits for the disk', { timeout: 20_000 }, (t) =>
  inFile(async (file) => {
    file.write([new Uint8Array(4096)], 0);
    file.sync();
    assert.ok(systemDisk.memory && file.writeThrough);
    if (!file.writeThrough(systemDisk.memory(4096), 0)) return t.skip('this file system has no direct I/O');
    assert.deepEqual(new Set(openWith(file.path, O_DIRECT | O_DSYNC)), new Set([0, O_DIRECT | O_DSYNC]));
    file[Symbol.dispose]();
    assert.deepEqual(openWith(file.path, O_DIRECT | O_DSYNC), []);
  }),
);

/** Of each descriptor of this process that is of the file, those of the flags that it was opened with. */
function openWith(file: string, flags: number): number[] {
  return fs.readdirSync('/proc/self/fd').flatMap((fd) => {
    try {
      if (fs.readlinkSync(`/proc/self/fd/${fd}`) !== file) return [];
      const [, octal = ''] =
        /^flags:\t(\d+)$/m.exec(fs.readFileSync(`/proc/self/fdinfo/${fd}`, 'utf8')) ?? [];
      return [Number.parseInt(octal, 8) & flags];
    } catch {
      // That of the listing itself is closed by now.
      return [];
    }
  });
}

test('a fetch ends whatever lies there, and may outlast the file', { timeout: 20_000 }, () =>
  inFile(async (file) => {
    file.write([new Uint8Array(16 * 1024).fill(5)], 0);
    const fetch = (at: number) =>
      new Promise<void>((resolve) => {
        assert.ok(file.fetch);
        file.fetch(at, 8192, resolve);
      });
    await fetch(0);
    await fetch(1024 * 1024);
    const seen = new Uint8Array(8192);
    file.read(seen, 0);
    assert.deepEqual(new Set(seen), new Set([5]));
    const last = fetch(8192);
    file[Symbol.dispose]();
    await last;
    assert.throws(() => file.fetch?.(0, 8192, () => {}), /is closed/);
  }),
);

test('what cannot be written through is left to plain writes, and says so', { timeout: 20_000 }, () =>
  inFile(async (file) => {
    file.write([new Uint8Array(16 * 1024)], 0);
    assert.ok(systemDisk.memory && file.writeThrough);
    const memory = systemDisk.memory(16 * 1024).fill(9);
    assert.equal(file.writeThrough(memory.subarray(512, 512 + 4096), 0), false, 'memory out of alignment');
    assert.equal(file.writeThrough(memory.subarray(0, 1000), 0), false, 'not whole blocks');
    assert.equal(file.writeThrough(memory.subarray(0, 4096), 512), false, 'a place out of alignment');
    assert.equal(file.writeThrough(new Uint8Array(4096), 0), false, 'other memory');
    const seen = new Uint8Array(16 * 1024);
    file.read(seen, 0);
    assert.deepEqual(new Set(seen), new Set([0]));
    file[Symbol.dispose]();
  }),
);
