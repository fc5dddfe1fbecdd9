/**
 * The bytes of the node's log. A log file is a row of batches; a batch is what one write and one sync made durable. Batches
 * start at multiples of 4096 bytes, so a sector that was synced is never written again and a torn write cannot touch it.
 *
 * Batch, little-endian:
 *   0  u32 magic 'RKLB'
 *   4  u16 format version
 *   6  u16 zero
 *   8  u32 checksum       CRC-32 of bytes [12, length)
 *  12  u32 length         of header and entries, without the zeroes up to the next multiple of 4096
 *  16  u64 sequence       of the batch, dense over the life of the log
 *  24  u64 file           sequence number of the file
 *  32  u32 offset         of the batch in its file
 *  36  u32 zero
 *  40  8 bytes            identity of the log, random
 *  48  entries
 * Entry: u8 type, u32 length of the body, the body.
 *
 * Magic, identity, file and offset together keep what a recycled file still holds from ever being taken for new.
 */
import { assert, crc32 } from '@rokka/kernel';

/** Of the batches that this program writes. It reads those since 1: format-upgrade.ts. */
export const LOG_FORMAT = 2;
export const BATCH_ALIGN_BYTES = 4096;
export const BATCH_HEADER_BYTES = 48;
export const ENTRY_HEADER_BYTES = 5;
export const LOG_IDENTITY_BYTES = 8;

/** Body of RECORDS: u32 segment, u64 VDL as the writer last said, then sealed records. The other bodies: control-state.ts. */
export const ENTRY = {
  RECORDS: 1,
  CREATE_SEGMENT: 2,
  EPOCH: 3,
  TRUNCATE: 4,
  COALESCED: 5,
  MANIFEST: 6,
  COPIED: 7,
  DROP: 8,
} as const;

export const RECORDS_HEAD_BYTES = 12;

const MAGIC = 0x424c4b52;
const TWO_32 = 2 ** 32;

/** Where a batch stands; part of what its checksum covers. */
export interface BatchPlace {
  sequence: number;
  file: number;
  offset: number;
}

export interface Batch {
  /** Format in which its entries are written. */
  version: number;
  sequence: number;
  /** Header and entries. */
  length: number;
}

export function alignUp(bytes: number): number {
  return Math.ceil(bytes / BATCH_ALIGN_BYTES) * BATCH_ALIGN_BYTES;
}

/** Completes a batch whose entries stand in `batch` from BATCH_HEADER_BYTES on. `batch` ends where the entries end. */
export function sealBatch(batch: Uint8Array, identity: Uint8Array, place: BatchPlace): void {
  assert(identity.length === LOG_IDENTITY_BYTES, 'log identity of the wrong length');
  assert(place.offset % BATCH_ALIGN_BYTES === 0, 'batch out of alignment');
  const view = new DataView(batch.buffer, batch.byteOffset, batch.byteLength);
  view.setUint32(0, MAGIC, true);
  view.setUint16(4, LOG_FORMAT, true);
  view.setUint16(6, 0, true);
  view.setUint32(12, batch.length, true);
  putU64(view, 16, place.sequence);
  putU64(view, 24, place.file);
  view.setUint32(32, place.offset, true);
  view.setUint32(36, 0, true);
  batch.set(identity, 40);
  view.setUint32(8, crc32(batch.subarray(12)), true);
}

/**
 * The batch at `at` of `bytes`, or undefined where there is none, or none of this log, of this file, at this place, or not a
 * whole one. `bytes` are the file's from its start, or from `expected.offset` on.
 */
export function batchAt(
  bytes: Uint8Array,
  at: number,
  expected: { identity: Uint8Array; file: number; offset?: number },
): Batch | undefined {
  if (at + BATCH_HEADER_BYTES > bytes.length) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset + at, bytes.byteLength - at);
  const version = view.getUint16(4, true);
  if (view.getUint32(0, true) !== MAGIC || version < 1 || version > LOG_FORMAT) return undefined;
  const length = view.getUint32(12, true);
  if (length < BATCH_HEADER_BYTES || length > view.byteLength) return undefined;
  const place = (expected.offset ?? 0) + at;
  if (getU64(view, 24) !== expected.file || view.getUint32(32, true) !== place) return undefined;
  const { identity } = expected;
  for (let i = 0; i < LOG_IDENTITY_BYTES; i++) if (bytes[at + 40 + i] !== identity[i]) return undefined;
  if (crc32(bytes.subarray(at + 12, at + length)) !== view.getUint32(8, true)) return undefined;
  return { version, sequence: getU64(view, 16), length };
}

/** Calls `visit` for each entry of a sound batch; `bodyAt` counts from the start of `batch`. */
export function visitEntries(
  batch: Uint8Array,
  visit: (type: number, body: Uint8Array, bodyAt: number) => void,
) {
  const view = new DataView(batch.buffer, batch.byteOffset, batch.byteLength);
  for (let at = BATCH_HEADER_BYTES; at < batch.length;) {
    const bodyAt = at + ENTRY_HEADER_BYTES;
    assert(bodyAt <= batch.length, 'an entry is cut off in a batch whose checksum holds');
    const end = bodyAt + view.getUint32(at + 1, true);
    assert(end <= batch.length, 'an entry is cut off in a batch whose checksum holds');
    visit(view.getUint8(at), batch.subarray(bodyAt, end), bodyAt);
    at = end;
  }
}

export function putU64(view: DataView, at: number, value: number): void {
  view.setUint32(at, value % TWO_32, true);
  view.setUint32(at + 4, Math.floor(value / TWO_32), true);
}

export function getU64(view: DataView, at: number): number {
  return view.getUint32(at, true) + view.getUint32(at + 4, true) * TWO_32;
}
