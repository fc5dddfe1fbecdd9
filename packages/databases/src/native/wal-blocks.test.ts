import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { SEGMENT_BYTES, WalWriter, XLOG_SWITCH, type WalRecord } from './testing/wal-writer.ts';
import { segmentBytesOf, WAL_PAGE_BYTES, WalBlocks, type BlockReference } from './wal-blocks.ts';

function decode(writer: WalWriter, major: number): BlockReference[] {
  const blocks = new WalBlocks({ major, segmentBytes: SEGMENT_BYTES, redo: writer.start });
  const pages = writer.pages();
  const found: BlockReference[] = [];
  for (let at = blocks.next; at !== undefined; at = blocks.next) {
    const page = pages[(at - writer.firstPage) / WAL_PAGE_BYTES];
    if (!page) break;
    found.push(...blocks.push(page));
  }
  return found;
}

const reference = fc.record({
  tablespace: fc.constantFrom(1663, 1664),
  database: fc.nat(),
  relation: fc.nat(),
  fork: fc.nat({ max: 3 }),
  block: fc.nat(),
});
const block = fc.record({
  reference,
  sameRelation: fc.boolean(),
  willInit: fc.boolean(),
  bytes: fc.oneof(fc.constant(0), fc.nat({ max: 300 }), fc.constant(8_192)),
  image: fc.constantFrom(undefined, undefined, 'plain' as const, 'hole' as const, 'compressed' as const),
});
const record = fc
  .record({
    blocks: fc.array(block, { maxLength: 6 }),
    dataBytes: fc.oneof(fc.constant(0), fc.nat({ max: 200 }), fc.nat({ max: 30_000 })),
  })
  .map(({ blocks, dataBytes }): WalRecord => {
    const first = blocks[0]?.reference;
    const own = blocks.map((each, at) => {
      const sameRelation = at > 0 && each.sameRelation;
      return { ...each, sameRelation };
    });
    // One that names no relation of its own is of the relation before.
    let last = first;
    const named = own.map((each) => {
      const { fork, block: number } = each.reference;
      if (!each.sameRelation || !last) last = each.reference;
      return { ...each, reference: { ...last, fork, block: number } };
    });
    return { blocks: named, dataBytes };
  });

test('every block that redo reads is found, wherever its record is cut, and no other', () => {
  fc.assert(
    fc.property(
      fc.array(
        fc.oneof(
          { weight: 20, arbitrary: record },
          { weight: 1, arbitrary: fc.constant<WalRecord>({ ...XLOG_SWITCH, blocks: [], dataBytes: 0 }) },
        ),
        { maxLength: 60 },
      ),
      fc.nat({ max: 200 }).map((n) => 5 * SEGMENT_BYTES + 40 + n * 2_048),
      fc.constantFrom(14, 18),
      (records, start, major) => {
        const writer = new WalWriter(start % WAL_PAGE_BYTES < 40 ? start + 40 : start, major);
        for (const each of records) writer.add(each);
        const expected = records.flatMap(({ blocks }) =>
          blocks.filter(({ willInit, image }) => !willInit && !image).map((each) => each.reference),
        );
        assert.deepEqual(decode(writer, major), expected);
      },
    ),
  );
});

test('rubbish ends it, and is no error', () => {
  fc.assert(
    fc.property(
      fc.uint8Array({ minLength: WAL_PAGE_BYTES, maxLength: WAL_PAGE_BYTES }),
      fc.boolean(),
      (bytes, isHeaded) => {
        const page = Buffer.from(bytes);
        const blocks = new WalBlocks({ major: 18, segmentBytes: SEGMENT_BYTES, redo: 0 });
        if (isHeaded) page.writeBigUInt64LE(0n, 8);
        for (let pushes = 0; pushes < 3 && blocks.next !== undefined; pushes++) Array.from(blocks.push(page));
        segmentBytesOf(page);
      },
    ),
  );
});

test('the first page of a segment says how long segments are', () => {
  const writer = new WalWriter(3 * SEGMENT_BYTES, 18);
  writer.add({ blocks: [], dataBytes: 3 });
  const [page] = writer.pages();
  assert.equal(segmentBytesOf(page), SEGMENT_BYTES);
  page.writeUInt32LE(SEGMENT_BYTES + 1, 32);
  assert.equal(segmentBytesOf(page), undefined);
  assert.equal(segmentBytesOf(Buffer.alloc(WAL_PAGE_BYTES)), undefined);
});
