/**
 * The records in the slots of the metadata: inodes, directory entries, and extents that an inode's own slot has no room
 * for. A slot is written whole (the volume ships only the bytes that differ) and carries a checksum; a free slot has
 * type 0, and what else it holds means nothing.
 *
 * Every slot: u8 type, u8 flags, u16 length, u32 CRC-32 of the slot without this field. Then, little-endian:
 *   inode    8 u64 ino, 16 u32 mode, nlink, uid, gid, 32 u64 size, 40 i64 seconds of atime, mtime, ctime,
 *            64 u32 nanoseconds of the same, 80 extents or (flag 1) the target of a symbolic link, `length` bytes
 *   entry    8 u64 parent ino, 16 u64 child ino, 32 the name, `length` bytes
 *   extents  8 u64 ino, 32 extents
 *   extent   u48 block, u48 page, u32 count; count 0: none; top bit of count: never written
 * The extents of a file are the union of those in its slots, in no order: so a change touches one slot.
 */
import { crc32, type PageNumber } from '@rokka/kernel';
import type { Mapping } from './extents.ts';
import type { FileTime } from './file-time.ts';
import {
  ENTRY_HEADER_BYTES,
  EXTENT_BYTES,
  EXTENT_PAGES_MAX,
  INLINE_EXTENTS,
  INODE_HEADER_BYTES,
  NAME_BYTES_MAX,
  INLINE_TARGET_BYTES,
  OVERFLOW_EXTENTS,
  OVERFLOW_HEADER_BYTES,
  SLOT_BYTES,
  type Ino,
} from './layout.ts';

export const SLOT_FREE = 0;
const SLOT_INODE = 1;
const SLOT_ENTRY = 2;
const SLOT_EXTENTS = 3;
const FLAG_INLINE_TARGET = 1;
const UNWRITTEN = 2 ** 31;
const TWO_32 = 2 ** 32;

export interface InodeRecord {
  readonly ino: Ino;
  mode: number;
  nlink: number;
  uid: number;
  gid: number;
  sizeBytes: number;
  atime: FileTime;
  mtime: FileTime;
  ctime: FileTime;
  /** Of a symbolic link whose target is short; a long one lies in a page. A byte string. */
  readonly target: string | undefined;
}

export interface EntryRecord {
  readonly parent: Ino;
  readonly child: Ino;
  /** A byte string. */
  readonly name: string;
}

/** Mappings by their place in the slot. */
export type ExtentTable = readonly (Mapping | undefined)[];

export type Slot =
  | { readonly type: 'free' }
  | { readonly type: 'inode'; readonly record: InodeRecord; readonly extents: ExtentTable }
  | { readonly type: 'entry'; readonly record: EntryRecord }
  | { readonly type: 'extents'; readonly ino: Ino; readonly extents: ExtentTable }
  | { readonly type: 'damaged'; readonly why: string };

export function encodeInode(record: InodeRecord, extents: ExtentTable): Uint8Array {
  const bytes = Buffer.alloc(SLOT_BYTES);
  bytes[0] = SLOT_INODE;
  bytes.writeUIntLE(record.ino, 8, 6);
  bytes.writeUInt32LE(record.mode, 16);
  bytes.writeUInt32LE(record.nlink, 20);
  bytes.writeUInt32LE(record.uid, 24);
  bytes.writeUInt32LE(record.gid, 28);
  bytes.writeUIntLE(record.sizeBytes, 32, 6);
  for (const [i, time] of [record.atime, record.mtime, record.ctime].entries()) {
    bytes.writeUInt32LE(time.seconds - Math.floor(time.seconds / TWO_32) * TWO_32, 40 + i * 8);
    bytes.writeInt32LE(Math.floor(time.seconds / TWO_32), 44 + i * 8);
    bytes.writeUInt32LE(time.nanoseconds, 64 + i * 4);
  }
  if (record.target === undefined) {
    writeExtents(bytes, INODE_HEADER_BYTES, extents);
  } else {
    bytes[1] = FLAG_INLINE_TARGET;
    bytes.writeUInt16LE(record.target.length, 2);
    bytes.write(record.target, INODE_HEADER_BYTES, 'latin1');
  }
  return sealed(bytes);
}

export function encodeEntry(record: EntryRecord): Uint8Array {
  const bytes = Buffer.alloc(SLOT_BYTES);
  bytes[0] = SLOT_ENTRY;
  bytes.writeUInt16LE(record.name.length, 2);
  bytes.writeUIntLE(record.parent, 8, 6);
  bytes.writeUIntLE(record.child, 16, 6);
  bytes.write(record.name, ENTRY_HEADER_BYTES, 'latin1');
  return sealed(bytes);
}

