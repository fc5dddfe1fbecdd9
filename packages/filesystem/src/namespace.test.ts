import assert from 'node:assert/strict';
import test from 'node:test';
import { checkFilesystem } from './checker.ts';
import { ROOT_INO } from './layout.ts';
import {
  assertBytes,
  contentOf,
  errno,
  FILE,
  FOLDER,
  makeFile,
  makeFolder,
  makeScratch,
  OWNER,
  pageOf,
  remount,
} from './testing/scratch.ts';

void test('a new file has its owner, its permissions and one name, and is there after a mount', () => {
  const scratch = makeScratch();
  const made = scratch.fs.create(ROOT_INO, 'f', { mode: 0o640, uid: 7, gid: 8 });
  for (const found of [made, remount(scratch).lookup(ROOT_INO, 'f')]) {
    const { kind, mode, nlink, uid, gid, sizeBytes } = found;
    const expected = { kind: 'file', mode: 0o100640, nlink: 1, uid: 7, gid: 8, sizeBytes: 0 };
    assert.deepEqual({ kind, mode, nlink, uid, gid, sizeBytes }, expected);
  }
  assert.throws(() => scratch.fs.create(ROOT_INO, 'f', FILE), errno('EEXIST'));
  assert.throws(() => scratch.fs.create(made.ino, 'g', FILE), errno('ENOTDIR'));
});

void test('devices, pipes and sockets are refused', () => {
  const { fs } = makeScratch();
  for (const kind of [0o010000, 0o020000, 0o060000, 0o140000]) {
    assert.throws(() => fs.makeNode(ROOT_INO, 'n', { ...FILE, mode: kind | 0o600 }), errno('EPERM'));
  }
  assert.equal(fs.makeNode(ROOT_INO, 'n', { ...FILE, mode: 0o100600 }).kind, 'file');
});

void test('a directory counts the `..` of its directories, and goes only when empty', () => {
  const { fs } = makeScratch();
  const folder = makeFolder(fs, 'd');
  makeFolder(fs, 'e', folder);
  assert.equal(fs.attributes(ROOT_INO).nlink, 3);
  assert.equal(fs.attributes(folder).nlink, 3);
  assert.throws(() => fs.removeDirectory(ROOT_INO, 'd'), errno('ENOTEMPTY'));
  assert.throws(() => fs.unlink(ROOT_INO, 'd'), errno('EISDIR'));
  fs.removeDirectory(folder, 'e');
  fs.removeDirectory(ROOT_INO, 'd');
  assert.equal(fs.attributes(ROOT_INO).nlink, 2);
  assert.throws(() => fs.attributes(folder), errno('ESTALE'));
  makeFile(fs, 'f');
  assert.throws(() => fs.removeDirectory(ROOT_INO, 'f'), errno('ENOTDIR'));
});

void test('set-group-id directories give their group on, directories below them the bit as well', () => {
  const { fs } = makeScratch();
  const { ino } = fs.makeDirectory(ROOT_INO, 'd', { mode: 0o2775, uid: 1, gid: 50 });
  assert.equal(fs.create(ino, 'f', { mode: 0o644, uid: 2, gid: 2 }).gid, 50);
  const below = fs.makeDirectory(ino, 'e', { mode: 0o755, uid: 2, gid: 2 });
  assert.deepEqual([below.gid, below.mode], [50, 0o042755]);
});

void test('a file has as many names as it is given, and goes with the last', () => {
  const { fs } = makeScratch();
  const ino = makeFile(fs, 'a', pageOf(1));
  assert.equal(fs.link(ino, ROOT_INO, 'b').nlink, 2);
  assert.throws(() => fs.link(ino, ROOT_INO, 'a'), errno('EEXIST'));
  assert.throws(() => fs.link(makeFolder(fs, 'd'), ROOT_INO, 'e'), errno('EPERM'));
  fs.unlink(ROOT_INO, 'a');
  assert.equal(fs.lookup(ROOT_INO, 'b').nlink, 1);
  assertBytes(contentOf(fs, ino), pageOf(1));
  const { blocksFree } = fs.statistics();
  fs.unlink(ROOT_INO, 'b');
  assert.equal(fs.statistics().blocksFree, blocksFree + 1);
  assert.throws(() => fs.link(ino, ROOT_INO, 'c'), errno('ESTALE'));
});

void test('a file without a name lives while it is open', () => {
  const scratch = makeScratch();
  const { fs, store } = scratch;
  const ino = makeFile(fs, 'f', pageOf(1));
  fs.open(ino);
  fs.open(ino);
  fs.unlink(ROOT_INO, 'f');
  assert.equal(fs.attributes(ino).nlink, 0);
  fs.write(ino, 8192, pageOf(2));
  assert.throws(() => fs.link(ino, ROOT_INO, 'again'), errno('ENOENT'));
  fs.release(ino);
  assert.equal(contentOf(fs, ino).length, 16384);
  assert.deepEqual(checkFilesystem(store), { ...checkFilesystem(store), problems: [], orphans: 1, files: 1 });
  fs.release(ino);
  assert.throws(() => fs.attributes(ino), errno('ESTALE'));
  assert.equal(checkFilesystem(store).orphans, 0);
});

