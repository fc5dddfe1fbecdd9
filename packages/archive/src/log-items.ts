/**
 * The log of one layer as items. Behind the records of a page that changes all the time comes their sum: the bytes that they
 * leave in the page, each once, with the LSN of the last of them. Who reads the page above them needs no other of its records from this
 * layer. A page that holds what files are named and how long they are has a hundred thousand of them after a large load.
 *
 * What a sum is follows from the records alone, so two archivers that write the same layer write the same object.
 */
import { asLsn, type Lsn, must, PAGE_SIZE } from '@rokka/kernel';
import {
  applyRecord,
  encodeRecord,
  FLAG_INIT,
  readRecordHeader,
  RECORD_BYTES_MAX,
  RECORD_HEADER_BYTES,
  RECORD_RANGE_BYTES,
  RECORD_RANGES_MAX,
  type RecordHeader,
  recordIsSound,
  recordLengthAt,
  sealRecord,
} from '@rokka/quorum';
import { archiveErrors } from './errors.ts';
import type { LayerItem } from './layer-object.ts';

/** A sum is kept where it has no more than this part of the bytes of what it stands for: so a layer grows by a quarter at most. */
const SUM_PARTS_MIN = 4;

interface LogRecord {
  readonly header: RecordHeader;
  readonly bytes: Uint8Array;
}

interface ByteRange {
  readonly offset: number;
  readonly length: number;
}

/** Of what a storage node gave. @throws ARCHIVE_BAD_LOG */
function* recordsIn(chunk: Uint8Array): Iterable<LogRecord> {
  const view = new DataView(chunk.buffer, chunk.byteOffset, chunk.byteLength);
  for (let at = 0; at < chunk.length;) {
    const length = recordLengthAt(view, at);
    if (length === undefined)
      throw archiveErrors.ARCHIVE_BAD_LOG(['a storage node sent a record that is none']);
    yield { header: readRecordHeader(view, at), bytes: chunk.subarray(at, at + length) };
    at += length;
  }
}

/** The records, and the sums of those pages that have one. @throws ARCHIVE_BAD_LOG */
export function logItems(chunks: readonly Uint8Array[]): LayerItem[] {
  const records = chunks.flatMap((chunk) => [...recordsIn(chunk)]);
  const items = records.map(({ header, bytes }) => ({
    page: header.page,
    lsn: header.lsn,
    whole: (header.flags & FLAG_INIT) !== 0,
    parts: [bytes],
  }));
  const byPage = [...Map.groupBy(records, ({ header }) => header.page).values()];
  // Behind the record whose LSN it shares: what is sorted later stays in this order.
  return [...items, ...byPage.flatMap((ofPage) => sumOf(ofPage) ?? [])];
}

/** Undefined where there is none. @throws ARCHIVE_BAD_LOG */
export function lastLsnIn(chunk: Uint8Array): Lsn | undefined {
  let last: Lsn | undefined;
  for (const { header } of recordsIn(chunk)) last = header.lsn;
  return last;
}

/** @param records of one page, in their order @throws ARCHIVE_BAD_LOG */
function sumOf(records: readonly LogRecord[]): LayerItem | undefined {
  const bytes = records.reduce((sum, record) => sum + record.bytes.length, 0);
  const first = Math.max(0, records.findLastIndex(isInit));
  const needed = records.slice(first);
  const ranges = records.length < SUM_PARTS_MIN ? [] : rangesOf(needed);
  const content = new Uint8Array(PAGE_SIZE);
  if (ranges.length === 0 || sumBytes(ranges) * SUM_PARTS_MIN > bytes) return undefined;
  for (const { header, bytes: record } of needed) {
    // A sum of records that have rotted would hide that they have.
    if (!recordIsSound(record))
      throw archiveErrors.ARCHIVE_BAD_LOG([`the record at LSN ${header.lsn} has another checksum`]);
    applyRecord(record, content);
  }
  const { page, lsn } = must(records.at(-1)).header;
  const whole = isInit(must(needed[0]));
  return { page, lsn, whole, parts: sealedSum({ last: must(records.at(-1)), whole, ranges, content }) };
}

/** As many records as the ranges need. */
function sealedSum(of: {
  last: LogRecord;
  whole: boolean;
  ranges: readonly ByteRange[];
  content: Uint8Array;
}): Uint8Array[] {
  const { whole, ranges, content } = of;
  const { page, lsn, pg, volumeEpoch } = of.last.header;
  const none = asLsn(0);
  const links = { previousVolumeLsn: none, previousPgLsn: none, previousPageLsn: none };
  const records: Uint8Array[] = [];
  for (let at = 0; at < ranges.length; at += RECORD_RANGES_MAX) {
    const room = new Uint8Array(RECORD_BYTES_MAX);
    const some = ranges.slice(at, at + RECORD_RANGES_MAX);
    const init = whole && at === 0;
    const record = room.subarray(0, encodeRecord(room, 0, { page, init, ranges: some, content }));
    sealRecord(record, { lsn, ...links, volumeEpoch, pg, cpl: false });
    records.push(record);
  }
  return records;
}

/** What the records change, in order; each byte is in one of the ranges at most. */
function rangesOf(records: readonly LogRecord[]): ByteRange[] {
  const changed = new Uint8Array(PAGE_SIZE);
  for (const { header, bytes } of records) {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    for (let range = 0; range < header.rangeCount; range++) {
      const at = RECORD_HEADER_BYTES + range * RECORD_RANGE_BYTES;
      const offset = view.getUint16(at, true);
      changed.fill(1, offset, offset + view.getUint16(at + 2, true));
    }
  }
  const ranges: ByteRange[] = [];
  for (let from = changed.indexOf(1); from >= 0;) {
    const equal = changed.indexOf(0, from);
    const end = equal < 0 ? PAGE_SIZE : equal;
    ranges.push({ offset: from, length: end - from });
    from = changed.indexOf(1, end);
  }
  return ranges;
}

function sumBytes(ranges: readonly ByteRange[]): number {
  const bytes = ranges.reduce((sum, { length }) => sum + RECORD_RANGE_BYTES + length, 0);
  return bytes + Math.ceil(ranges.length / RECORD_RANGES_MAX) * RECORD_HEADER_BYTES;
}

function isInit({ header }: LogRecord): boolean {
  return (header.flags & FLAG_INIT) !== 0;
}
