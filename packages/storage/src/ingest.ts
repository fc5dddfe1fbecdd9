/**
 * The one way in for records, whoever brings them: the writer, a peer, or the log at replay. Every record is checked here
 * before any of its message is taken; truncation ranges and duplicates are the chain's business and cost nothing else.
 */
import { assert, type Lsn } from '@rokka/kernel';
import {
  blankRecordHeader,
  readRecordHeader,
  recordIsSoundAt,
  recordLengthAt,
  type RecordHeader,
} from '@rokka/quorum';
import { storageErrors } from './errors.ts';
import type { IndexedRecord } from './record-index.ts';
import type { Segment } from './segment.ts';

/** Our own bit beside the record's flags: its predecessor in the volume is the LSN before it. */
export const FLAG_VOLUME_DENSE = 0x80;

/** Where records are laid down: the log; at replay, the file that they lie in already. */
export interface IngestTarget {
  /** The file of the place that `reserve` gave last. */
  readonly file: number;
  /** @param at where the record stands in the bytes that are taken in */
  reserve(segment: number, vdl: Lsn, length: number, at: number): number;
  put(record: Uint8Array, lsn: Lsn): void;
}

/**
 * Takes in sealed records that lie back to back.
 *
 * @returns how many were new
 * @throws STORAGE_BAD_RECORD, before anything was taken; STORAGE_RANGE_MISSED, when the others were taken; and what the
 * target throws, when those before were taken
 */
export function ingestRecords(segment: Segment, records: Uint8Array, target: IngestTarget): number {
  const view = new DataView(records.buffer, records.byteOffset, records.byteLength);
  const header = blankRecordHeader();
  demandSoundRecords(segment, { records, view, header });
  const { chain } = segment;
  const place: IndexedRecord = { lsn: 0 as Lsn, page: 0, file: 0, offset: 0, length: 0, flags: 0 };
  let taken = 0;
  let contradicting: { lsn: Lsn; previousPgLsn: Lsn } | undefined;
  for (let at = 0; at < records.length; at += place.length) {
    const { lsn, previousPgLsn } = readRecordHeader(view, at, header);
    place.length = header.length;
    if (lsn <= chain.scl) continue;
    place.lsn = lsn;
    place.page = header.page - segment.firstPage;
    place.flags = header.flags | (header.previousVolumeLsn === lsn - 1 ? FLAG_VOLUME_DENSE : 0);
    place.offset = target.reserve(segment.id, segment.vdl, header.length, at);
    place.file = target.file;
    const acceptance = chain.accept(place, previousPgLsn);
    if (acceptance === 'appended' || acceptance === 'held') {
      target.put(records.subarray(at, at + header.length), lsn);
      taken++;
    } else if (acceptance === 'contradicts') {
      contradicting ??= { lsn, previousPgLsn };
    }
  }
  if (contradicting)
    throw storageErrors.STORAGE_RANGE_MISSED([contradicting.lsn, contradicting.previousPgLsn, chain.scl], {
      detail: { ...segment.epochs },
    });
  return taken;
}

/** @param of.header memory for each header */
function demandSoundRecords(
  segment: Segment,
  of: { records: Uint8Array; view: DataView; header: RecordHeader },
): void {
  const { records, view, header } = of;
  const { pg, firstPage, pageCount, volumeEpoch } = segment;
  for (let at = 0; at < records.length;) {
    const length = recordLengthAt(view, at);
    if (length === undefined || !recordIsSoundAt(records, view, at))
      throw storageErrors.STORAGE_BAD_RECORD([at]);
    readRecordHeader(view, at, header);
    const fits =
      header.pg === pg &&
      header.volumeEpoch <= volumeEpoch &&
      header.page >= firstPage &&
      header.page < firstPage + pageCount &&
      Number.isSafeInteger(header.lsn) &&
      header.lsn > header.previousPgLsn;
    if (!fits) throw storageErrors.STORAGE_BAD_RECORD([at]);
    at += length;
    assert(at <= records.length, 'a record reaches past its message');
  }
}
