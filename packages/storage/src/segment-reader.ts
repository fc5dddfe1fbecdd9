/** What a segment tells of itself, and the records it gives to its peers: only what is durable. */
import type { Lsn } from '@rokka/kernel';
import { FLAG_CPL, readRecordHeader } from '@rokka/quorum';
import { storageErrors } from './errors.ts';
import { FLAG_VOLUME_DENSE } from './ingest.ts';
import type { LogReader } from './log-reader.ts';
import type { Fetch, SegmentState } from './messages.ts';
import type { IndexedRecord } from './record-index.ts';
import { lower, type Segment } from './segment.ts';

/** One answer stays well below the longest frame, whatever the caller asks for. */
const FETCH_BYTES_MAX = 4 * 1024 * 1024;

export function describeSegment(
  segment: Segment,
  reader: LogReader,
  options: { withTail: boolean },
): SegmentState {
  return {
    volume: segment.volume,
    pg: segment.pg,
    ...segment.epochs,
    kind: segment.kind,
    scl: segment.toldScl,
    vdl: segment.vdl,
    coalesced: segment.toldCoalesced,
    logFloor: segment.chain.base,
    ranges: [...segment.chain.truncation.known],
    tail: options.withTail && !segment.hydrating ? describeTail(segment, reader) : [],
    damaged: segment.damaged,
    unknown: segment.unknown,
    hydrating: segment.hydrating,
  };
}

/**
 * Records after `after` in chain order, at most to `through` and about `limitBytes`.
 * @throws STORAGE_LOG_DROPPED, STORAGE_LOG_DAMAGED
 */
export function readRecords(
  segment: Segment,
  reader: LogReader,
  request: Pick<Fetch, 'after' | 'through' | 'limitBytes'>,
): Uint8Array {
  const { index, base } = segment.chain;
  if (request.after < base) throw storageErrors.STORAGE_LOG_DROPPED([request.after, base]);
  const through = lower(request.through, segment.durableScl);
  const limitBytes = Math.min(request.limitBytes, FETCH_BYTES_MAX);
  const first = index.firstAbove(request.after);
  let end = first;
  let bytes = 0;
  while (end < index.end && index.lsnAt(end) <= through) {
    const length = index.lengthAt(end);
    if (end > first && bytes + length > limitBytes) break;
    bytes += length;
    end++;
  }
  const records = new Uint8Array(bytes);
  const place = newPlace();
  let at = 0;
  for (let ordinal = first; ordinal < end; ordinal++) {
    records.set(reader.record(index.read(ordinal, place)), at);
    at += place.length;
  }
  return records;
}

/** Records above the VDL that this node was told, up to its SCL. @throws STORAGE_LOG_DAMAGED */
function describeTail(segment: Segment, reader: LogReader): SegmentState['tail'] {
  const { index } = segment.chain;
  const tail: SegmentState['tail'] = [];
  const place = newPlace();
  for (let at = index.firstAbove(segment.vdl); at < index.end; at++) {
    index.read(at, place);
    if (place.lsn > segment.durableScl) break;
    const dense = (place.flags & FLAG_VOLUME_DENSE) !== 0;
    const previousVolumeLsn = dense ? ((place.lsn - 1) as Lsn) : previousOf(reader.record(place));
    tail.push({ lsn: place.lsn, previousVolumeLsn, cpl: (place.flags & FLAG_CPL) !== 0 });
  }
  return tail;
}

function previousOf(record: Uint8Array): Lsn {
  const view = new DataView(record.buffer, record.byteOffset, record.byteLength);
  return readRecordHeader(view, 0).previousVolumeLsn;
}

function newPlace(): IndexedRecord {
  return { lsn: 0 as Lsn, page: 0, file: 0, offset: 0, length: 0, flags: 0 };
}
