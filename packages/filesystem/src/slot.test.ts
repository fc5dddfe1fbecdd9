import assert from 'node:assert/strict';
import test from 'node:test';
import * as fc from 'fast-check';
import type { PageNumber } from '@rokka/kernel';
import {
  EXTENT_PAGES_MAX,
  INLINE_EXTENTS,
  INLINE_TARGET_BYTES,
  NAME_BYTES_MAX,
  OVERFLOW_EXTENTS,
  type Ino,
} from './layout.ts';
import { decodeSlot, encodeEntry, encodeExtents, encodeInode, type InodeRecord } from './slot.ts';

const u32 = fc.integer({ min: 0, max: 2 ** 32 - 1 });
const ino = fc.integer({ min: 1, max: 2 ** 48 - 1 }).map((value) => value as Ino);
const plain = { noNullPrototype: true } as const;
const time = fc.record(
  {
    seconds: fc.integer({ min: -(2 ** 50), max: 2 ** 50 }),
    nanoseconds: fc.integer({ min: 0, max: 999_999_999 }),
  },
  plain,
);
const bytes = (max: number) =>
  fc.uint8Array({ minLength: 1, maxLength: max }).map((value) => Buffer.from(value).toString('latin1'));
const mapping = fc.record(
  {
    block: fc.integer({ min: 0, max: 2 ** 34 }),
    page: fc.integer({ min: 0, max: 2 ** 40 }).map((value) => value as PageNumber),
    count: fc.integer({ min: 1, max: EXTENT_PAGES_MAX }),
    written: fc.boolean(),
  },
  plain,
);
const table = (length: number) =>
  fc.array(fc.option(mapping, { nil: undefined }), { minLength: length, maxLength: length });
const record = fc.record({
  ino,
  mode: u32,
  nlink: u32,
  uid: u32,
  gid: u32,
  sizeBytes: fc.integer({ min: 0, max: 2 ** 47 }),
  atime: time,
  mtime: time,
  ctime: time,
});

void test('what is written is read again', () => {
  fc.assert(
    fc.property(record, table(INLINE_EXTENTS), bytes(INLINE_TARGET_BYTES), (fields, extents, target) => {
      const file: InodeRecord = { ...fields, target: undefined };
      assert.deepEqual(decodeSlot(encodeInode(file, extents)), { type: 'inode', record: file, extents });
      const link: InodeRecord = { ...fields, target };
      assert.deepEqual(decodeSlot(encodeInode(link, [])), { type: 'inode', record: link, extents: [] });
    }),
  );
  fc.assert(
    fc.property(ino, ino, bytes(NAME_BYTES_MAX), table(OVERFLOW_EXTENTS), (parent, child, name, extents) => {
      const entry = { parent, child, name };
      assert.deepEqual(decodeSlot(encodeEntry(entry)), { type: 'entry', record: entry });
      assert.deepEqual(decodeSlot(encodeExtents(parent, extents)), { type: 'extents', ino: parent, extents });
    }),
  );
});

void test('every flipped bit is noticed, but for those that make the type 0, which the mount notices', () => {
  const slot = encodeEntry({ parent: 1 as Ino, child: 2 as Ino, name: 'a name' });
  for (let bit = 0; bit < slot.length * 8; bit++) {
    const flipped = slot.slice();
    flipped[bit >>> 3] ^= 1 << (bit & 7);
    assert.equal(decodeSlot(flipped).type, flipped[0] === 0 ? 'free' : 'damaged', `bit ${bit}`);
  }
});
