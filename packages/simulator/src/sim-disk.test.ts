import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { SeededRandom, type Disk } from '@rokka/kernel';
import { SimDisk, type Tear } from './sim-disk.ts';

const SECTOR = 512;

function newDisk(): SimDisk {
  return new SimDisk({ sectorBytes: SECTOR, random: new SeededRandom(1) });
}

function write(disk: Disk, path: string, text: string, at = 0): void {
  using file = disk.open(path, { create: true });
  file.write([Buffer.from(text)], at);
}

function read(disk: Disk, path: string): string {
  using file = disk.open(path);
  const bytes = new Uint8Array(file.sizeBytes());
  file.read(bytes, 0);
  return Buffer.from(bytes).toString();
}

/** A disk with a file that is durable under its name. */
function withFile(text: string): { sim: SimDisk; disk: Disk } {
  const sim = newDisk();
  const disk = sim.mount();
  disk.makeDirectory('d');
  write(disk, 'd/f', text);
  using file = disk.open('d/f');
  file.sync();
  disk.syncDirectory('d');
  return { sim, disk };
}

const lose = (sim: SimDisk, tear: Tear = 'all') => sim.powerLoss(new SeededRandom(7), tear);

test('a file without a durable name is gone, whatever was synced in it', () => {
  const { sim, disk } = withFile('kept');
  write(disk, 'd/g', 'nameless');
  using file = disk.open('d/g');
  file.sync();
  lose(sim);
  const after = sim.mount();
  assert.deepEqual(after.list('d'), ['f']);
  assert.equal(read(after, 'd/f'), 'kept');
});

test('a directory whose own name is not durable takes all that is in it with it', () => {
  const { sim, disk } = withFile('kept');
  disk.makeDirectory('d/e');
  write(disk, 'd/e/g', 'deep');
  disk.syncDirectory('d/e');
  lose(sim);
  assert.ok(!sim.mount().exists('d/e/g'));
});

test('a rename replaces as a whole, or not at all', () => {
  for (const [tear, expected] of [
    ['all', 'old'],
    ['none', 'new'],
  ] as const) {
    const { sim, disk } = withFile('old');
    write(disk, 'd/f.new', 'new');
    disk.open('d/f.new').sync();
    disk.rename('d/f.new', 'd/f');
    assert.equal(read(disk, 'd/f'), 'new');
    lose(sim, tear);
    assert.equal(read(sim.mount(), 'd/f'), expected);
  }
});

test('each unsynced sector is old or new after a power cut, never mixed; synced ones are as they were synced', () => {
  const steps = fc.array(
    fc.record({
      at: fc.integer({ min: 0, max: 3000 }),
      length: fc.integer({ min: 1, max: 2000 }),
      sync: fc.boolean(),
    }),
    { maxLength: 12 },
  );
  const tears = fc.constantFrom<Tear>('all', 'none', 'some', 'prefix');
  fc.assert(
    fc.property(steps, tears, fc.integer(), (writes, tear, seed) => {
      const { sim, disk } = withFile('x'.repeat(700));
      const file = disk.open('d/f');
      const whole = () => Buffer.from(read(disk, 'd/f'), 'latin1');
      let synced = whole();
      for (const [index, { at, length, sync }] of writes.entries()) {
        file.write([Buffer.alloc(length, 65 + index)], at);
        if (!sync) continue;
        file.sync();
        synced = whole();
      }
      const newest = whole();
      sim.powerLoss(new SeededRandom(seed), tear);
      const left = Buffer.from(read(sim.mount(), 'd/f'), 'latin1');
      assert.ok(left.length >= synced.length && left.length <= newest.length);
      if (tear === 'all') assert.deepEqual(left, synced);
      if (tear === 'none') assert.deepEqual(left, newest);
      for (let sector = 0; sector < left.length; sector += SECTOR) {
        const part = left.subarray(sector, sector + SECTOR);
        const old = Buffer.alloc(part.length);
        old.set(synced.subarray(sector, sector + part.length));
        assert.ok(part.equals(old) || part.equals(newest.subarray(sector, sector + part.length)));
      }
    }),
  );
});

test('a trap loses one write, or puts it elsewhere, and says nothing', () => {
  const { sim, disk } = withFile('a'.repeat(4 * SECTOR));
  sim.trap = 'lost';
  write(disk, 'd/f', 'b'.repeat(SECTOR));
  assert.equal(read(disk, 'd/f'), 'a'.repeat(4 * SECTOR));
  sim.trap = 'misdirected';
  write(disk, 'd/f', 'c'.repeat(SECTOR), 3 * SECTOR);
  assert.equal(read(disk, 'd/f').split('c').length - 1, SECTOR);
  write(disk, 'd/f', 'd');
  assert.equal(read(disk, 'd/f')[0], 'd');
});

test('power goes at a chosen operation: nothing of it and nothing later reaches the disk', () => {
  const { sim, disk } = withFile('old');
  sim.cutAfter = { operations: 1, run: () => lose(sim, 'none') };
  write(disk, 'd/f', 'one');
  assert.throws(() => disk.open('d/f').sync(), { code: 'SIMULATOR_POWER_LOSS' });
  assert.throws(() => write(disk, 'd/f', 'two'), { code: 'SIMULATOR_POWER_LOSS' });
  assert.equal(read(sim.mount(), 'd/f'), 'one');
});

test('damage at the end of the log is what a node cannot tell from a torn write', () => {
  const { sim, disk } = withFile('');
  for (const at of [0, 4096, 8192]) write(disk, 'd/1.log', 'x'.repeat(4096), at);
  assert.ok(sim.isNoticeable('d/1.log', 4095));
  assert.ok(!sim.isNoticeable('d/1.log', 4096));
  assert.ok(!sim.isNoticeable('d/1.log', 8192));
  sim.trap = 'lost';
  write(disk, 'd/1.log', 'x', 12_288);
  assert.ok(sim.doubtful);
  write(disk, 'd/1.log', 'x', 16_384);
  write(disk, 'd/1.log', 'x', 20_480);
  assert.ok(!sim.doubtful);
});

test('a full disk takes what overwrites and refuses what grows', () => {
  const { sim, disk } = withFile('old');
  sim.failing = 'full';
  write(disk, 'd/f', 'new');
  assert.throws(() => write(disk, 'd/f', 'longer'), { code: 'ENOSPC' });
  sim.failing = 'sync';
  assert.throws(() => disk.open('d/f').sync(), { code: 'EIO' });
});
