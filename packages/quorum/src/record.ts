/**
 * The redo record: changed byte ranges of one page, the unit that has an LSN. What the writer encodes here is the same
 * bytes on the wire, in every log and in every repair, under one checksum made once by the writer.
 *
 * Layout, little-endian:
 *   0  u32 length        of the whole record
 *   4  u32 checksum      CRC-32 of bytes [8, length)
 *   8  u64 lsn
 *  16  u64 previousVolumeLsn   volume chain: the record before this one in the volume
 *  24  u64 previousPgLsn       segment chain: the record before this one in the protection group
 *  32  u64 previousPageLsn     block chain: the record before this one for the page (0 where unknown or none)
 *  40  u64 page
 *  48  u32 volumeEpoch   of the writer that made it
 *  52  u16 pg
 *  54  u8  flags         CPL 1, INIT 2
 *  55  u8  rangeCount    1 to 255
 *  56  rangeCount x (u16 offset, u16 length), then the bytes of the ranges, one after the other
 *
 * INIT: the page is all zeroes before the ranges are applied, whatever it held; so an INIT record ends a page's need
 * for anything older. CPL: the last record of a mini-transaction, where recovery may truncate (P17 §4.1).
 */
import {
  assert,
  clearBytes,
  copyBytes,
  crc32,
  PAGE_SIZE,
  type Epoch,
  type Lsn,
  type PageNumber,
  type PgIndex,
} from '@rokka/kernel';

export const RECORD_HEADER_BYTES = 56;
export const RECORD_RANGE_BYTES = 4;
export const RECORD_RANGES_MAX = 255;
/** One range of a whole page is the longest record that a diff of disjoint ranges can give, give or take its headers. */
export const RECORD_BYTES_MAX = RECORD_HEADER_BYTES + RECORD_RANGES_MAX * RECORD_RANGE_BYTES + PAGE_SIZE;
export const FLAG_CPL = 1;
export const FLAG_INIT = 2;

const TWO_32 = 2 ** 32;

export interface RecordHeader {
  length: number;
  checksum: number;
  lsn: Lsn;
  previousVolumeLsn: Lsn;
  previousPgLsn: Lsn;
  previousPageLsn: Lsn;
  page: PageNumber;
  volumeEpoch: Epoch;
  pg: PgIndex;
  flags: number;
  rangeCount: number;
}

/** What only the writer of the volume knows about a record; `sealRecord` fills it in. */
export interface RecordSeal {
  lsn: Lsn;
  previousVolumeLsn: Lsn;
  previousPgLsn: Lsn;
  previousPageLsn: Lsn;
  volumeEpoch: Epoch;
  pg: PgIndex;
  cpl: boolean;
}

export function blankRecordHeader(): RecordHeader {
  const zero = 0 as Lsn & PageNumber & Epoch & PgIndex;
  return {
    length: 0,
    checksum: 0,
    lsn: zero,
    previousVolumeLsn: zero,
    previousPgLsn: zero,
    previousPageLsn: zero,
    page: zero,
    volumeEpoch: zero,
    pg: zero,
    flags: 0,
    rangeCount: 0,
  };
}

/**
 * Reads the header at `at`. The caller has checked that RECORD_HEADER_BYTES are there.
 *
 * @param into is filled and answered; whoever reads many passes one again and again
 */
export function readRecordHeader(view: DataView, at: number, into = blankRecordHeader()): RecordHeader {
  into.length = view.getUint32(at, true);
  into.checksum = view.getUint32(at + 4, true);
  into.lsn = u64At(view, at + 8) as Lsn;
  into.previousVolumeLsn = u64At(view, at + 16) as Lsn;
  into.previousPgLsn = u64At(view, at + 24) as Lsn;
  into.previousPageLsn = u64At(view, at + 32) as Lsn;
  into.page = u64At(view, at + 40) as PageNumber;
  into.volumeEpoch = view.getUint32(at + 48, true) as Epoch;
  into.pg = view.getUint16(at + 52, true) as PgIndex;
  into.flags = view.getUint8(at + 54);
  into.rangeCount = view.getUint8(at + 55);
  return into;
}

function u64At(view: DataView, at: number): number {
  return view.getUint32(at, true) + view.getUint32(at + 4, true) * TWO_32;
}

/** Length of the record at `at`, or undefined where the bytes cannot be a whole record. Does not check the checksum. */
export function recordLengthAt(view: DataView, at: number): number | undefined {
  if (at + RECORD_HEADER_BYTES > view.byteLength) return undefined;
  const length = view.getUint32(at, true);
  const rangeCount = view.getUint8(at + 55);
  const least = RECORD_HEADER_BYTES + rangeCount * RECORD_RANGE_BYTES;
  if (rangeCount === 0 || length < least || length > RECORD_BYTES_MAX || at + length > view.byteLength)
    return undefined;
  return length;
}

