/**
 * Cuts a client's bytes into messages and the backend's bytes into messages, however they are chunked.
 *
 * A length is checked against its limit before anything of that length is kept, so a client that claims 4 GB costs
 * nothing; and no more than one incomplete message is held.
 */
import { HEADER_BYTES } from './wire-messages.ts';

/** Why bytes are no message. The connection cannot be understood any further. */
export class FramingError extends Error {
  override name = 'FramingError';
}

/** Smallest and largest length field that a start-up packet may have (MAX_STARTUP_PACKET_LENGTH of PostgreSQL). */
const STARTUP_BYTES_MIN = 8;
const STARTUP_BYTES_MAX = 10_000;
/** DataRow, CopyData, NoticeResponse, FunctionCallResponse, NotificationResponse. */
const REVEALING: ReadonlySet<number> = new Set([0x44, 0x64, 0x4e, 0x56, 0x41]);

export class ClientFramer {
  #chunks: Buffer[] = [];
  #heldBytes = 0;
  #bytesMax: number;

  /** `bytesMax` bounds a message from now on. */
  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  set bytesMax(bytes: number) {
    this.#bytesMax = bytes;
  }

  get heldBytes(): number {
    return this.#heldBytes;
  }

  push(chunk: Buffer): void {
    if (chunk.length === 0) return;
    this.#chunks.push(chunk);
    this.#heldBytes += chunk.length;
  }

  /** The next start-up packet, its length field included, or undefined where it is not whole yet. @throws FramingError */
  nextStartup(): Buffer | undefined {
    const head = this.#peek(4);
    if (!head) return undefined;
    const length = head.readUInt32BE(0);
    if (length < STARTUP_BYTES_MIN || length > STARTUP_BYTES_MAX)
      throw new FramingError(`a start-up packet of ${length} bytes`);
    return this.#take(length);
  }

  /** The next typed message, or undefined where it is not whole yet. @throws FramingError */
  nextMessage(): Buffer | undefined {
    const head = this.#peek(HEADER_BYTES);
    if (!head) return undefined;
    const length = head.readUInt32BE(1) + 1;
    if (length < HEADER_BYTES || length > this.#bytesMax)
      throw new FramingError(`a message of type ${printable(head[0])} and ${length - 1} bytes`);
    return this.#take(length);
  }

  #peek(count: number): Buffer | undefined {
    if (this.#heldBytes < count) return undefined;
    if (this.#chunks[0].length < count) this.#join();
    return this.#chunks[0];
  }

  #take(length: number): Buffer | undefined {
    if (this.#heldBytes < length) return undefined;
    if (this.#chunks[0].length < length) this.#join();
    const [first] = this.#chunks;
    this.#heldBytes -= length;
    if (first.length === length) this.#chunks.shift();
    else this.#chunks[0] = first.subarray(length);
    return first.subarray(0, length);
  }

  #join(): void {
    this.#chunks = [Buffer.concat(this.#chunks)];
  }
}

/**
 * Goes through the backend's messages. Those whose type is in `watched` are put together whole and may be changed or
 * dropped; all others, rows above all, pass as they are without being kept.
 */
export class ReplyScanner {
  readonly #watched: ReadonlySet<number>;
  readonly #onMessage: (type: number, message: Buffer) => Buffer | undefined;
  #held: Buffer = Buffer.alloc(0);
  #passBytes = 0;
  #revealed = false;

  constructor(
    watched: ReadonlySet<number>,
    onMessage: (type: number, message: Buffer) => Buffer | undefined,
  ) {
    this.#watched = watched;
    this.#onMessage = onMessage;
  }

  /** What of `chunk`, and of what was held before, goes on to the client: one view of it where nothing changed, since each piece is a write. */
  push(chunk: Buffer): Buffer[] {
    const out: Buffer[] = [];
    const bytes = this.#held.length > 0 ? Buffer.concat([this.#held, chunk]) : chunk;
    this.#held = Buffer.alloc(0);
    let passFrom = 0;
    let at = Math.min(bytes.length, this.#passBytes);
    this.#passBytes -= at;
    this.#revealed = at > 0;
    const pass = (to: number) => {
      if (to > passFrom) out.push(bytes.subarray(passFrom, to));
    };
    while (at < bytes.length) {
      const whole = bytes.length - at >= HEADER_BYTES ? bytes.readUInt32BE(at + 1) + 1 : 0;
      if (whole > 0 && !this.#watched.has(bytes[at])) {
        if (REVEALING.has(bytes[at])) this.#revealed = true;
        const end = at + whole;
        this.#passBytes = Math.max(0, end - bytes.length);
        at = Math.min(end, bytes.length);
        continue;
      }
      if (whole === 0 || at + whole > bytes.length) {
        pass(at);
        this.#held = bytes.subarray(at);
        return out;
      }
      const original = bytes.subarray(at, at + whole);
      const shown = this.#onMessage(bytes[at], original);
      if (shown !== original) {
        pass(at);
        if (shown) out.push(shown);
        passFrom = at + whole;
      }
      at += whole;
    }
    pass(at);
    return out;
  }

  /** Whether there was anything of the data in what was pushed last: rows, COPY data, notices, function results. */
  get revealed(): boolean {
    return this.#revealed;
  }

  /** Forgets what was held, after the backend was lost in the middle of a message. */
  reset(): void {
    this.#held = Buffer.alloc(0);
    this.#passBytes = 0;
  }
}

function printable(byte: number): string {
  return byte >= 0x21 && byte < 0x7f ? `'${String.fromCharCode(byte)}'` : `0x${byte.toString(16)}`;
}
