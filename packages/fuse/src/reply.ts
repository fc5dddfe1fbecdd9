/**
 * One reply to the kernel, built in a buffer that serves for all of them: a reply is written to the device before the
 * next one is begun, and one that has to wait is copied out (`copy`).
 */
import { assert } from '@rokka/kernel';
import type { DirectoryEntry, FileAttributes, StatFs, Time } from './handler.ts';
import { IO_BYTES_MAX, OUT_HEADER, STRUCT_BYTES } from './protocol.ts';
import type { FuseRequest } from './request.ts';

const TWO_32 = 2 ** 32;
const BODY = OUT_HEADER.BYTES;

/**
 * How long the kernel may believe names and attributes: a day, for this server is the only writer, and the kernel drops
 * what its own writes, truncations and renames change.
 */
export const VALID_SECONDS = 86_400;

export class FuseReply {
  readonly bytes: Buffer = Buffer.alloc(OUT_HEADER.BYTES + IO_BYTES_MAX);
  #length = 0;
  #readView: Buffer | undefined;

  /** Bytes to send; 0 where the request gets no reply. */
  get length(): number {
    return this.#length;
  }

  /** Starts a reply without a body and without an error. */
  begin(request: FuseRequest): this {
    request.copyUnique(this.bytes, OUT_HEADER.UNIQUE);
    return this.#header(0, 0);
  }

  /** For the requests that the kernel wants no reply to. */
  none(): void {
    this.#length = 0;
  }

  error(errno: number): void {
    assert(errno > 0 && errno < 512, () => `error number ${errno} out of range`);
    this.#header(-errno, 0);
  }

  entry(attributes: FileAttributes): void {
    this.#header(0, this.#putEntry(BODY, attributes));
  }

  /** "There is no such name, and you may remember that." */
  noEntry(): void {
    this.bytes.fill(0, BODY, BODY + STRUCT_BYTES.ENTRY_OUT);
    this.#u64(BODY + 16, VALID_SECONDS);
    this.#header(0, STRUCT_BYTES.ENTRY_OUT);
  }

  created(attributes: FileAttributes, openFlags: number): void {
    const entryBytes = this.#putEntry(BODY, attributes);
    this.#header(0, entryBytes + this.#putOpen(BODY + entryBytes, openFlags));
  }

  attributes(attributes: FileAttributes): void {
    this.#u64(BODY, VALID_SECONDS);
    this.#u64(BODY + 8, 0);
    this.#putAttributes(BODY + 16, attributes);
    this.#header(0, STRUCT_BYTES.ATTR_OUT);
  }

  opened(openFlags: number): void {
    this.#header(0, this.#putOpen(BODY, openFlags));
  }

  written(sizeBytes: number): void {
    this.bytes.writeUInt32LE(sizeBytes, BODY);
    this.bytes.writeUInt32LE(0, BODY + 4);
    this.#header(0, STRUCT_BYTES.WRITE_OUT);
  }

