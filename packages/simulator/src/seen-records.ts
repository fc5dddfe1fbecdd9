/** Sealed records that lie back to back, as headers and views. */
import { assert } from '@rokka/kernel';
import { blankRecordHeader, FLAG_CPL, readRecordHeader, recordLengthAt } from '@rokka/quorum';
import type { SeenRecord } from './events.ts';

export function seenRecords(bytes: Uint8Array): SeenRecord[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const records: SeenRecord[] = [];
  const header = blankRecordHeader();
  for (let at = 0; at < bytes.length;) {
    const length = recordLengthAt(view, at);
    assert(length !== undefined, 'records lie back to back');
    const { lsn, previousVolumeLsn, previousPgLsn, page, pg, volumeEpoch, flags, checksum } =
      readRecordHeader(view, at, header);
    const cpl = (flags & FLAG_CPL) !== 0;
    const record = bytes.subarray(at, at + length);
    records.push({
      lsn,
      previousVolumeLsn,
      previousPgLsn,
      page,
      pg,
      volumeEpoch,
      cpl,
      checksum,
      bytes: record,
    });
    at += length;
  }
  return records;
}
