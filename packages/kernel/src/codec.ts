/**
 * The one binary codec: little-endian, lengths before contents. Readers check every length against what is there,
 * so a damaged or hostile message ends in KERNEL_SHORT_BYTES and never in a read past the end.
 */
import { assert } from './assert.ts';
import { kernelErrors } from './kernel-errors.ts';

const TWO_32 = 2 ** 32;
const SHORT_CHARACTERS = 64;
const NAMES_KEPT = 256;
const encoder = new TextEncoder();

/** Appends to a buffer that grows by doubling. */
export class ByteWriter {
  #bytes: Uint8Array;
  #view: DataView;
  #length = 0;

  constructor(capacity = 256) {
    this.#bytes = memory(capacity);
    this.#view = viewOf(this.#bytes);
  }

  get length(): number {
    return this.#length;
  }

  u8(value: number): this {
    const at = this.#room(1);
    this.#view.setUint8(at, value);
    return this;
  }

  u16(value: number): this {
    const at = this.#room(2);
    this.#view.setUint16(at, value, true);
    return this;
  }

  u32(value: number): this {
    const at = this.#room(4);
    this.#view.setUint32(at, value, true);
    return this;
  }

  /** A safe integer in eight bytes. */
  u64(value: number): this {
    // Written so that nothing is made for a message that is never said.
    if (!Number.isSafeInteger(value) || value < 0) assert(false, `u64 out of range: ${value}`);
    const at = this.#room(8);
    this.#view.setUint32(at, value % TWO_32, true);
    this.#view.setUint32(at + 4, Math.floor(value / TWO_32), true);
    return this;
  }

  /** The bytes as they are, without a length. */
  raw(bytes: Uint8Array): this {
    const at = this.#room(bytes.length);
    this.#bytes.set(bytes, at);
    return this;
  }

  /** A u32 length, then the bytes. */
  bytes(bytes: Uint8Array): this {
    return this.u32(bytes.length).raw(bytes);
  }

  /** UTF-8 with a u32 length. */
  string(text: string): this {
    if (text.length > SHORT_CHARACTERS) return this.bytes(encoder.encode(text));
    // Names and ids are short and ASCII: their characters are their bytes, and no encoder has to be called.
    const at = this.#room(4 + text.length);
    for (let i = 0; i < text.length; i++) {
      const code = text.charCodeAt(i);
      if (code > 0x7f) {
        this.#length = at;
        return this.bytes(encoder.encode(text));
      }
      this.#bytes[at + 4 + i] = code;
    }
    this.#view.setUint32(at, text.length, true);
    return this;
  }

  /** Overwrites a u32 that was written before, such as a length or a checksum known only at the end. */
  patchU32(at: number, value: number): this {
    assert(at + 4 <= this.#length, 'patch past the end');
    this.#view.setUint32(at, value, true);
    return this;
  }

  /** A view of what was written; valid until the next write. */
  view(): Uint8Array {
    return this.#bytes.subarray(0, this.#length);
  }

  /** What was written; the writer is not used any more. */
  finish(): Uint8Array {
    return this.view();
  }

  #room(count: number): number {
    const at = this.#length;
    const need = at + count;
    if (need > this.#bytes.length) {
      const bytes = memory(Math.max(need, this.#bytes.length * 2));
      bytes.set(this.#bytes.subarray(0, at));
      this.#bytes = bytes;
      this.#view = viewOf(bytes);
    }
    this.#length = need;
    return at;
  }
}

/** Reads in the order in which a ByteWriter wrote. @throws KERNEL_SHORT_BYTES where the bytes end early */
export class ByteReader {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  /** The same bytes, once a text was read. */
  #text: Buffer | undefined;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  get left(): number {
    return this.#bytes.length - this.#at;
  }

  u8(): number {
    return this.#view.getUint8(this.#take(1));
  }

  u16(): number {
    return this.#view.getUint16(this.#take(2), true);
  }

  u32(): number {
    return this.#view.getUint32(this.#take(4), true);
  }

  u64(): number {
    const at = this.#take(8);
    return this.#view.getUint32(at, true) + this.#view.getUint32(at + 4, true) * TWO_32;
  }

  /** A view of the next `count` bytes, not a copy. */
  raw(count: number): Uint8Array {
    const at = this.#take(count);
    return this.#bytes.subarray(at, at + count);
  }

  bytes(): Uint8Array {
    return this.raw(this.u32());
  }

  string(): string {
    const count = this.u32();
    const at = this.#take(count);
    const name = count <= SHORT_CHARACTERS ? knownName(this.#bytes, at, count) : undefined;
    if (name !== undefined) return name;
    const { buffer, byteOffset, length } = this.#bytes;
    // A third of what a TextDecoder takes for a name.
    this.#text ??= Buffer.from(buffer, byteOffset, length);
    return keptName(this.#text.toString('utf8', at, at + count));
  }

  /** Everything that is left, as a view. */
  rest(): Uint8Array {
    return this.raw(this.left);
  }

  #take(count: number): number {
    if (count > this.left) throw kernelErrors.KERNEL_SHORT_BYTES([count, this.left]);
    const at = this.#at;
    this.#at += count;
    return at;
  }
}

/** Names that were read lately, by a hash of their characters: the same few come again and again. */
const names: string[] = new Array<string>(NAMES_KEPT).fill('');

/** The name that stands there, if it was read lately; then nothing is decoded, and nothing made. */
function knownName(bytes: Uint8Array, at: number, count: number): string | undefined {
  let hash = count;
  for (let i = at; i < at + count; i++) hash = (Math.imul(hash, 31) + bytes[i]) | 0;
  const name = names[hash & (NAMES_KEPT - 1)];
  if (name.length !== count) return undefined;
  for (let i = 0; i < count; i++) if (name.charCodeAt(i) !== bytes[at + i]) return undefined;
  return name;
}

/** Only ASCII is ever found again: of other texts the bytes are not the characters. */
function keptName(name: string): string {
  if (name.length > SHORT_CHARACTERS) return name;
  let hash = name.length;
  for (let i = 0; i < name.length; i++) {
    const code = name.charCodeAt(i);
    if (code > 0x7f) return name;
    hash = (Math.imul(hash, 31) + code) | 0;
  }
  names[hash & (NAMES_KEPT - 1)] = name;
  return name;
}

export function bytesEqual(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && Buffer.compare(a, b) === 0;
}

/** Not zeroed: only what was written is ever looked at. */
function memory(bytes: number): Uint8Array {
  const { buffer, byteOffset } = Buffer.allocUnsafe(bytes);
  return new Uint8Array(buffer, byteOffset, bytes);
}

function viewOf({ buffer, byteOffset, length }: Uint8Array): DataView {
  return new DataView(buffer, byteOffset, length);
}