void test('the next mount removes what was open without a name', () => {
  const scratch = makeScratch();
  const { fs, store } = scratch;
  const free = fs.statistics().blocksFree;
  for (const name of ['f', 'g']) {
    const ino = makeFile(fs, name, pageOf(1));
    fs.open(ino);
    fs.unlink(ROOT_INO, name);
  }
  const folder = makeFolder(fs, 'd');
  fs.open(folder);
  fs.removeDirectory(ROOT_INO, 'd');
  assert.throws(() => fs.create(folder, 'f', FILE), errno('ENOENT'));
  const next = remount(scratch);
  assert.equal(next.statistics().blocksFree, free);
  assert.deepEqual([checkFilesystem(store).orphans, checkFilesystem(store).problems.length], [0, 0]);
});

void test('forgetting ends all openings', () => {
  const { fs } = makeScratch();
  const ino = makeFile(fs, 'f');
  fs.open(ino);
  fs.unlink(ROOT_INO, 'f');
  fs.forget(ino);
  assert.throws(() => fs.attributes(ino), errno('ESTALE'));
  fs.forget(ino);
});

void test('targets of symbolic links, short and long, survive a mount', () => {
  const scratch = makeScratch();
  for (const length of [1, 432, 433, 4095]) {
    const target = '/'.repeat(length);
    const { ino, sizeBytes, mode } = scratch.fs.symlink(ROOT_INO, `l${length}`, target, OWNER);
    assert.deepEqual([sizeBytes, mode], [length, 0o120777]);
    assert.equal(scratch.fs.readlink(ino), target);
    assert.equal(remount(scratch).readlink(ino), target);
  }
  assert.throws(() => scratch.fs.readlink(ROOT_INO), errno('EINVAL'));
  assert.deepEqual(checkFilesystem(scratch.store).problems, []);
});

void test('inode numbers are never given again, not even after a mount', () => {
  const scratch = makeScratch();
  const seen = new Set<number>();
  let { fs } = scratch;
  for (let i = 0; i < 5; i++) {
    for (let j = 0; j < 300; j++) {
      const ino = makeFile(fs, 'f');
      assert.ok(!seen.has(ino));
      seen.add(ino);
      fs.unlink(ROOT_INO, 'f');
    }
    fs = remount(scratch);
  }
});

void test('a listing in parts has everything that stays exactly once', () => {
  const { fs } = makeScratch();
  for (let i = 0; i < 200; i++) makeFile(fs, `stays-${i}`);
  for (let i = 0; i < 200; i++) makeFile(fs, `goes-${i}`);
  const seen: string[] = [];
  let part = fs.list(ROOT_INO, 0, 7);
  for (let round = 0; part.length > 0; round++) {
    for (const { name } of part) seen.push(name);
    if (round < 40) {
      for (let i = 0; i < 5; i++) fs.unlink(ROOT_INO, `goes-${round * 5 + i}`);
      fs.makeDirectory(ROOT_INO, `comes-${round}`, FOLDER);
    }
    part = fs.list(ROOT_INO, part[part.length - 1].cookie, 7);
  }
  const stays = seen.filter((name) => name.startsWith('stays-'));
  assert.equal(stays.length, 200);
  assert.equal(new Set(seen).size, seen.length);
  assert.deepEqual(seen.slice(0, 2), ['.', '..']);
});

void test('a listing goes on where it was when the filesystem is opened anew in the middle of it', () => {
  const scratch = makeScratch();
  for (let i = 0; i < 60; i++) makeFile(scratch.fs, `goes-${i}`);
  for (let i = 0; i < 60; i++) makeFile(scratch.fs, `stays-${i}`);
  // What comes later has the slots of what has gone: the order of making is another one.
  for (let i = 0; i < 60; i += 2) scratch.fs.unlink(ROOT_INO, `goes-${i}`);
  for (let i = 60; i < 90; i++) makeFile(scratch.fs, `stays-${i}`);
  const seen: string[] = [];
  let fs = scratch.fs;
  for (let part = fs.list(ROOT_INO, 0, 7); part.length > 0;) {
    for (const { name } of part) seen.push(name);
    fs = remount(scratch);
    part = fs.list(ROOT_INO, part[part.length - 1].cookie, 7);
  }
  assert.equal(seen.filter((name) => name.startsWith('stays-')).length, 90);
  assert.equal(new Set(seen).size, seen.length);
});

void test('thousands of files: metadata grows in chunks and everything is found again', () => {
  const scratch = makeScratch({ pagesPerGroup: 1024 });
  const folder = makeFolder(scratch.fs, 'd');
  for (let i = 0; i < 3000; i++) makeFile(scratch.fs, `f${i}`, undefined, folder);
  const fs = remount(scratch);
  for (let i = 0; i < 3000; i++) assert.equal(fs.lookup(folder, `f${i}`).kind, 'file');
  assert.deepEqual(checkFilesystem(scratch.store).problems, []);
});