  /** Where READ puts its bytes; `data` then says how many there were. */
  room(sizeBytes: number): Buffer {
    assert(sizeBytes <= IO_BYTES_MAX, () => `READ of ${sizeBytes} bytes`);
    if (this.#readView?.length !== sizeBytes) this.#readView = this.bytes.subarray(BODY, BODY + sizeBytes);
    return this.#readView;
  }

  data(sizeBytes: number): void {
    this.#header(0, sizeBytes);
  }

  /** A byte string without its end, as READLINK wants it. */
  text(text: string): void {
    this.#header(0, this.bytes.write(text, BODY, 'latin1'));
  }

  statFs(value: StatFs): void {
    this.bytes.fill(0, BODY, BODY + STRUCT_BYTES.STATFS_OUT);
    this.#u64(BODY, value.blocks);
    this.#u64(BODY + 8, value.blocksFree);
    this.#u64(BODY + 16, value.blocksFree);
    this.#u64(BODY + 24, value.files);
    this.#u64(BODY + 32, value.filesFree);
    this.bytes.writeUInt32LE(value.blockSizeBytes, BODY + 40);
    this.bytes.writeUInt32LE(value.nameBytesMax, BODY + 44);
    this.bytes.writeUInt32LE(value.blockSizeBytes, BODY + 48);
    this.#header(0, STRUCT_BYTES.STATFS_OUT);
  }

  /** A body that is encoded already. */
  body(bytes: Uint8Array): void {
    this.bytes.set(bytes, BODY);
    this.#header(0, bytes.length);
  }

  /** Appends a struct fuse_dirent, with the entry's attributes a struct fuse_direntplus. False where `room` is used up. */
  appendEntry(
    entry: DirectoryEntry,
    options: { roomBytes: number; plus?: FileAttributes | 'none' },
  ): boolean {
    const head = options.plus === undefined ? 0 : STRUCT_BYTES.ENTRY_OUT;
    const sizeBytes = (head + STRUCT_BYTES.DIRENT + entry.name.length + 7) & ~7;
    if (this.#length - BODY + sizeBytes > options.roomBytes) return false;
    const at = this.#length;
    // The padding behind the name would otherwise carry bytes of an earlier reply.
    this.bytes.fill(0, at, at + sizeBytes);
    if (typeof options.plus === 'object') this.#putEntry(at, options.plus);
    this.#u64(at + head, entry.ino);
    this.#u64(at + head + 8, entry.nextCookie);
    this.bytes.writeUInt32LE(entry.name.length, at + head + 16);
    this.bytes.writeUInt32LE(entry.mode >>> 12, at + head + 20);
    this.bytes.write(entry.name, at + head + STRUCT_BYTES.DIRENT, 'latin1');
    this.#header(0, at + sizeBytes - BODY);
    return true;
  }

  copy(): Buffer {
    return Buffer.from(this.bytes.subarray(0, this.#length));
  }

  #header(error: number, bodyBytes: number): this {
    this.#length = OUT_HEADER.BYTES + bodyBytes;
    this.bytes.writeUInt32LE(this.#length, OUT_HEADER.LENGTH);
    this.bytes.writeInt32LE(error, OUT_HEADER.ERROR);
    return this;
  }

  /** struct fuse_entry_out. The generation stays 0: an inode number is not used again while the kernel knows it. */
  #putEntry(at: number, attributes: FileAttributes): number {
    this.#u64(at, attributes.ino);
    this.#u64(at + 8, 0);
    this.#u64(at + 16, VALID_SECONDS);
    this.#u64(at + 24, VALID_SECONDS);
    this.#u64(at + 32, 0);
    this.#putAttributes(at + 40, attributes);
    return STRUCT_BYTES.ENTRY_OUT;
  }

  /** struct fuse_open_out. The file handle stays 0: the node id says all. */
  #putOpen(at: number, openFlags: number): number {
    this.#u64(at, 0);
    this.bytes.writeUInt32LE(openFlags, at + 8);
    this.bytes.writeUInt32LE(0, at + 12);
    return STRUCT_BYTES.OPEN_OUT;
  }

  /** struct fuse_attr. */
  #putAttributes(at: number, value: FileAttributes): void {
    const { bytes } = this;
    this.#u64(at, value.ino);
    this.#u64(at + 8, value.sizeBytes);
    this.#u64(at + 16, value.blocks);
    this.#time(value.atime, at + 24, at + 48);
    this.#time(value.mtime, at + 32, at + 52);
    this.#time(value.ctime, at + 40, at + 56);
    bytes.writeUInt32LE(value.mode, at + 60);
    bytes.writeUInt32LE(value.links, at + 64);
    bytes.writeUInt32LE(value.uid, at + 68);
    bytes.writeUInt32LE(value.gid, at + 72);
    bytes.writeUInt32LE(0, at + 76);
    bytes.writeUInt32LE(PREFERRED_IO_BYTES, at + 80);
    bytes.writeUInt32LE(0, at + 84);
  }

  /** The seconds are signed: times before 1970 keep their place. */
  #time(time: Time, secondsAt: number, nanosecondsAt: number): void {
    const high = Math.floor(time.seconds / TWO_32);
    this.bytes.writeUInt32LE(time.seconds - high * TWO_32, secondsAt);
    this.bytes.writeInt32LE(high, secondsAt + 4);
    this.bytes.writeUInt32LE(time.nanoseconds, nanosecondsAt);
  }

  #u64(at: number, value: number): void {
    this.bytes.writeUInt32LE(value % TWO_32, at);
    this.bytes.writeUInt32LE(Math.floor(value / TWO_32), at + 4);
  }
}

/**
 * st_blksize. Older kernels take it for the inode's block size as well, which must not be above the page size: so no
 * more than 4 KiB, although a page of the volume is longer.
 */
const PREFERRED_IO_BYTES = 4096;

/** Makes a reply that was copied out into an error, whatever it said; returns its new length. */
export function turnIntoError(reply: Buffer, errno: number): number {
  reply.writeUInt32LE(OUT_HEADER.BYTES, OUT_HEADER.LENGTH);
  reply.writeInt32LE(-errno, OUT_HEADER.ERROR);
  return OUT_HEADER.BYTES;
}
