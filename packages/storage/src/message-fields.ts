/**
 * The fields that messages and the log's control entries are made of. Reading is strict: a value out of its type's range is
 * STORAGE_BAD_MESSAGE, bytes that end early are KERNEL_SHORT_BYTES.
 */
import { ByteReader, type ByteWriter, type CodedError, type NodeId, type VolumeId } from '@rokka/kernel';
import type { Epoch, Lsn, PgIndex, Zone } from '@rokka/kernel';
import { storageErrors } from './errors.ts';
import type * as m from './messages.ts';

type Failure = Pick<CodedError, 'code' | 'message' | 'detail'>;
type Head = m.SegmentAddress & m.Epochs;

const TAIL_CPL = 1;
/** The record follows the one before it in this list. */
const TAIL_DENSE = 2;
/** The record follows its predecessor in the volume. */
const TAIL_VOLUME_DENSE = 4;

export function writeHead(w: ByteWriter, head: Head): ByteWriter {
  return writeHeadIn(w.string(head.volume), head);
}

/** Of a segment of a volume that was named before. */
export function writeHeadIn(w: ByteWriter, { pg, volumeEpoch, membershipEpoch }: Head): ByteWriter {
  return w.u16(pg).u32(volumeEpoch).u32(membershipEpoch);
}

export function writeKind(w: ByteWriter, kind: m.SegmentKind): ByteWriter {
  return w.u8(kind === 'full' ? 1 : 2);
}

export function writeMembers(w: ByteWriter, members: readonly m.MemberAddress[]): ByteWriter {
  w.u16(members.length);
  for (const { node, address, zone, kind } of members)
    writeKind(w.string(node).string(address).string(zone), kind);
  return w;
}

export function writeRange(w: ByteWriter, range: m.TruncationRange): ByteWriter {
  return w.u32(range.volumeEpoch).u64(range.after).u64(range.through);
}

export function writeRanges(w: ByteWriter, ranges: readonly m.TruncationRange[]): ByteWriter {
  w.u32(ranges.length);
  for (const range of ranges) writeRange(w, range);
  return w;
}

/** Nearly every entry is dense, so it costs one byte: a fence's answer stays small even at the allocation limit. */
export function writeTail(w: ByteWriter, tail: m.SegmentState['tail']): void {
  w.u32(tail.length);
  let before = 0;
  for (const { lsn, previousVolumeLsn, cpl } of tail) {
    const dense = lsn === before + 1;
    const volumeDense = previousVolumeLsn === lsn - 1;
    w.u8((cpl ? TAIL_CPL : 0) | (dense ? TAIL_DENSE : 0) | (volumeDense ? TAIL_VOLUME_DENSE : 0));
    if (!dense) w.u64(lsn);
    if (!volumeDense) w.u64(previousVolumeLsn);
    before = lsn;
  }
}

export function writeFailure(w: ByteWriter, failure: Failure): ByteWriter {
  return w.string(failure.code).string(failure.message).string(JSON.stringify(failure.detail));
}

/** A ByteReader that knows the fields of our messages, and which message it reads. Also reads the log's control entries. */
export class MessageReader extends ByteReader {
  readonly #type: number;

  constructor(type: number, body: Uint8Array) {
    super(body);
    this.#type = type;
  }

  bad(why: string): CodedError {
    return storageErrors.STORAGE_BAD_MESSAGE([this.#type, why]);
  }

  /** A u64 that a JavaScript number holds exactly. */
  count(): number {
    const value = this.u64();
    if (!Number.isSafeInteger(value)) throw this.bad(`number ${value} is too large`);
    return value;
  }

  lsn(): Lsn {
    return this.count() as Lsn;
  }

  epoch(): Epoch {
    return this.u32() as Epoch;
  }

  head(): Head {
    return this.headIn(this.string() as VolumeId);
  }

  headIn(volume: VolumeId): Head {
    return {
      volume,
      pg: this.u16() as PgIndex,
      volumeEpoch: this.epoch(),
      membershipEpoch: this.epoch(),
    };
  }

  kind(): m.SegmentKind {
    const value = this.u8();
    if (value !== 1 && value !== 2) throw this.bad(`segment kind ${value}`);
    return value === 1 ? 'full' : 'tail';
  }

  members(): m.CreateSegment['members'] {
    const members: m.CreateSegment['members'] = [];
    for (let count = this.u16(); count > 0; count--)
      members.push({
        node: this.string() as NodeId,
        address: this.string(),
        zone: this.string() as Zone,
        kind: this.kind(),
      });
    return members;
  }

  range(): m.TruncationRange {
    const range = { volumeEpoch: this.epoch(), after: this.lsn(), through: this.lsn() };
    if (range.through < range.after) throw this.bad(`range (${range.after}, ${range.through}]`);
    return range;
  }

  ranges(): m.TruncationRange[] {
    const count = this.u32();
    const ranges: m.TruncationRange[] = [];
    for (let i = 0; i < count; i++) ranges.push(this.range());
    return ranges;
  }

  tail(): m.SegmentState['tail'] {
    const count = this.u32();
    const tail: m.SegmentState['tail'] = [];
    let before = 0;
    for (let i = 0; i < count; i++) {
      const flags = this.u8();
      const lsn = flags & TAIL_DENSE ? before + 1 : this.lsn();
      const previous = flags & TAIL_VOLUME_DENSE ? Math.max(0, lsn - 1) : this.lsn();
      tail.push({ lsn: lsn as Lsn, previousVolumeLsn: previous as Lsn, cpl: (flags & TAIL_CPL) !== 0 });
      before = lsn;
    }
    return tail;
  }

  failure(): Failure {
    const code = this.string();
    const message = this.string();
    const text = this.string();
    let detail: unknown;
    try {
      detail = JSON.parse(text);
    } catch (cause) {
      throw storageErrors.STORAGE_BAD_MESSAGE([this.#type, 'detail is not JSON'], { cause });
    }
    if (typeof detail !== 'object' || detail === null) throw this.bad('detail is not an object');
    return { code, message, detail: detail as Record<string, unknown> };
  }
}