export function encodeExtents(ino: Ino, extents: ExtentTable): Uint8Array {
  const bytes = Buffer.alloc(SLOT_BYTES);
  bytes[0] = SLOT_EXTENTS;
  bytes.writeUIntLE(ino, 8, 6);
  writeExtents(bytes, OVERFLOW_HEADER_BYTES, extents);
  return sealed(bytes);
}

/** Reads the slot that fills `slot` exactly. Never throws: damage is an answer, with its reason. */
export function decodeSlot(slot: Uint8Array): Slot {
  const bytes = Buffer.from(slot.buffer, slot.byteOffset, slot.byteLength);
  const type = bytes[0];
  if (type === SLOT_FREE) return { type: 'free' };
  if (bytes.readUInt32LE(4) !== checksum(bytes)) return { type: 'damaged', why: 'the checksum does not fit' };
  const length = bytes.readUInt16LE(2);
  switch (type) {
    case SLOT_INODE:
      return decodeInode(bytes, length);
    case SLOT_ENTRY: {
      if (length > NAME_BYTES_MAX) return { type: 'damaged', why: `a name of ${length} bytes` };
      const name = bytes.toString('latin1', ENTRY_HEADER_BYTES, ENTRY_HEADER_BYTES + length);
      return { type: 'entry', record: { parent: inoAt(bytes, 8), child: inoAt(bytes, 16), name } };
    }
    case SLOT_EXTENTS:
      return {
        type: 'extents',
        ino: inoAt(bytes, 8),
        extents: readExtents(bytes, OVERFLOW_HEADER_BYTES, OVERFLOW_EXTENTS),
      };
    default:
      return { type: 'damaged', why: `type ${type} is unknown` };
  }
}

function decodeInode(bytes: Buffer, length: number): Slot {
  const inline = (bytes[1] & FLAG_INLINE_TARGET) !== 0;
  if (inline && length > INLINE_TARGET_BYTES) return { type: 'damaged', why: `a target of ${length} bytes` };
  const [atime, mtime, ctime] = [0, 1, 2].map((i) => ({
    seconds: bytes.readUInt32LE(40 + i * 8) + bytes.readInt32LE(44 + i * 8) * TWO_32,
    nanoseconds: bytes.readUInt32LE(64 + i * 4),
  }));
  const record: InodeRecord = {
    ino: inoAt(bytes, 8),
    mode: bytes.readUInt32LE(16),
    nlink: bytes.readUInt32LE(20),
    uid: bytes.readUInt32LE(24),
    gid: bytes.readUInt32LE(28),
    sizeBytes: bytes.readUIntLE(32, 6),
    atime,
    mtime,
    ctime,
    target: inline ? bytes.toString('latin1', INODE_HEADER_BYTES, INODE_HEADER_BYTES + length) : undefined,
  };
  const extents = inline ? [] : readExtents(bytes, INODE_HEADER_BYTES, INLINE_EXTENTS);
  return { type: 'inode', record, extents };
}

function writeExtents(bytes: Buffer, from: number, extents: ExtentTable): void {
  for (let i = 0; i < extents.length; i++) {
    const extent = extents[i];
    if (!extent) continue;
    const at = from + i * EXTENT_BYTES;
    bytes.writeUIntLE(extent.block, at, 6);
    bytes.writeUIntLE(extent.page, at + 6, 6);
    bytes.writeUInt32LE(extent.written ? extent.count : extent.count + UNWRITTEN, at + 12);
  }
}

function readExtents(bytes: Buffer, from: number, most: number): ExtentTable {
  return Array.from({ length: most }, (_, i) => {
    const at = from + i * EXTENT_BYTES;
    const count = bytes.readUInt32LE(at + 12);
    if (count === 0) return undefined;
    return {
      block: bytes.readUIntLE(at, 6),
      page: bytes.readUIntLE(at + 6, 6) as PageNumber,
      count: count > EXTENT_PAGES_MAX ? count - UNWRITTEN : count,
      written: count <= EXTENT_PAGES_MAX,
    };
  });
}

const inoAt = (bytes: Buffer, at: number): Ino => bytes.readUIntLE(at, 6) as Ino;

function sealed(bytes: Buffer): Uint8Array {
  bytes.writeUInt32LE(checksum(bytes), 4);
  return bytes;
}

function checksum(bytes: Uint8Array): number {
  return crc32(bytes.subarray(8), crc32(bytes.subarray(0, 4)));
}
