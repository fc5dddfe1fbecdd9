import assert from 'node:assert/strict';
import test from 'node:test';
import { PAGE_SIZE } from '@rokka/kernel';
import { fileTimeToMs } from './file-time.ts';
import { ROOT_INO } from './layout.ts';
import { makeFile, makeFolder, makeScratch, pageOf, remount } from './testing/scratch.ts';

void test('times of plain writes wait in memory for the next change or the next sync', () => {
  const scratch = makeScratch();
  const { fs, store, clock } = scratch;
  const ino = makeFile(fs, 'f', pageOf(1));
  const made = fileTimeToMs(fs.attributes(ino).mtime);
  clock.advanceTo(5000);
  fs.write(ino, 0, pageOf(2));
  assert.equal(fileTimeToMs(fs.attributes(ino).mtime), made + 5000);
  assert.equal(fileTimeToMs(remount(scratch).attributes(ino).mtime), made);
  const before = store.history.length;
  fs.sync(ino, { dataOnly: true });
  assert.equal(store.history.length, before);
  fs.sync(ino);
  assert.equal(store.history.length, before + 1);
  assert.equal(fileTimeToMs(remount(scratch).attributes(ino).mtime), made + 5000);
  clock.advanceTo(9000);
  fs.write(ino, 0, pageOf(3));
  fs.setAttributes(ino, { mode: 0o600 });
  assert.equal(fileTimeToMs(remount(scratch).attributes(ino).mtime), made + 9000);
});

void test('syncAll writes all times that wait, in one mini-transaction', () => {
  const scratch = makeScratch();
  const { fs, store, clock } = scratch;
  const inos = ['a', 'b', 'c'].map((name) => makeFile(fs, name, pageOf(1)));
  clock.advanceTo(3000);
  for (const ino of inos) fs.write(ino, 0, pageOf(2));
  const before = store.history.length;
  assert.equal(fs.syncAll(), before + 1);
  assert.equal(fs.syncAll(), before + 1);
  const next = remount(scratch);
  for (const ino of inos) assert.deepEqual(next.attributes(ino).mtime, fs.attributes(ino).mtime);
  clock.advanceTo(4000);
  fs.write(inos[0], 0, pageOf(3));
  assert.equal(fs.syncAll(), before + 3, 'the write, and its times');
  assert.deepEqual(remount(scratch).attributes(inos[0]).mtime, fs.attributes(inos[0]).mtime);
});

void test('times are set to the nanosecond, before 1970 too, and survive', () => {
  const scratch = makeScratch();
  const ino = makeFile(scratch.fs, 'f');
  const atime = { seconds: -5, nanoseconds: 999_999_999 };
  const mtime = { seconds: 4_000_000_000, nanoseconds: 1 };
  scratch.fs.setAttributes(ino, { atime, mtime });
  scratch.fs.syncAll();
  const found = remount(scratch).attributes(ino);
  assert.deepEqual([found.atime, found.mtime], [atime, mtime]);
});

void test('a directory changes with its entries', () => {
  const { fs, clock } = makeScratch();
  const folder = makeFolder(fs, 'd');
  clock.advanceTo(1000);
  makeFile(fs, 'f', undefined, folder);
  assert.deepEqual(fs.attributes(folder).mtime, fs.lookup(folder, 'f').mtime);
});

void test('fsync waits for all changes of an inode, fdatasync for what reading it back needs', () => {
  const { fs, store } = makeScratch();
  const ino = makeFile(fs, 'f');
  const other = makeFile(fs, 'g');
  const tickets = () => [fs.ticketOf(ino), fs.ticketOf(ino, { dataOnly: true })];
  const created = store.applied - 1;
  assert.deepEqual(tickets(), [created, created]);
  fs.write(ino, 0, pageOf(1));
  assert.deepEqual(tickets(), [store.applied, store.applied]);
  fs.write(ino, 0, pageOf(2));
  const data = store.applied;
  fs.setAttributes(ino, { mode: 0o600 });
  assert.deepEqual(tickets(), [store.applied, data]);
  fs.write(other, PAGE_SIZE, pageOf(1));
  assert.deepEqual(tickets(), [data + 1, data]);
  fs.rename(ROOT_INO, 'f', ROOT_INO, 'h');
  assert.deepEqual(tickets(), [store.applied, store.applied]);
  assert.equal(fs.ticketOf(ROOT_INO), store.applied);
  assert.equal(fs.sync(ino, { dataOnly: true }), store.applied);
});
