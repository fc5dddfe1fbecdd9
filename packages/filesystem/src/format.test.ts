/** The bytes on the volume, pinned: a program that reads these reads every volume of this version. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { PAGE_SIZE, type PageNumber } from '@rokka/kernel';
import { ROOT_INO, SLOT_BYTES } from './layout.ts';
import { makeFile, makeScratch, OWNER, pageOf } from './testing/scratch.ts';

const GOLDEN = {
  superblock: [
    '0: 524f4b4b412d4653010000007f6b8009',
    '16: 5e14d2b3268889cde2a398a722e0ab5d',
    '32: 020400000000000000f1536500000000',
    '48: 01000000000200000020000000000000',
    '64: 01000000000000000700000000000000',
  ],
  pageHeader: ['0: 524f4b4b412d4d440100000000000000', '16: 5e14d2b3268889cde2a398a722e0ab5d'],
  /** The root, a file of two blocks, its entry, a symbolic link, its entry. */
  slots: [
    [
      '0: 0100000066928f4e0100000000000000',
      '16: ed410000020000000000000000000000',
      '32: 000000000000000000f1536500000000',
      '48: 00f153650000000000f1536500000000',
    ],
    [
      '0: 0100000098dec6780200000000000000',
      '16: a481000001000000e8030000e8030000',
      '32: 004000000000000000f1536500000000',
      '48: 00f153650000000000f1536500000000',
      '80: 00000000000008000000000002000000',
    ],
    [
      '0: 02000500509deab40100000000000000',
      '16: 02000000000000000000000000000000',
      '32: 68656c6c6f0000000000000000000000',
    ],
    [
      '0: 01010600991af3ab0300000000000000',
      '16: ffa1000001000000e8030000e8030000',
      '32: 060000000000000000f1536500000000',
      '48: 00f153650000000000f1536500000000',
      '80: 74617267657400000000000000000000',
    ],
    [
      '0: 020004007be8979e0100000000000000',
      '16: 03000000000000000000000000000000',
      '32: 6c696e6b000000000000000000000000',
    ],
  ],
  /** The 28th extent of a file, and two blocks that were never written. */
  extents: [
    '0: 0300000009a85af70200000000000000',
    '32: 36000000000023000000000001000000',
    '48: 3a000000000024000000000002000080',
  ],
};

/** Non-zero bytes of a part of a page, in lines of 16 as `offset: bytes`. */
function dump(page: Uint8Array, from: number, length: number): string[] {
  const lines: string[] = [];
  for (let at = 0; at < length; at += 16) {
    const line = page.subarray(from + at, from + at + 16);
    if (line.some((byte) => byte !== 0)) lines.push(`${at}: ${Buffer.from(line).toString('hex')}`);
  }
  return lines;
}

void test('golden bytes: superblock, page header, inodes, entries', () => {
  const { fs, store } = makeScratch();
  makeFile(fs, 'hello', pageOf(0x5a, 2));
  fs.symlink(ROOT_INO, 'link', 'target', OWNER);
  const page = (number: number) => store.page(number as PageNumber);
  assert.deepEqual(dump(page(0), 0, PAGE_SIZE), GOLDEN.superblock);
  assert.deepEqual(dump(page(1), 0, SLOT_BYTES), GOLDEN.pageHeader);
  for (const [i, golden] of GOLDEN.slots.entries()) {
    assert.deepEqual(dump(page(1), (i + 1) * SLOT_BYTES, SLOT_BYTES), golden, `slot ${i + 1}`);
  }
});

void test('golden bytes: extents in a slot of their own', () => {
  const { fs, store } = makeScratch();
  const ino = makeFile(fs, 'f');
  // Every other block, and the last of them reserved only.
  for (let block = 0; block < 56; block += 2) fs.write(ino, block * PAGE_SIZE, Uint8Array.of(1));
  fs.allocate(ino, { offset: 58 * PAGE_SIZE, length: 2 * PAGE_SIZE });
  assert.deepEqual(dump(store.page(1 as PageNumber), 4 * SLOT_BYTES, SLOT_BYTES), GOLDEN.extents);
});
