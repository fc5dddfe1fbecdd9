/**
 * Which blocks a recovery of PostgreSQL will read, from its log: the references in each record's header
 * (src/include/access/xlogrecord.h and xlog_internal.h, the same from version 9.5 on but for images). Pure.
 *
 * What comes out is advice. It ends where the log does, or where anything looks odd; PostgreSQL judges for itself.
 */
import { assert } from '@rokka/kernel';

export const WAL_PAGE_BYTES = 8192;

export interface BlockReference {
  readonly tablespace: number;
  readonly database: number;
  readonly relation: number;
  readonly fork: number;
  readonly block: number;
}

const SHORT_HEADER_BYTES = 24;
const LONG_HEADER_BYTES = 40;
const FIRST_IS_CONTINUED = 0x0001;
const HEADER_IS_LONG = 0x0002;
const RECORD_HEADER_BYTES = 24;
const RECORD_BYTES_MAX = 1 << 30;
/** Headers of all blocks and of the data: 33 blocks of at most 32 bytes. */
const HEADERS_BYTES_MAX = 2048;
const RELATION_BYTES = 12;

const BLOCK_ID_MAX = 32;
const ID_DATA_SHORT = 255;
const ID_DATA_LONG = 254;
const ID_ORIGIN = 253;
const ID_TOPLEVEL_TRANSACTION = 252;
const FORK_MASK = 0x0f;
const HAS_IMAGE = 0x10;
const WILL_INIT = 0x40;
const SAME_RELATION = 0x80;
const IMAGE_HAS_HOLE = 0x01;
const IMAGE_HEADER_BYTES_MAX = 7;

const RMGR_XLOG = 0;
const INFO_MASK = 0xf0;
const XLOG_SWITCH = 0x40;

/** Bytes of one segment file, from its first page; undefined where that is no first page. */
export function segmentBytesOf(page: Buffer): number | undefined {
  if (page.length < LONG_HEADER_BYTES || (page.readUInt16LE(2) & HEADER_IS_LONG) === 0) return undefined;
  const bytes = page.readUInt32LE(32);
  const isSound = bytes >= 2 ** 20 && bytes <= 2 ** 30 && Number.isInteger(Math.log2(bytes));
  return isSound && page.readUInt32LE(36) === WAL_PAGE_BYTES ? bytes : undefined;
}

export class WalBlocks {
  /** PostgreSQL's major version: images are described otherwise from 15 on. */
  readonly #major: number;
  readonly #segmentBytes: number;
  /** Where the next page begins. */
  #pageLsn: number;
  /** No record before it is looked at: where reading began, or goes on after a switch of segments. */
  #from: number;
  /** The beginning of a record that goes on in the next page, and how much of it is still to come. */
  #kept: Buffer = Buffer.alloc(0);
  #missing = 0;
  #ended = false;

  /** @param redo the LSN of a record, or of the page that it is the first of */
  constructor(options: { major: number; segmentBytes: number; redo: number }) {
    this.#major = options.major;
    this.#segmentBytes = options.segmentBytes;
    this.#from = options.redo;
    this.#pageLsn = options.redo - (options.redo % WAL_PAGE_BYTES);
  }

  /** The LSN of the page that comes next; undefined where the log has ended. */
  get next(): number | undefined {
    return this.#ended ? undefined : this.#pageLsn;
  }