/** Whether the record that fills `record` exactly is whole: lengths agree, ranges lie in the page, the checksum holds. */
export function recordIsSound(record: Uint8Array): boolean {
  const view = new DataView(record.buffer, record.byteOffset, record.byteLength);
  return recordLengthAt(view, 0) === record.length && recordIsSoundAt(record, view, 0);
}

/** The same of the record at `at` of `bytes`, where `recordLengthAt` has found one. @param view on the same bytes */
export function recordIsSoundAt(bytes: Uint8Array, view: DataView, at: number): boolean {
  const recordLength = view.getUint32(at, true);
  if (crc32(bytes.subarray(at + 8, at + recordLength)) !== view.getUint32(at + 4, true)) return false;
  const rangeCount = view.getUint8(at + 55);
  let data = RECORD_HEADER_BYTES + rangeCount * RECORD_RANGE_BYTES;
  for (let i = 0; i < rangeCount; i++) {
    const range = at + RECORD_HEADER_BYTES + i * RECORD_RANGE_BYTES;
    const length = view.getUint16(range + 2, true);
    if (view.getUint16(range, true) + length > PAGE_SIZE) return false;
    data += length;
  }
  return data === recordLength;
}

/** Writes the writer's fields and the checksum into an encoded record whose other fields are there already. */
export function sealRecord(record: Uint8Array, seal: RecordSeal): void {
  const view = new DataView(record.buffer, record.byteOffset, record.byteLength);
  const u64 = (offset: number, value: number) => {
    view.setUint32(offset, value % TWO_32, true);
    view.setUint32(offset + 4, Math.floor(value / TWO_32), true);
  };
  u64(8, seal.lsn);
  u64(16, seal.previousVolumeLsn);
  u64(24, seal.previousPgLsn);
  u64(32, seal.previousPageLsn);
  view.setUint32(48, seal.volumeEpoch, true);
  view.setUint16(52, seal.pg, true);
  const flags = view.getUint8(54);
  view.setUint8(54, seal.cpl ? flags | FLAG_CPL : flags & ~FLAG_CPL);
  view.setUint32(4, crc32(record.subarray(8)), true);
}

/** A record's part that the page cache knows: the page, whether it starts from zeroes, and its ranges. */
export function encodeRecord(
  into: Uint8Array,
  at: number,
  options: {
    page: PageNumber;
    init: boolean;
    ranges: readonly { offset: number; length: number }[];
    content: Uint8Array;
  },
): number {
  const { page, init, ranges, content } = options;
  assert(
    ranges.length > 0 && ranges.length <= RECORD_RANGES_MAX,
    () => `${ranges.length} ranges in a record`,
  );
  const view = new DataView(into.buffer, into.byteOffset, into.byteLength);
  // The memory may have held a record that was given up: what the writer seals later starts from blank fields.
  into.fill(0, at, at + RECORD_HEADER_BYTES);
  view.setUint32(at + 40, page % TWO_32, true);
  view.setUint32(at + 44, Math.floor(page / TWO_32), true);
  view.setUint8(at + 54, init ? FLAG_INIT : 0);
  view.setUint8(at + 55, ranges.length);
  let range = at + RECORD_HEADER_BYTES;
  let data = range + ranges.length * RECORD_RANGE_BYTES;
  for (const { offset, length } of ranges) {
    view.setUint16(range, offset, true);
    view.setUint16(range + 2, length, true);
    into.set(content.subarray(offset, offset + length), data);
    range += RECORD_RANGE_BYTES;
    data += length;
  }
  view.setUint32(at, data - at, true);
  return data - at;
}

/** Applies a record that is known to be sound to its page, in place. */
export function applyRecord(record: Uint8Array, page: Uint8Array): void {
  const view = new DataView(record.buffer, record.byteOffset, record.byteLength);
  if (view.getUint8(54) & FLAG_INIT) clearBytes(page);
  const rangeCount = view.getUint8(55);
  let data = RECORD_HEADER_BYTES + rangeCount * RECORD_RANGE_BYTES;
  for (let i = 0; i < rangeCount; i++) {
    const range = RECORD_HEADER_BYTES + i * RECORD_RANGE_BYTES;
    const length = view.getUint16(range + 2, true);
    copyBytes(page, record.subarray(data, data + length), view.getUint16(range, true));
    data += length;
  }
}
