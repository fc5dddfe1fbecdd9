/**
 * The frame codec, pure: no socket, no clock. Layout, little-endian:
 *   0  u32 length      of the body
 *   4  u32 checksum    CRC-32 of bytes [8, 16) and the body
 *   8  u8  type
 *   9  3 x u8          zero
 *  12  u32 requestId
 *  16  the body
 *
 * The length is not under the checksum of its own bytes, but a wrong one puts wrong bytes under it. It is checked
 * against FRAME_BODY_BYTES_MAX before anything is allocated, so that a hostile length costs nothing.
 */
import { assert, crc32 } from '@rokka/kernel';
import { FRAME_BODY_BYTES_MAX, type ConnectionHandler, type Frame } from './connection.ts';
import { transportErrors } from './errors.ts';

export const FRAME_HEADER_BYTES = 16;
/** Shorter bodies are copied into one buffer: cheaper than another entry in the vector of a write. */
export const COPIED_BODY_BYTES_MAX = 2048;

/** A frame as what is written to a stream: one buffer where it is short, else a header and the parts themselves. */
export function frameVector(of: {
  type: number;
  requestId: number;
  parts: readonly Uint8Array[];
  length: number;
}): Uint8Array[] {
  const { type, requestId, parts, length } = of;
  if (length <= COPIED_BODY_BYTES_MAX) return [encodeFrame(type, requestId, parts)];
  const header = Buffer.allocUnsafe(FRAME_HEADER_BYTES);
  encodeFrameHeader(header, of);
  return [header, ...parts.filter((part) => part.length > 0)];
}

export function bodyLength(parts: readonly Uint8Array[]): number {
  let length = 0;
  for (const part of parts) length += part.length;
  return length;
}

/** Writes the header of a frame made of `parts` to the start of `into`. */
export function encodeFrameHeader(
  into: Buffer,
  frame: { type: number; requestId: number; parts: readonly Uint8Array[]; length: number },
): void {
  const { type, requestId, parts, length } = frame;
  assert(type > 0 && type <= 0xff, () => `frame type out of range: ${type}`);
  assert(length <= FRAME_BODY_BYTES_MAX, () => `frame body of ${length} bytes, type ${type}`);
  into.writeUInt32LE(length, 0);
  into.writeUInt32LE(type, 8);
  into.writeUInt32LE(requestId, 12);
  let checksum = crc32(into.subarray(8, FRAME_HEADER_BYTES));
  for (const part of parts) checksum = crc32(part, checksum);
  into.writeUInt32LE(checksum, 4);
}

/** A whole frame in one buffer. */
export function encodeFrame(type: number, requestId: number, parts: readonly Uint8Array[]): Buffer {
  const length = bodyLength(parts);
  const bytes = Buffer.allocUnsafe(FRAME_HEADER_BYTES + length);
  encodeFrameHeader(bytes, { type, requestId, parts, length });
  let at = FRAME_HEADER_BYTES;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}

type MemoryFor = Required<ConnectionHandler>['memoryFor'];

/** Receives each frame; answers whether the decoder shall go on. */
export type FrameSink = (frame: Frame) => boolean;

/** Cuts the bytes that follow the greeting into frames, however they are chunked. Not to be used again after a throw. */
export class FrameDecoder {
  readonly #peer: string;
  readonly #memoryFor: MemoryFor;
  readonly #header = Buffer.alloc(FRAME_HEADER_BYTES);
  /** Bytes of the header that are there; FRAME_HEADER_BYTES while a body is being collected. */
  #headerLength = 0;
  /** Body of a frame that lies in several chunks. */
  #body: Buffer | undefined;
  #bodyLength = 0;
  /** The body lies in memory that nobody else writes to. */
  #owned = false;

  constructor(peer: string, memoryFor: MemoryFor = () => undefined) {
    this.#peer = peer;
    this.#memoryFor = memoryFor;
  }

