import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { segmentBytesOf, WAL_PAGE_BYTES, WalBlocks, type BlockReference } from './wal-blocks.ts';

const MIB = 2 ** 20;
const SEGMENT_BYTES = MIB;
const XLOG_SWITCH = { info: 0x40, rmgr: 0 };

interface Block {
  readonly reference: BlockReference;
  readonly sameRelation?: boolean;
  readonly willInit?: boolean;
  /** With a hole, compressed with a hole, or neither. */
  readonly image?: 'plain' | 'hole' | 'compressed' | undefined;
}

interface Record {
  readonly blocks: readonly Block[];
  readonly dataBytes: number;
  readonly info?: number;
  readonly rmgr?: number;
}

/** Writes records as PostgreSQL lays them out in pages. */
class LogWriter {
  readonly start: number;
  readonly #major: number;
  #bytes: Buffer[] = [];
  #at: number;

  constructor(start: number, major: number) {
    this.start = start;
    this.#major = major;
    this.#at = start;
  }

  /** The first page begins here. */
  get firstPage(): number {
    return this.start - (this.start % WAL_PAGE_BYTES);
  }

  add(record: Record): void {
    this.#put(this.#encode(record));
    if (record.rmgr === XLOG_SWITCH.rmgr && record.info === XLOG_SWITCH.info) {
      const end = Math.ceil(this.#at / SEGMENT_BYTES) * SEGMENT_BYTES;
      this.#bytes.push(Buffer.alloc(end - this.#at));
      this.#at = end;
    }
  }

  pages(): Buffer[] {
    const log = Buffer.concat([Buffer.alloc(this.start - this.firstPage), ...this.#bytes]);
    const whole = Buffer.concat([log, Buffer.alloc(2 * WAL_PAGE_BYTES - (log.length % WAL_PAGE_BYTES))]);
    const pages: Buffer[] = [];
    for (let at = 0; at < whole.length; at += WAL_PAGE_BYTES)
      pages.push(Buffer.from(whole.subarray(at, at + WAL_PAGE_BYTES)));
    // Reading begins in the middle of a page that has its header all the same.
    const headless = this.start % WAL_PAGE_BYTES !== 0;
    if (headless) this.#header(this.firstPage, 0).copy(pages[0]);
    return pages;
  }

  #put(bytes: Buffer): void {
    let left = bytes;
    for (let isFirst = true; left.length > 0; isFirst = false) {
      if (this.#at % WAL_PAGE_BYTES === 0) this.#append(this.#header(this.#at, isFirst ? 0 : left.length));
      const room = WAL_PAGE_BYTES - (this.#at % WAL_PAGE_BYTES);
      this.#append(left.subarray(0, room));
      left = left.subarray(room);
    }
    this.#append(Buffer.alloc((8 - (this.#at % 8)) % 8));
  }

  #append(bytes: Buffer): void {
    this.#bytes.push(Buffer.from(bytes));
    this.#at += bytes.length;
  }

  #header(at: number, remaining: number): Buffer {
    const isLong = at % SEGMENT_BYTES === 0;
    const header = Buffer.alloc(isLong ? 40 : 24);
    header.writeUInt16LE(0xd118, 0);
    header.writeUInt16LE((isLong ? 2 : 0) | (remaining > 0 ? 1 : 0), 2);
    header.writeUInt32LE(1, 4);
    header.writeBigUInt64LE(BigInt(at), 8);
    header.writeUInt32LE(remaining, 16);
    if (isLong) {
      header.writeUInt32LE(SEGMENT_BYTES, 32);
      header.writeUInt32LE(WAL_PAGE_BYTES, 36);
    }
    return header;
  }

  #encode({ blocks, dataBytes, info = 0, rmgr = 10 }: Record): Buffer {
    const parts: Buffer[] = [];
    for (const [id, { reference, sameRelation, willInit, image }] of blocks.entries()) {
      const { tablespace, database, relation, fork, block } = reference;
      const flags = fork | (image ? 0x10 : 0) | (willInit ? 0x40 : 0) | (sameRelation ? 0x80 : 0);
      parts.push(Buffer.from([id, flags, 0, 0]));
      if (image) {
        const compressed = this.#major >= 15 ? 0x04 : 0x02;
        const bits = { plain: 0, hole: 0x01, compressed: 0x01 | compressed }[image];
        parts.push(Buffer.from([0, 0, 0, 0, bits, ...(image === 'compressed' ? [7, 0] : [])]));
      }
      const numbers = sameRelation ? [block] : [tablespace, database, relation, block];
      parts.push(Buffer.from(Uint32Array.from(numbers).buffer));
    }
    if (dataBytes > 0) parts.push(Buffer.from([255, 0]));
    parts.push(Buffer.alloc(dataBytes, 7));
    const head = Buffer.alloc(24);
    const record = Buffer.concat([head, ...parts]);
    record.writeUInt32LE(record.length, 0);
    record.set([info, rmgr], 16);
    return record;
  }
}

function decode(writer: LogWriter, major: number): BlockReference[] {
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
  image: fc.constantFrom(undefined, undefined, 'plain' as const, 'hole' as const, 'compressed' as const),
});
const record = fc
  .record({
    blocks: fc.array(block, { maxLength: 6 }),
    dataBytes: fc.oneof(fc.nat({ max: 200 }), fc.nat({ max: 30_000 })),
  })
  .map(({ blocks, dataBytes }): Record => {
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
          { weight: 1, arbitrary: fc.constant<Record>({ ...XLOG_SWITCH, blocks: [], dataBytes: 0 }) },
        ),
        { maxLength: 60 },
      ),
      fc.nat({ max: 200 }).map((n) => 5 * SEGMENT_BYTES + 40 + n * 2_048),
      fc.constantFrom(14, 18),
      (records, start, major) => {
        const writer = new LogWriter(start % WAL_PAGE_BYTES < 40 ? start + 40 : start, major);
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
  const writer = new LogWriter(3 * SEGMENT_BYTES, 18);
  writer.add({ blocks: [], dataBytes: 3 });
  const [page] = writer.pages();
  assert.equal(segmentBytesOf(page), SEGMENT_BYTES);
  page.writeUInt32LE(SEGMENT_BYTES + 1, 32);
  assert.equal(segmentBytesOf(page), undefined);
  assert.equal(segmentBytesOf(Buffer.alloc(WAL_PAGE_BYTES)), undefined);
});
