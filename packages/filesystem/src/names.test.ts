import assert from 'node:assert/strict';
import test from 'node:test';
import { AssertionError } from '@rokka/kernel';
import { nameFromUtf8, nameToUtf8 } from './names.ts';
import { errno, FILE, makeFile, makeScratch, OWNER, remount } from './testing/scratch.ts';
import { ROOT_INO } from './layout.ts';

void test('names are bytes: every byte but slash and zero survives a mount', () => {
  const scratch = makeScratch();
  const name = Buffer.from(
    Array.from({ length: 255 }, (_, i) => i + 1).filter((byte) => byte !== 0x2f),
  ).toString('latin1');
  const ino = makeFile(scratch.fs, name);
  assert.equal(remount(scratch).lookup(ROOT_INO, name).ino, ino);
});

void test('people read and write UTF-8', () => {
  assert.equal(nameToUtf8(nameFromUtf8('六花.txt')), '六花.txt');
  assert.equal(nameFromUtf8('六').length, 3);
  assert.equal(nameToUtf8('\xff'), '\ufffd');
});

void test('a text that was not converted is a mistake of ours', () => {
  const { fs } = makeScratch();
  assert.throws(() => fs.create(ROOT_INO, '六花', FILE), AssertionError);
});

void test('what cannot be a name or a target is refused', () => {
  const { fs } = makeScratch();
  for (const [name, code] of [
    ['', 'EINVAL'],
    ['a/b', 'EINVAL'],
    ['a\0', 'EINVAL'],
    ['.', 'EEXIST'],
    ['..', 'EEXIST'],
    ['x'.repeat(256), 'ENAMETOOLONG'],
  ] as const) {
    assert.throws(() => fs.create(ROOT_INO, name, FILE), errno(code), JSON.stringify(name));
  }
  assert.throws(() => fs.lookup(ROOT_INO, 'x'.repeat(256)), errno('ENAMETOOLONG'));
  assert.throws(() => fs.symlink(ROOT_INO, 'l', '', OWNER), errno('EINVAL'));
  assert.throws(() => fs.symlink(ROOT_INO, 'l', 'x'.repeat(4096), OWNER), errno('ENAMETOOLONG'));
  fs.create(ROOT_INO, 'x'.repeat(255), FILE);
});