  /**
   * Takes the next bytes and hands on every frame they complete: as a view of `chunk` where the frame lies in it whole.
   *
   * @throws TRANSPORT_FRAME_TOO_LONG, TRANSPORT_FRAME_DAMAGED
   */
  push(chunk: Uint8Array, sink: FrameSink): void {
    const bytes = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.length);
    let at = this.#headerLength > 0 ? this.#resume(bytes, sink) : 0;
    while (at < bytes.length) {
      const left = bytes.length - at;
      if (left < FRAME_HEADER_BYTES) return this.#keepHeader(bytes, at);
      const length = this.#lengthAt(bytes, at);
      if (left < FRAME_HEADER_BYTES + length) {
        this.#keepHeader(bytes, at);
        this.#collect(bytes, at + FRAME_HEADER_BYTES);
        return;
      }
      const body = bytes.subarray(at + FRAME_HEADER_BYTES, at + FRAME_HEADER_BYTES + length);
      if (!sink(this.#checked(bytes, at, body))) return;
      at += FRAME_HEADER_BYTES + length;
    }
  }

  /** The other side has ended the stream. @throws TRANSPORT_FRAME_CUT where it did so within a frame */
  end(): void {
    const have = this.#headerLength + this.#bodyLength;
    if (have > 0) throw transportErrors.TRANSPORT_FRAME_CUT([this.#peer, have]);
  }

  /** Goes on with a frame that an earlier chunk began. Answers where the next one starts. */
  #resume(bytes: Buffer, sink: FrameSink): number {
    let at = 0;
    if (this.#headerLength < FRAME_HEADER_BYTES) {
      at = bytes.copy(this.#header, this.#headerLength, 0);
      this.#headerLength += at;
      if (this.#headerLength < FRAME_HEADER_BYTES) return at;
    }
    at = this.#collect(bytes, at);
    const body = this.#body;
    if (!body || this.#bodyLength < body.length) return at;
    this.#headerLength = 0;
    this.#body = undefined;
    this.#bodyLength = 0;
    const owned = this.#owned;
    return sink({ ...this.#checked(this.#header, 0, body), owned }) ? at : bytes.length;
  }

  #keepHeader(bytes: Buffer, at: number): void {
    this.#headerLength = bytes.copy(this.#header, 0, at);
  }

  #collect(bytes: Buffer, at: number): number {
    this.#body ??= this.#makeBody();
    const count = bytes.copy(this.#body, this.#bodyLength, at);
    this.#bodyLength += count;
    return at + count;
  }

  #makeBody(): Buffer {
    const length = this.#lengthAt(this.#header, 0);
    const [type, requestId] = [this.#header.readUInt32LE(8), this.#header.readUInt32LE(12)];
    const given = this.#memoryFor({ type, requestId, length });
    const body = given
      ? Buffer.from(given.buffer, given.byteOffset, given.length)
      : Buffer.allocUnsafe(length);
    assert(body.length === length, 'memory of another length than the body');
    // Long ones are collected in memory of their own; short ones share theirs with others.
    this.#owned = given !== undefined || body.buffer.byteLength === length;
    return body;
  }

  #lengthAt(header: Buffer, at: number): number {
    const length = header.readUInt32LE(at);
    if (length <= FRAME_BODY_BYTES_MAX) return length;
    throw transportErrors.TRANSPORT_FRAME_TOO_LONG([this.#peer, length, FRAME_BODY_BYTES_MAX]);
  }

  #checked(header: Buffer, at: number, body: Buffer): Frame {
    const checksum = crc32(body, crc32(header.subarray(at + 8, at + FRAME_HEADER_BYTES)));
    const type = header.readUInt32LE(at + 8);
    if (checksum !== header.readUInt32LE(at + 4) || type === 0 || type > 0xff)
      throw transportErrors.TRANSPORT_FRAME_DAMAGED([this.#peer]);
    return { type, requestId: header.readUInt32LE(at + 12), body };
  }
}
