/**
 * What the event loop's thread and the engine's thread share: a ring of protocol bytes towards the engine, a ring of reply
 * frames back, and a few words beside them. The engine's thread never returns to an event loop of its own while it serves,
 * so nothing here is a message that it would have to be called for; towards the event loop a single postMessage says
 * "there are frames", and only if the loop had announced that it is asleep. Where clients wait in a line, both sides wait awake for a
 * moment before they sleep: a statement takes less time than to wake a thread.
 *
 * A batch is a run of whole protocol messages. It comes as one frame, which says how long it is: so the engine knows, without a race,
 * whether more is to come. Further frames with the number of the batch that runs are COPY data, which the engine asks for by itself.
 *
 * Batches may lie behind the one that runs, so that the engine does not wait for the event loop between two of them. Whose batch may
 * run next depends on what the one before it has left: one that lies behind runs only if the engine is in no transaction by then, else it
 * is put aside unread, and so are all behind it. The event loop can have them put aside, too, as long as the engine has not taken them.
 */
import { assert, Spin } from '@rokka/kernel';
import { ByteRing } from './byte-ring.ts';
import type { Ticket } from '@rokka/volume';

const REQUEST_RING_BYTES = 256 * 1024;
const REPLY_RING_BYTES = 1024 * 1024;
const FRAME_HEADER_BYTES = 16;
const REQUEST_HEADER_BYTES = 12;
/** Longest payload of one reply frame: small against the ring, so that both threads work at the same time. */
export const FRAME_PAYLOAD_BYTES_MAX = 64 * 1024;

const CANCEL_BATCH = 0;
const HOST_ASLEEP = 1;
const HOST_WANTS_ROOM = 2;
const CLOSING = 3;
const TAKEN = 4;
const ASIDE_FROM = 5;
const ASIDE_TO = 6;
const CONTENDED = 7;
const WORD_COUNT = 8;

/** A client on this machine has the next statement of its transaction here in less. */
const ENGINE_SPIN_US = 200;
/** Most statements take less. */
const HOST_SPIN_US = 60;

/** What a reply frame says. */
export const FrameKind = {
  /** Protocol bytes from the engine. */
  reply: 1,
  /** The batch is worked through. The payload is empty. */
  done: 2,
  /** The batch was put aside: the one before it has left a transaction open, or the event loop wants it back. */
  putAside: 3,
} as const;

/** What a frame of the request ring is. */
export const RequestKind = {
  batch: 1,
  /** A batch that runs only if no transaction is open by then. */
  behind: 2,
  /** COPY data for the batch that runs. */
  more: 3,
} as const;

export interface ReplyFrame {
  readonly kind: number;
  /** Everything that the engine had written to the volume when it said this. */
  readonly ticket: Ticket;
  readonly payload: Uint8Array;
}

/** Numbers of batches go round. */
const isBefore = (one: number, other: number) => ((one - other) | 0) < 0;

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

/** The event loop's end. Nothing here blocks, but for `lookOut`. */
export class HostEnd {
  readonly #words: Int32Array;
  readonly #request: ByteRing;
  readonly #reply: ByteRing;
  readonly #header = new Uint8Array(FRAME_HEADER_BYTES);
  readonly #headerView = new DataView(this.#header.buffer);
  readonly #spin: Pick<Spin, 'until'>;

  constructor(memory: EngineMemory, spin: Pick<Spin, 'until'> = new Spin({ microseconds: HOST_SPIN_US })) {
    this.#spin = spin;
    this.#words = new Int32Array(memory.words);
    this.#request = new ByteRing(memory.request);
    this.#reply = new ByteRing(memory.reply);
  }

  /** `bytes` of the batch `number` as they are to be put. */
  static request(kind: number, number: number, bytes: Uint8Array): Uint8Array {
    const frame = new Uint8Array(REQUEST_HEADER_BYTES + bytes.length);
    const header = new DataView(frame.buffer);
    header.setUint32(0, bytes.length, true);
    header.setUint32(4, kind, true);
    header.setInt32(8, number, true);
    frame.set(bytes, REQUEST_HEADER_BYTES);
    return frame;
  }

  get writtenPosition(): number {
    return this.#request.written;
  }

