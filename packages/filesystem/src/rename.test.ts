import assert from 'node:assert/strict';
import test from 'node:test';
import { checkFilesystem } from './checker.ts';
import { ROOT_INO } from './layout.ts';
import { errno, makeFile, makeFolder, makeScratch, remount } from './testing/scratch.ts';

void test('replaces in one mini-transaction, and keeps what is still open', () => {
  const { fs, store } = makeScratch();
  const source = makeFile(fs, 'new');
  const target = makeFile(fs, 'old');
  fs.open(target);
  const before = store.history.length;
  fs.rename(ROOT_INO, 'new', ROOT_INO, 'old');
  assert.equal(store.history.length, before + 1);
  assert.equal(fs.lookup(ROOT_INO, 'old').ino, source);
  assert.throws(() => fs.lookup(ROOT_INO, 'new'), errno('ENOENT'));
  assert.equal(fs.attributes(target).nlink, 0);
  fs.release(target);
  assert.deepEqual(checkFilesystem(store).problems, []);
});

void test('two names of one file: nothing happens', () => {
  const { fs, store } = makeScratch();
  const ino = makeFile(fs, 'a');
  fs.link(ino, ROOT_INO, 'b');
  const before = store.history.length;
  fs.rename(ROOT_INO, 'a', ROOT_INO, 'b');
  assert.deepEqual([fs.attributes(ino).nlink, store.history.length], [2, before]);
});

void test('what may not replace what', () => {
  const { fs } = makeScratch();
  makeFile(fs, 'file');
  const full = makeFolder(fs, 'full');
  makeFile(fs, 'inside', undefined, full);
  makeFolder(fs, 'empty');
  const rename = (from: string, to: string) => () => fs.rename(ROOT_INO, from, ROOT_INO, to);
  assert.throws(rename('file', 'empty'), errno('EISDIR'));
  assert.throws(rename('empty', 'file'), errno('ENOTDIR'));
  assert.throws(rename('empty', 'full'), errno('ENOTEMPTY'));
  assert.throws(rename('none', 'file'), errno('ENOENT'));
  assert.throws(() => fs.rename(full, 'inside', ROOT_INO, 'full'), errno('ENOTEMPTY'));
  rename('full', 'empty')();
  assert.equal(fs.lookup(ROOT_INO, 'empty').ino, full);
});

void test('a directory cannot move into itself', () => {
  const { fs } = makeScratch();
  const a = makeFolder(fs, 'a');
  const b = makeFolder(fs, 'b', a);
  assert.throws(() => fs.rename(ROOT_INO, 'a', a, 'x'), errno('EINVAL'));
  assert.throws(() => fs.rename(ROOT_INO, 'a', b, 'x'), errno('EINVAL'));
  assert.throws(() => fs.rename(ROOT_INO, 'a', a, 'b', { exchange: true }), errno('EINVAL'));
  assert.throws(() => fs.rename(a, 'b', ROOT_INO, 'a', { exchange: true }), errno('EINVAL'));
});

void test('a directory that moves takes its `..` along', () => {
  const scratch = makeScratch();
  const { fs } = scratch;
  const a = makeFolder(fs, 'a');
  const b = makeFolder(fs, 'b');
  const c = makeFolder(fs, 'c', a);
  fs.rename(a, 'c', b, 'd');
  for (const each of [fs, remount(scratch)]) {
    assert.deepEqual([each.attributes(a).nlink, each.attributes(b).nlink], [2, 3]);
    assert.equal(each.list(c)[1].ino, b);
  }
});

void test('noReplace refuses, exchange swaps across directories', () => {
  const scratch = makeScratch();
  const { fs, store } = scratch;
  const a = makeFolder(fs, 'a');
  const inner = makeFolder(fs, 'inner', a);
  const file = makeFile(fs, 'file');
  assert.throws(() => fs.rename(a, 'inner', ROOT_INO, 'file', { noReplace: true }), errno('EEXIST'));
  assert.throws(() => fs.rename(a, 'inner', ROOT_INO, 'none', { exchange: true }), errno('ENOENT'));
  fs.rename(a, 'inner', ROOT_INO, 'file', { exchange: true });
  for (const each of [fs, remount(scratch)]) {
    assert.equal(each.lookup(a, 'inner').ino, file);
    assert.equal(each.lookup(ROOT_INO, 'file').ino, inner);
    assert.deepEqual([each.attributes(ROOT_INO).nlink, each.attributes(a).nlink], [4, 2]);
  }
  assert.deepEqual(checkFilesystem(store).problems, []);
});
