/**
 * What the event loop's thread and the engine's thread share: a ring of protocol bytes towards the engine, a ring of reply
 * frames back, and a few words beside them. The engine's thread never returns to an event loop of its own while it serves,
 * so nothing here is a message that it would have to be called for; towards the event loop a single postMessage says
 * "there are frames", and only if the loop had announced that it is asleep.
 *
 * A batch is a run of whole protocol messages. BATCH_END says at which position of the request ring it ends, before its
 * first byte is written: so the engine knows, without a race, whether more is to come. What arrives beyond BATCH_END
 * while the batch runs is COPY data, which the engine asks for by itself.
 */
import { ByteRing } from './byte-ring.ts';
import type { Ticket } from '@rokka/volume';

const REQUEST_RING_BYTES = 256 * 1024;
const REPLY_RING_BYTES = 1024 * 1024;
const FRAME_HEADER_BYTES = 16;
/** Longest payload of one reply frame: small against the ring, so that both threads work at the same time. */
export const FRAME_PAYLOAD_BYTES_MAX = 64 * 1024;

const BATCH_NUMBER = 0;
const BATCH_END = 1;
const CANCEL_BATCH = 2;
const HOST_ASLEEP = 3;
const HOST_WANTS_ROOM = 4;
const CLOSING = 5;
const WORD_COUNT = 8;

/** What a reply frame says. */
export const FrameKind = {
  /** Protocol bytes from the engine. */
  reply: 1,
  /** The batch is worked through. The payload is empty. */
  done: 2,
} as const;

export interface ReplyFrame {
  readonly kind: number;
  /** Everything that the engine had written to the volume when it said this. */
  readonly ticket: Ticket;
  readonly payload: Uint8Array;
}

export interface EngineMemory {
  readonly words: SharedArrayBuffer;
  readonly request: SharedArrayBuffer;
  readonly reply: SharedArrayBuffer;
}

export function makeEngineMemory(): EngineMemory {
  return {
    words: new SharedArrayBuffer(WORD_COUNT * Int32Array.BYTES_PER_ELEMENT),
    request: ByteRing.memory(REQUEST_RING_BYTES),
    reply: ByteRing.memory(REPLY_RING_BYTES),
  };
}

/** The event loop's end. Nothing here blocks. */
export class HostEnd {
  readonly #words: Int32Array;
  readonly #request: ByteRing;
  readonly #reply: ByteRing;
  readonly #header = new Uint8Array(FRAME_HEADER_BYTES);
  readonly #headerView = new DataView(this.#header.buffer);

  constructor(memory: EngineMemory) {
    this.#words = new Int32Array(memory.words);
    this.#request = new ByteRing(memory.request);
    this.#reply = new ByteRing(memory.reply);
  }

  get batchNumber(): number {
    return Atomics.load(this.#words, BATCH_NUMBER);
  }

  /** Announces a batch of `byteCount` bytes, which `put` then brings. Nothing earlier may be left to put. */
  begin(byteCount: number): void {
    Atomics.store(this.#words, BATCH_END, (this.#request.written + byteCount) | 0);
    Atomics.add(this.#words, BATCH_NUMBER, 1);
  }

  /** Writes what there is room for and answers how much that was. Where it was not all, a message comes when there is more. */
  put(bytes: Uint8Array): number {
    const count = this.#request.put(bytes);
    if (count === bytes.length) return count;
    Atomics.store(this.#words, HOST_WANTS_ROOM, 1);
    // Room that came between the two has no message of its own.
    return count + this.#request.put(bytes.subarray(count));
  }

  /** How far the engine has read: a batch that it never begins to read finds it stuck. */
  get readPosition(): number {
    return this.#request.read;
  }

  /** The next batch is the last: the engine shuts its database down after it. */
  announceClose(): void {
    Atomics.store(this.#words, CLOSING, 1);
  }

  /** Asks the engine to cancel the batch that runs now. Seen when the engine next touches a file or the wire. */
  cancel(): void {
    Atomics.store(this.#words, CANCEL_BATCH, this.batchNumber);
  }

  /** The next whole frame, or undefined and the promise that the engine's thread will post a message when there is one. */
  next(): ReplyFrame | undefined {
    Atomics.store(this.#words, HOST_ASLEEP, 0);
    if (this.#reply.usedBytes === 0) {
      Atomics.store(this.#words, HOST_ASLEEP, 1);
      // A frame that came between the look and the announcement has no message of its own.
      if (this.#reply.usedBytes === 0) return undefined;
      Atomics.store(this.#words, HOST_ASLEEP, 0);
    }
    this.#reply.take(this.#header);
    const payload = new Uint8Array(this.#headerView.getUint32(0, true));
    this.#reply.take(payload);
    return {
      kind: this.#headerView.getUint32(4, true),
      ticket: this.#headerView.getFloat64(8, true) as Ticket,
      payload,
    };
  }
}

/** The engine's end. Everything here may block, in slices, for as long as the other side takes. */
export class EngineEnd {
  readonly #words: Int32Array;
  readonly #request: ByteRing;
  readonly #reply: ByteRing;
  readonly #wakeHost: () => void;
  readonly #frame = new Uint8Array(FRAME_HEADER_BYTES + FRAME_PAYLOAD_BYTES_MAX);
  readonly #frameView = new DataView(this.#frame.buffer);

  constructor(memory: EngineMemory, wakeHost: () => void) {
    this.#words = new Int32Array(memory.words);
    this.#request = new ByteRing(memory.request);
    this.#reply = new ByteRing(memory.reply);
    this.#wakeHost = wakeHost;
  }

  get batchNumber(): number {
    return Atomics.load(this.#words, BATCH_NUMBER);
  }

  /** Whether bytes of the batch, or bytes that came after it, wait to be read. */
  get moreToRead(): boolean {
    const behind = (Atomics.load(this.#words, BATCH_END) - this.#request.read) | 0;
    return behind > 0 || this.#request.usedBytes > 0;
  }

  get closing(): boolean {
    return Atomics.load(this.#words, CLOSING) === 1;
  }

  get cancelled(): boolean {
    const batch = this.batchNumber;
    return batch !== 0 && Atomics.load(this.#words, CANCEL_BATCH) === batch;
  }

  /** Waits for at least one byte. `onWait` runs before each slice of waiting. */
  read(into: Uint8Array, sliceMs: number, onWait: () => void): number {
    for (;;) {
      const count = this.#request.take(into);
      if (count > 0) {
        if (Atomics.exchange(this.#words, HOST_WANTS_ROOM, 0) === 1) this.#wakeHost();
        return count;
      }
      onWait();
      this.#request.waitForBytes(sliceMs);
    }
  }

  /** Waits for a batch, or for bytes that came too late for the last one. */
  waitForBytes(sliceMs: number): void {
    while (!this.#request.waitForBytes(sliceMs));
  }

  /** Waits for room, as long as the client takes to read: the event loop's side ends a client that never does. */
  send(frame: ReplyFrame, sliceMs: number): void {
    const length = FRAME_HEADER_BYTES + frame.payload.length;
    this.#frameView.setUint32(0, frame.payload.length, true);
    this.#frameView.setUint32(4, frame.kind, true);
    this.#frameView.setFloat64(8, frame.ticket, true);
    this.#frame.set(frame.payload, FRAME_HEADER_BYTES);
    while (!this.#reply.waitForRoom(length, sliceMs));
    this.#reply.put(this.#frame.subarray(0, length));
    if (Atomics.exchange(this.#words, HOST_ASLEEP, 0) === 1) this.#wakeHost();
  }
}
