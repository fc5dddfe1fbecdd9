/**
 * One side of a connection within the process. Frames leave it in order, each when its delay is over; a body is
 * overwritten after its delivery, so that whoever keeps a view of it is found out.
 */
import { assert, isCoded, type Clock, type CodedError } from '@rokka/kernel';
import { FRAME_BODY_BYTES_MAX, type Connection, type ConnectionHandler, type Frame } from './connection.ts';
import { transportErrors } from './errors.ts';
import { bodyLength, FRAME_HEADER_BYTES } from './frame.ts';
import type { SharedFrame } from './shared-frame.ts';

/** What a delivered body is overwritten with. */
const POISON = 0xa5;

export interface Link {
  readonly from: string;
  readonly to: string;
}

/** One direction of one connection. */
export interface Lane extends Link {
  /** The same for both directions; counted from 1 in each network. */
  readonly connection: number;
}

/** Sees every frame that is accepted for sending, and every one that is about to be delivered. */
export interface NetworkObserver {
  sent?(lane: Lane, frame: Frame): void;
  delivered?(lane: Lane, frame: Frame): void;
}

/** What a connection asks of the network it lies in. */
export interface MemoryLinks {
  readonly clock: Clock;
  readonly sendLimitBytes: number;
  readonly observer: NetworkObserver;
  delayMs(link: Link): number;
  isHeld(link: Link): boolean;
}

export interface MemoryConnectionOptions {
  peer: string;
  link: Lane;
  links: MemoryLinks;
  /** Of the process on this side: what is delivered to it, and what it is told, comes by its own time. */
  clock: Clock;
  /** The other side has greeted: the connection is there. */
  onOpen: (connection: Connection) => ConnectionHandler;
  /** It ended before it was there; no handler knows of it. */
  onRefused: (reason: CodedError) => void;
}

interface Outgoing {
  readonly dueMs: number;
  readonly item: Frame | 'greeting' | 'end' | 'reset';
}

export class MemoryConnection implements Connection {
  readonly peer: string;
  readonly link: Lane;
  readonly #links: MemoryLinks;
  readonly #clock: Clock;
  readonly #onOpen: MemoryConnectionOptions['onOpen'];
  readonly #onRefused: MemoryConnectionOptions['onRefused'];
  #other: MemoryConnection | undefined;
  #handler: ConnectionHandler | undefined;
  #ended = false;
  /** Nobody takes what is sent any more, and this side does not know it yet. */
  #abandoned = false;
  #queue: Outgoing[] = [];
  #queueBytes = 0;
  #lastDueMs = 0;
  #lagMs = 0;
  #cancelDelivery: (() => void) | undefined;
  /** Somebody was refused for want of room since the buffer was last empty: nobody else waits to hear that it is. */
  #refused = false;

  constructor(options: MemoryConnectionOptions) {
    this.peer = options.peer;
    this.link = options.link;
    this.#links = options.links;
    this.#clock = options.clock;
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

  send(type: number, requestId: number, parts: readonly Uint8Array[], onLeft?: () => void): boolean {
    const length = bodyLength(parts);
    assert(type > 0 && type <= 0xff, () => `frame type out of range: ${type}`);
    assert(length <= FRAME_BODY_BYTES_MAX, () => `frame body of ${length} bytes, type ${type}`);
    const bytes = FRAME_HEADER_BYTES + length;
    if (this.#ended) return false;
    // One frame always fits, as in a buffer that holds the longest.
    if (this.#queueBytes > 0 && this.#queueBytes + bytes > this.#links.sendLimitBytes) {
      this.#refused = true;
      return false;
    }
    this.#queueBytes += bytes;
    const frame = { type, requestId, body: Buffer.concat(parts, length) };
    this.#enqueue(frame);
    this.#links.observer.sent?.(this.link, frame);
    onLeft?.();
    return true;
  }

  sendShared({ type, parts }: SharedFrame): boolean {
    return this.send(type, 0, parts);
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

  /** This side's process is gone, silently. What it has sent still arrives, and behind it the news that it is gone. */
  vanish(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#enqueue('reset');
  }

  /** What is on its way from here, and what is sent from now on, arrives so much later. */
  lag(ms: number): void {
    this.#lagMs += ms;
    this.#queue = this.#queue.map(({ dueMs, item }) => ({ dueMs: dueMs + ms, item }));
    this.#lastDueMs += ms;
    this.#cancelDelivery?.();
    this.#cancelDelivery = undefined;
    this.#arm();
  }

  /** This side gives the connection up. What it has sent arrives still, and behind it the news. */
  part(why: string): void {
    if (this.#ended) return;
    this.#enqueue('reset');
    this.#end(transportErrors.TRANSPORT_RESET([this.peer, why]));
  }

  /** Nobody on the other side takes anything any more, and nothing of what was on its way there arrives. */
  abandon(): void {
    this.#drop();
    this.#abandoned = true;
  }

  /** The link is open again. */
  resume(): void {
    this.#arm();
  }

  #enqueue(item: Outgoing['item']): void {
    const { clock } = this.#links;
    this.#lastDueMs = Math.max(this.#lastDueMs, clock.nowMs() + this.#links.delayMs(this.link) + this.#lagMs);
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
    if (!head || this.#abandoned || this.#cancelDelivery || this.#links.isHeld(this.link)) return;
    const clock = this.#other ? this.#other.#clock : this.#links.clock;
    const waitMs = Math.max(0, head.dueMs - clock.nowMs());
    this.#cancelDelivery = clock.after(waitMs, () => this.#deliver(head.dueMs), { keepAlive: true });
  }

  /** Delivers what is due as one batch. */
  #deliver(dueMs: number): void {
    this.#cancelDelivery = undefined;
    if (this.#links.isHeld(this.link)) return;
    const batch = this.#takeDue(dueMs);
    const frames: Frame[] = [];
    for (const { item } of batch) {
      if (typeof item !== 'object') continue;
      frames.push(item);
      this.#queueBytes -= FRAME_HEADER_BYTES + item.body.length;
    }
    const other = this.#other;
    if (other) {
      if (batch[0]?.item === 'greeting') other.#open();
      other.#receive(frames);
      const last = batch.at(-1)?.item;
      if (last === 'end') other.#peerClosed();
      if (last === 'reset') other.lose({ why: 'ECONNRESET' });
    }
    for (const { body } of frames) body.fill(POISON);
    if (this.#refused && this.#queue.length === 0 && !this.#ended) this.#clock.soon(() => this.#drained());
    this.#arm();
  }

  #takeDue(dueMs: number): Outgoing[] {
    const queue = this.#queue;
    let count = 0;
    while (count < queue.length && queue[count].dueMs <= dueMs) count++;
    if (count < queue.length) return queue.splice(0, count);
    this.#queue = [];
    return queue;
  }

  #drained(): void {
    if (this.#queue.length > 0 || this.#ended) return;
    this.#refused = false;
    this.#handler?.onDrain?.(this);
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
      for (const frame of frames) {
        if (this.#ended) return;
        const { observer } = this.#links;
        if (this.#other) observer.delivered?.(this.#other.link, frame);
        this.#handler?.onFrame(this, frame);
      }
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
    this.#clock.after(0, tell, { keepAlive: true });
  }
}
