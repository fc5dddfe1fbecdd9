import assert from 'node:assert/strict';
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import { after, test } from 'node:test';
import { SeededRandom } from '@rokka/kernel';
import { OpenCounts } from './open-counts.ts';

const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'rokka-opens-'));
after(() => fs.rmSync(directory, { recursive: true }));

function openFile(name: string): { fd: number } & Disposable {
  const fd = fs.openSync(path.join(directory, name), 'w+');
  return { fd, [Symbol.dispose]: () => fs.closeSync(fd) };
}

test('whoever comes next finds how often each inode is open, whenever the one before ended', () => {
  using file = openFile('random');
  const random = new SeededRandom(1);
  const twin = new Map<number, number>();
  let counts = new OpenCounts(file.fd);
  counts.begin();
  for (let unique = 1n; unique < 20_000n; unique++) {
    const ino = 2 + random.below(300);
    const open = twin.get(ino) ?? 0;
    if (open > 0 && random.chance(0.5)) {
      counts.released(ino, unique);
      if (open === 1) twin.delete(ino);
      else twin.set(ino, open - 1);
    } else {
      counts.opened(ino, unique);
      twin.set(ino, open + 1);
    }
    if (!random.chance(0.01)) continue;
    counts = new OpenCounts(file.fd);
    assert.deepEqual(counts.inherit(), twin);
    assert.equal(counts.isCounted(unique), true, 'the last request is known');
    assert.equal(counts.isCounted(unique + 1n), false);
  }
  assert.ok(fs.fstatSync(file.fd).size < 4096 + 310 * 64, 'rows are used again');
});

test('the last request is known whichever row it is in, and to all that come after', () => {
  using file = openFile('last');
  const counts = new OpenCounts(file.fd);
  counts.begin();
  // A row that is used again: the one with the greatest number is not the one that changed last.
  for (const [unique, ino] of [5, 6, 7].entries()) counts.opened(ino, BigInt(unique + 1));
  for (const [unique, ino] of [6, 5, 7].entries()) counts.released(ino, BigInt(unique + 4));
  counts.opened(7, 7n);
  counts.released(7, 8n);
  const second = new OpenCounts(file.fd);
  assert.equal(second.inherit().size, 0);
  // What the second one counts itself says nothing of what it is sent again.
  second.opened(7, 9n);
  assert.deepEqual([second.isCounted(8n), second.isCounted(9n)], [true, false]);
  const third = new OpenCounts(file.fd);
  assert.deepEqual([...third.inherit()], [[7, 1]]);
  assert.deepEqual([third.isCounted(8n), third.isCounted(9n), third.isCounted(7n)], [true, true, false]);
});

test('where there is no room it says so once, and the mount goes on', () => {
  const full = fs.openSync('/dev/full', 'r+');
  let times = 0;
  const counts = new OpenCounts(full, () => times++);
  counts.opened(7, 1n);
  counts.opened(8, 2n);
  counts.released(7, 3n);
  fs.closeSync(full);
  assert.equal(times, 1);
});

test('begins with nothing, whatever the file holds', () => {
  using file = openFile('begin');
  const before = new OpenCounts(file.fd);
  before.begin();
  before.opened(7, 1n);
  const anew = new OpenCounts(file.fd);
  anew.begin();
  anew.opened(9, 2n);
  assert.deepEqual([...new OpenCounts(file.fd).inherit()], [[9, 1]]);
});

test('an inode that was released and is opened again is counted once', () => {
  using file = openFile('again');
  const counts = new OpenCounts(file.fd);
  counts.begin();
  counts.opened(7, 1n);
  counts.released(7, 2n);
  counts.opened(7, 3n);
  const next = new OpenCounts(file.fd);
  assert.deepEqual([...next.inherit()], [[7, 1]]);
  assert.deepEqual(
    [1n, 3n].map((unique) => next.isCounted(unique)),
    [false, true],
  );
});

test('without a file nothing is kept', () => {
  const counts = new OpenCounts();
  counts.begin();
  counts.opened(7, 1n);
  counts.released(7, 2n);
  assert.equal(counts.isCounted(2n), false);
});
