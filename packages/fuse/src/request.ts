/**
 * One request of the kernel, read in place. The object is made once and pointed at each new request, so that the hot
 * path allocates nothing; a request that must outlive its turn is copied (`copy`).
 *
 * The kernel is trusted: lengths are asserted, not defended against.
 */
import { assert } from '@rokka/kernel';
import type { Time } from './handler.ts';
import { IN_HEADER, WRITE_DATA_AT } from './protocol.ts';

const TWO_32 = 2 ** 32;
const UNIQUE_RESEND = 1n << 63n;

export class FuseRequest {
  #bytes: Buffer;
  #length = 0;
  /** The last view of WRITE data: PostgreSQL writes 8 KiB after 8 KiB, so one view serves nearly all of them. */
  #data: Buffer | undefined;

  constructor(bytes: Buffer = Buffer.alloc(0)) {
    this.#bytes = bytes;
  }

  /** Points this object at the request in the first `length` bytes. */
  reset(bytes: Buffer, length: number): this {
    assert(length >= IN_HEADER.BYTES, () => `a request of ${length} bytes has no header`);
    if (bytes !== this.#bytes) this.#data = undefined;
    this.#bytes = bytes;
    this.#length = length;
    assert(this.u32(IN_HEADER.LENGTH) === length, () => `request says ${this.u32(0)} bytes, ${length} came`);
    return this;
  }

  /** A request of its own, which stays as it is when the buffer takes the next one. */
  copy(): FuseRequest {
    const bytes = Buffer.allocUnsafe(this.#length);
    this.#bytes.copy(bytes, 0, 0, this.#length);
    return new FuseRequest(bytes).reset(bytes, this.#length);
  }

  get length(): number {
    return this.#length;
  }

  get opcode(): number {
    return this.u32(IN_HEADER.OPCODE);
  }

  get nodeId(): number {
    return this.u64(IN_HEADER.NODE_ID);
  }

  get uid(): number {
    return this.u32(IN_HEADER.UID);
  }

  get gid(): number {
    return this.u32(IN_HEADER.GID);
  }

  /** Copies the eight bytes that pair a reply with this request: they are never understood, so never a BigInt. */
  copyUnique(into: Buffer, at: number): void {
    this.#bytes.copy(into, at, IN_HEADER.UNIQUE, IN_HEADER.UNIQUE + 8);
  }

  /** By which the kernel knows this request, also when it sends it again. */
  get unique(): bigint {
    return this.#bytes.readBigUInt64LE(IN_HEADER.UNIQUE) & ~UNIQUE_RESEND;
  }

  /** It was sent to a server before this one, which was killed before it answered (FUSE_UNIQUE_RESEND). */
  get isResent(): boolean {
    return (this.#bytes[IN_HEADER.UNIQUE + 7] & 0x80) !== 0;
  }

  /** A field of the body, whose first byte is number 0. */
  bodyU32(at: number): number {
    return this.u32(IN_HEADER.BYTES + at);
  }

  bodyU64(at: number): number {
    return this.u64(IN_HEADER.BYTES + at);
  }

  /** A signed 64-bit second, and its nanoseconds in another place. */
  bodyTime(secondsAt: number, nanosecondsAt: number): Time {
    const at = IN_HEADER.BYTES + secondsAt;
    const seconds = this.#bytes.readUInt32LE(at) + this.#bytes.readInt32LE(at + 4) * TWO_32;
    return { seconds, nanoseconds: this.bodyU32(nanosecondsAt) };
  }

  /** The zero-terminated name at `at` of the body, as a byte string: one character a byte. */
  name(at: number): string {
    const start = IN_HEADER.BYTES + at;
    const end = this.#bytes.indexOf(0, start);
    assert(end >= start && end < this.#length, 'a name without its end');
    return this.#bytes.toString('latin1', start, end);
  }

  /** WRITE's bytes: a view, valid while this request is. */
  writeData(sizeBytes: number): Buffer {
    assert(WRITE_DATA_AT + sizeBytes <= this.#length, () => `WRITE of ${sizeBytes} bytes ends early`);
    if (this.#data?.length !== sizeBytes)
      this.#data = this.#bytes.subarray(WRITE_DATA_AT, WRITE_DATA_AT + sizeBytes);
    return this.#data;
  }

  u32(at: number): number {
    return this.#bytes.readUInt32LE(at);
  }

  /** Saturates at the largest safe integer: offsets beyond it are beyond every file, and the filesystem says so. */
  u64(at: number): number {
    const value = this.#bytes.readUInt32LE(at) + this.#bytes.readUInt32LE(at + 4) * TWO_32;
    return value <= Number.MAX_SAFE_INTEGER ? value : Number.MAX_SAFE_INTEGER;
  }
}
