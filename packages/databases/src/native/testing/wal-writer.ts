/** Writes a write-ahead log as PostgreSQL lays it out in pages: for tests of what reads it. */
import { WAL_PAGE_BYTES, type BlockReference } from '../wal-blocks.ts';

export const SEGMENT_BYTES = 2 ** 20;
export const XLOG_SWITCH = { info: 0x40, rmgr: 0 };

export interface Block {
  readonly reference: BlockReference;
  readonly sameRelation?: boolean;
  readonly willInit?: boolean;
  /** With a hole, compressed with a hole, or neither. */
  readonly image?: 'plain' | 'hole' | 'compressed' | undefined;
  /** Of images, and of the block's own data. */
  readonly bytes?: number;
}

export interface WalRecord {
  readonly blocks: readonly Block[];
  readonly dataBytes: number;
  readonly info?: number;
  readonly rmgr?: number;
}

export class WalWriter {
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

  add(record: WalRecord): void {
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

  #encode({ blocks, dataBytes, info = 0, rmgr = 10 }: WalRecord): Buffer {
    const parts: Buffer[] = [];
    const payloads: Buffer[] = [];
    for (const [id, { reference, sameRelation, willInit, image, bytes = 0 }] of blocks.entries()) {
      const { tablespace, database, relation, fork, block } = reference;
      const flags = fork | (image ? 0x10 : 0) | (willInit ? 0x40 : 0) | (sameRelation ? 0x80 : 0);
      const size = [bytes & 0xff, bytes >> 8];
      // Looks like headers to whoever reads on.
      const payload = Buffer.alloc(bytes, Buffer.from([0, 0, 4, 0]));
      parts.push(Buffer.from([id, flags, ...size]));
      payloads.push(...(image ? [payload, payload] : [payload]));
      if (image) {
        const compressed = this.#major >= 15 ? 0x04 : 0x02;
        const bits = { plain: 0, hole: 0x01, compressed: 0x01 | compressed }[image];
        parts.push(Buffer.from([...size, 0, 0, bits, ...(image === 'compressed' ? [7, 0] : [])]));
      }
      const numbers = sameRelation ? [block] : [tablespace, database, relation, block];
      parts.push(Buffer.from(Uint32Array.from(numbers).buffer));
    }
    if (dataBytes > 255) parts.push(Buffer.from([254, 0, 0, 0, 0]));
    else if (dataBytes > 0) parts.push(Buffer.from([255, dataBytes]));
    parts.push(...payloads, Buffer.alloc(dataBytes, 7));
    const head = Buffer.alloc(24);
    const record = Buffer.concat([head, ...parts]);
    record.writeUInt32LE(record.length, 0);
    record.set([info, rmgr], 16);
    return record;
  }
}
