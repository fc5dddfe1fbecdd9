/**
 * One side of a connection within the process. Frames leave it in order, each when its delay is over; a body is
 * overwritten after its delivery, so that whoever keeps a view of it is found out.
 */
import { assert, isCoded, type Clock, type CodedError } from '@rokka/kernel';
import { FRAME_BODY_BYTES_MAX, type Connection, type ConnectionHandler, type Frame } from './connection.ts';
import { transportErrors } from './errors.ts';
import { bodyLength, FRAME_HEADER_BYTES } from './frame.ts';

/** What a delivered body is overwritten with. */
const POISON = 0xa5;

export interface Link {
  readonly from: string;
  readonly to: string;
}

/** What a connection asks of the network it lies in. */
export interface MemoryLinks {
  readonly clock: Clock;
  readonly sendLimitBytes: number;
  delayMs(link: Link): number;
  isHeld(link: Link): boolean;
}

export interface MemoryConnectionOptions {
  peer: string;
  link: Link;
  links: MemoryLinks;
  /** The other side has greeted: the connection is there. */
  onOpen: (connection: Connection) => ConnectionHandler;
  /** It ended before it was there; no handler knows of it. */
  onRefused: (reason: CodedError) => void;
}

interface Outgoing {
  readonly dueMs: number;
  readonly item: Frame | 'greeting' | 'end';
}

export class MemoryConnection implements Connection {
  readonly peer: string;
  readonly link: Link;
  readonly #links: MemoryLinks;
  readonly #onOpen: MemoryConnectionOptions['onOpen'];
  readonly #onRefused: MemoryConnectionOptions['onRefused'];
  #other: MemoryConnection | undefined;
  #handler: ConnectionHandler | undefined;
  #ended = false;
  #queue: Outgoing[] = [];
  #queueBytes = 0;
  #lastDueMs = 0;
  #cancelDelivery: (() => void) | undefined;

  constructor(options: MemoryConnectionOptions) {
    this.peer = options.peer;
    this.link = options.link;
    this.#links = options.links;
    this.#onOpen = options.onOpen;
    this.#onRefused = options.onRefused;
  }

  /** Joins this side, which has asked for the connection, to `far`, which accepts it. */
  join(far: MemoryConnection): void {
    this.#other = far;
    far.#other = this;
    far.#enqueue('greeting');
    far.#open();
  }

  get bufferedBytes(): number {
    return this.#queueBytes;
  }

  /** Ended, and nothing of it is on its way any more. */
  get finished(): boolean {
    return this.#ended && this.#queue.length === 0;
  }

  send(type: number, requestId: number, parts: readonly Uint8Array[]): boolean {
    const length = bodyLength(parts);
    assert(type > 0 && type <= 0xff, () => `frame type out of range: ${type}`);
    assert(length <= FRAME_BODY_BYTES_MAX, () => `frame body of ${length} bytes, type ${type}`);
    const bytes = FRAME_HEADER_BYTES + length;
    if (this.#ended || this.#queueBytes + bytes > this.#links.sendLimitBytes) return false;
    this.#queueBytes += bytes;
    this.#enqueue({ type, requestId, body: Buffer.concat(parts, length) });
    return true;
  }

  close(reason?: CodedError): void {
    if (this.#ended) return;
    this.#enqueue('end');
    this.#end(reason ?? transportErrors.TRANSPORT_CLOSED_HERE([this.peer]));
  }

  /** The link is gone: what was on its way is lost. A `silent` end is that of a process that was killed. */
  lose(options: { why: string; silent?: boolean }): void {
    this.#drop();
    if (this.#ended) return;
    if (options.silent) this.#ended = true;
    else this.#end(transportErrors.TRANSPORT_RESET([this.peer, options.why]));
  }

  /** The link is open again. */
  resume(): void {
    this.#arm();
  }

  #enqueue(item: Outgoing['item']): void {
    const { clock } = this.#links;
    this.#lastDueMs = Math.max(this.#lastDueMs, clock.nowMs() + this.#links.delayMs(this.link));
    this.#queue.push({ dueMs: this.#lastDueMs, item });
    this.#arm();
  }

  #drop(): void {
    this.#cancelDelivery?.();
    this.#cancelDelivery = undefined;
    this.#queue = [];
    this.#queueBytes = 0;
  }

  #arm(): void {
    const head = this.#queue[0];
    if (!head || this.#cancelDelivery || this.#links.isHeld(this.link)) return;
    const { clock } = this.#links;
    const waitMs = Math.max(0, head.dueMs - clock.nowMs());
    this.#cancelDelivery = clock.after(waitMs, () => this.#deliver(head.dueMs), { keepAlive: true });
  }

  /** Delivers what is due as one batch. */
  #deliver(dueMs: number): void {
    this.#cancelDelivery = undefined;
    if (this.#links.isHeld(this.link)) return;
    const split = this.#queue.findIndex((item) => item.dueMs > dueMs);
    const batch = this.#queue.splice(0, split === -1 ? this.#queue.length : split);
    const frames = batch.flatMap(({ item }) => (typeof item === 'object' ? [item] : []));
    for (const { body } of frames) this.#queueBytes -= FRAME_HEADER_BYTES + body.length;
    const other = this.#other;
    if (other) {
      if (batch[0]?.item === 'greeting') other.#open();
      other.#receive(frames);
      if (batch.at(-1)?.item === 'end') other.#peerClosed();
    }
    for (const { body } of frames) body.fill(POISON);
    if (frames.length > 0 && this.#queue.length === 0 && !this.#ended) this.#handler?.onDrain?.(this);
    this.#arm();
  }

  /** A coded error of the handler ends the connection, as it does over a socket. */
  #open(): void {
    if (this.#ended) return;
    this.#guard(() => {
      this.#handler = this.#onOpen(this);
    });
  }

  #receive(frames: readonly Frame[]): void {
    this.#guard(() => {
      for (const frame of frames) if (!this.#ended) this.#handler?.onFrame(this, frame);
      if (frames.length > 0 && !this.#ended) this.#handler?.onBatchEnd?.(this);
    });
  }

  #guard(run: () => void): void {
    try {
      run();
    } catch (error) {
      if (!isCoded(error)) throw error;
      this.close(error);
    }
  }

  #peerClosed(): void {
    if (this.#ended) return;
    this.#drop();
    this.#end(transportErrors.TRANSPORT_CLOSED([this.peer]));
  }

  #end(reason: CodedError): void {
    this.#ended = true;
    const tell = () => (this.#handler ? this.#handler.onClose(this, reason) : this.#onRefused(reason));
    this.#links.clock.after(0, tell, { keepAlive: true });
  }
}