  /** Takes the page at `next`; gives the blocks of the records that end in it, in their order. */
  *push(page: Buffer): Iterable<BlockReference> {
    assert(page.length === WAL_PAGE_BYTES, 'whole pages');
    const pageLsn = this.#pageLsn;
    this.#pageLsn += WAL_PAGE_BYTES;
    const info = page.readUInt16LE(2);
    if (Number(page.readBigUInt64LE(8)) !== pageLsn) {
      this.#ended = true;
      return;
    }
    let at = (info & HEADER_IS_LONG) === 0 ? SHORT_HEADER_BYTES : LONG_HEADER_BYTES;
    if (this.#missing > 0) {
      const taken = Math.min(this.#missing, WAL_PAGE_BYTES - at);
      if ((info & FIRST_IS_CONTINUED) === 0 || page.readUInt32LE(16) !== this.#missing) {
        this.#ended = true;
        return;
      }
      if (this.#kept.length < HEADERS_BYTES_MAX)
        this.#kept = Buffer.concat([this.#kept, page.subarray(at, at + taken)]);
      this.#missing -= taken;
      at = aligned(at + taken);
      if (this.#missing > 0) return;
      yield* this.#record(this.#kept, pageLsn + at);
    } else at = Math.max(at, this.#from - pageLsn);
    while (!this.#ended && this.#from <= pageLsn + at && at + 4 <= WAL_PAGE_BYTES) {
      const bytes = page.readUInt32LE(at);
      if (bytes < RECORD_HEADER_BYTES || bytes > RECORD_BYTES_MAX) {
        this.#ended = true;
        return;
      }
      const here = page.subarray(at, Math.min(at + bytes, WAL_PAGE_BYTES));
      at = aligned(at + bytes);
      if (here.length === bytes) yield* this.#record(here, pageLsn + at);
      else {
        this.#kept = Buffer.from(here);
        this.#missing = bytes - here.length;
      }
    }
  }

  /** @param record its beginning, with all of its headers @param end where the next one begins */
  *#record(record: Buffer, end: number): Iterable<BlockReference> {
    const isSwitch = record[17] === RMGR_XLOG && (record[16] & INFO_MASK) === XLOG_SWITCH;
    // The rest of the segment is empty.
    if (isSwitch) this.#from = this.#pageLsn = Math.ceil(end / this.#segmentBytes) * this.#segmentBytes;
    let relation: Omit<BlockReference, 'fork' | 'block'> | undefined;
    // What the headers announce follows all of them, images and data; where only that is left they are over.
    const totalBytes = record.readUInt32LE(0);
    let announcedBytes = 0;
    for (let at = RECORD_HEADER_BYTES; at + announcedBytes < totalBytes && at + 4 <= record.length;) {
      const id = record[at++];
      if (id === ID_ORIGIN) at += 2;
      else if (id === ID_TOPLEVEL_TRANSACTION) at += 4;
      else if (id > BLOCK_ID_MAX) {
        // The data's length comes after all blocks.
        if (id !== ID_DATA_SHORT && id !== ID_DATA_LONG) this.#ended = true;
        return;
      } else {
        const flags = record[at++];
        announcedBytes += record.readUInt16LE(at);
        at += 2;
        if ((flags & HAS_IMAGE) !== 0) {
          if (at + IMAGE_HEADER_BYTES_MAX > record.length) return;
          announcedBytes += record.readUInt16LE(at);
          at += this.#imageHeaderBytes(record[at + 4]);
        }
        if ((flags & SAME_RELATION) === 0) {
          if (at + RELATION_BYTES > record.length) {
            this.#ended = true;
            return;
          }
          relation = {
            tablespace: record.readUInt32LE(at),
            database: record.readUInt32LE(at + 4),
            relation: record.readUInt32LE(at + 8),
          };
          at += RELATION_BYTES;
        }
        if (relation === undefined || at + 4 > record.length) {
          this.#ended = true;
          return;
        }
        // A page that is made anew, or comes as an image, need not be read.
        if ((flags & (HAS_IMAGE | WILL_INIT)) === 0)
          yield { ...relation, fork: flags & FORK_MASK, block: record.readUInt32LE(at) };
        at += 4;
      }
    }
  }

  #imageHeaderBytes(info: number): number {
    const isCompressed = (info & (this.#major >= 15 ? 0x1c : 0x02)) !== 0;
    return isCompressed && (info & IMAGE_HAS_HOLE) !== 0 ? 7 : 5;
  }
}

function aligned(at: number): number {
  return (at + 7) & ~7;
}