  /** Writes what there is room for and answers how much that was. Where it was not all, a message comes when there is more. */
  put(bytes: Uint8Array): number {
    const count = this.#request.put(bytes);
    if (count === bytes.length) return count;
    Atomics.store(this.#words, HOST_WANTS_ROOM, 1);
    // Room that came between the two has no message of its own.
    return count + this.#request.put(bytes.subarray(count));
  }

  /**
   * Has those of these batches put aside that lie behind others, when the engine comes to them. This takes the place of what was said
   * before: `from` must be the first of all that are to be put aside.
   * @returns whether it will come to all of them from `first` on: it has taken none yet, and takes none
   */
  putAside(from: number, to: number, first = from): boolean {
    Atomics.store(this.#words, ASIDE_TO, to);
    Atomics.store(this.#words, ASIDE_FROM, from);
    // The engine first says which one it takes, and looks here then: so one of the two sees the other.
    return isBefore(Atomics.load(this.#words, TAKEN), first);
  }

  /** How far the engine has read: a batch that it never begins to read finds it stuck. */
  get readPosition(): number {
    return this.#request.read;
  }

  /** The next batch is the last: the engine shuts its database down after it. */
  announceClose(): void {
    Atomics.store(this.#words, CLOSING, 1);
  }

  /** Asks the engine to cancel this batch. Seen when the engine next touches a file or the wire, if it runs by then. */
  cancel(batch: number): void {
    Atomics.store(this.#words, CANCEL_BATCH, batch);
  }

  /** Whether clients wait for others to be done with the engine. */
  set isContended(isContended: boolean) {
    Atomics.store(this.#words, CONTENDED, isContended ? 1 : 0);
  }

  get isContended(): boolean {
    return Atomics.load(this.#words, CONTENDED) === 1;
  }

  /** The engine need not post a message for its next frame: whoever says this will come and look, `lookOut` and `next`. */
  stayAwake(): void {
    Atomics.store(this.#words, HOST_ASLEEP, 0);
  }

  /** Blocks for a moment, where that pays, until there is a frame. */
  lookOut(): void {
    this.#spin.until(() => this.#reply.usedBytes > 0);
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
  readonly #header = new Uint8Array(REQUEST_HEADER_BYTES);
  readonly #headerView = new DataView(this.#header.buffer);
  readonly #spin: Pick<Spin, 'until'>;
  #batch = 0;
  /** Bytes of the frame that are not read yet. */
  #left = 0;

  constructor(
    memory: EngineMemory,
    wakeHost: () => void,
    spin: Pick<Spin, 'until'> = new Spin({ microseconds: ENGINE_SPIN_US }),
  ) {
    this.#spin = spin;
    this.#words = new Int32Array(memory.words);
    this.#request = new ByteRing(memory.request);
    this.#reply = new ByteRing(memory.reply);
    this.#wakeHost = wakeHost;
  }

  get isContended(): boolean {
    return Atomics.load(this.#words, CONTENDED) === 1;
  }

  /** Of the batch that runs, or ran last. */
  get batchNumber(): number {
    return this.#batch;
  }

  /** Whether more of the frame that is being read is to come. */
  get moreToRead(): boolean {
    return this.#left > 0;
  }

  get closing(): boolean {
    return Atomics.load(this.#words, CLOSING) === 1;
  }

  get cancelled(): boolean {
    return this.#batch !== 0 && Atomics.load(this.#words, CANCEL_BATCH) === this.#batch;
  }

  /** Waits for the next batch. COPY data that came too late, for a COPY that had failed, is passed over. @returns its kind */
  nextBatch(sliceMs: number): number {
    for (;;) {
      const { kind, number } = this.#nextFrame(sliceMs);
      if (kind !== RequestKind.more) {
        this.#batch = number;
        Atomics.store(this.#words, TAKEN, number);
        return kind;
      }
      this.passOver(sliceMs);
    }
  }

  /** Whether the event loop wants the batch that was taken put aside. */
  get isPutAside(): boolean {
    const from = Atomics.load(this.#words, ASIDE_FROM);
    const to = Atomics.load(this.#words, ASIDE_TO);
    return from !== 0 && !isBefore(this.#batch, from) && !isBefore(to, this.#batch);
  }

  /** Leaves the rest of the frame unread. */
  passOver(sliceMs: number): void {
    const into = new Uint8Array(Math.min(this.#left, FRAME_PAYLOAD_BYTES_MAX));
    while (this.#left > 0) this.read(into, sliceMs, () => {});
  }

  /** Waits for at least one byte of the batch that runs. `onWait` runs before each slice of waiting. */
  read(into: Uint8Array, sliceMs: number, onWait: () => void): number {
    if (this.#left === 0) {
      const { kind } = this.#nextFrame(sliceMs, onWait);
      assert(kind === RequestKind.more, 'a batch that asks for more has none behind it');
    }
    for (;;) {
      const count = this.#request.take(into.subarray(0, Math.min(into.length, this.#left)));
      if (count > 0) {
        this.#left -= count;
        this.#tellRoom();
        return count;
      }
      onWait();
      this.#request.waitForBytes(sliceMs);
    }
  }

  #nextFrame(sliceMs: number, onWait = () => {}): { kind: number; number: number } {
    for (;;) {
      // Before the look: what comes after it ends the wait.
      const { written } = this.#request;
      if (this.#request.usedBytes >= REQUEST_HEADER_BYTES) break;
      onWait();
      const isThere = this.isContended && this.#spin.until(() => this.#request.written !== written);
      if (!isThere) this.#request.waitForMore(written, sliceMs);
    }
    this.#request.take(this.#header);
    this.#left = this.#headerView.getUint32(0, true);
    this.#tellRoom();
    return { kind: this.#headerView.getUint32(4, true), number: this.#headerView.getInt32(8, true) };
  }

  #tellRoom(): void {
    if (Atomics.exchange(this.#words, HOST_WANTS_ROOM, 0) === 1) this.#wakeHost();
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
