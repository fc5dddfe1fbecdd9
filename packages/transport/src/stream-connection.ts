/**
 * One connection over a byte stream (a unix socket, or TLS over TCP): greets, cuts what arrives into frames, queues what
 * is sent.
 *
 * Fault model: the other side may be a stranger, may stop reading, stop writing, die in the middle of a frame or send
 * anything at all. Each ends this connection with a coded reason and costs bounded memory; none ends the process.
 * A coded error thrown by the handler (a message it cannot read) ends the connection too; any other throw is our own
 * mistake and passes through.
 */
import type * as net from 'node:net';
import { isCoded, must, viewsAfter, type Clock, type CodedError } from '@rokka/kernel';
import type { Connection, ConnectionHandler, Frame } from './connection.ts';
import { transportErrors } from './errors.ts';
import { bodyLength, COPIED_BODY_BYTES_MAX, FRAME_HEADER_BYTES, FrameDecoder, frameVector } from './frame.ts';
import type { PeerIdentity } from './peer-identity.ts';
import { PREAMBLE, PreambleReader } from './preamble.ts';
import type { SharedFrame } from './shared-frame.ts';

/** What `close` leaves to a slow reader for taking what was queued. */
const CLOSE_FLUSH_MS = 1_000;

export interface ConnectionLimits {
  /** Most bytes accepted by `send` and not yet taken by the kernel. */
  sendLimitBytes: number;
  preambleTimeoutMs: number;
  /** Ends a connection on which nothing arrived for so long; without it a silent one stays. */
  idleTimeoutMs?: number | undefined;
}

export interface StreamConnectionOptions {
  socket: net.Socket;
  /** Where the bytes that arrive come from, if not from its 'data' events. They are the listener's during its call only. */
  onChunk?: (listener: (chunk: Buffer) => void) => void;
  /** Gives the kernel what it takes at once, if there is a way past the stream; answers how many bytes that were. */
  writeAtOnce?: (parts: readonly Uint8Array[]) => number;
  peer: string;
  clock: Clock;
  limits: ConnectionLimits;
  /** Whom the other side has proven to be, on a network that asks. */
  peerIdentity?: PeerIdentity | undefined;
  /**
   * `close` waits, within its second, for the other side to end as well. TCP needs it: a socket that is closed while
   * unread bytes lie in it is reset, and the reset overtakes what was sent last. Unix sockets do not.
   */
  lingers?: boolean;
  /** The other side has greeted: the connection is there. */
  onOpen: (connection: Connection) => ConnectionHandler;
  /** It ended before it was there; no handler knows of it. */
  onRefused: (reason: CodedError) => void;
}

export class StreamConnection implements Connection {
  readonly peer: string;
  readonly peerIdentity: PeerIdentity | undefined;
  readonly #socket: net.Socket;
  readonly #writeAtOnce: (parts: readonly Uint8Array[]) => number;
  readonly #clock: Clock;
  readonly #limits: ConnectionLimits;
  readonly #lingers: boolean;
  readonly #onOpen: StreamConnectionOptions['onOpen'];
  readonly #onRefused: StreamConnectionOptions['onRefused'];
  readonly #preamble: PreambleReader;
  readonly #decoder: FrameDecoder;
  /** Set once the other side has greeted. */
  #handler: ConnectionHandler | undefined;
  /** Set once the connection is ending: nothing more is delivered or accepted. */
  #reason: CodedError | undefined;
  /** Sent in this tick and not yet given to the socket. */
  #queue: Uint8Array[] = [];
  /** Whom to tell when a part has left. */
  #onLeft = new Map<Uint8Array, () => void>();
  #queueBytes = 0;
  #receivedMs: number;
  #cancelTimer: () => void;

  constructor(options: StreamConnectionOptions) {
    const { socket, peer, clock, limits } = options;
    this.peer = peer;
    this.peerIdentity = options.peerIdentity;
    this.#socket = socket;
    this.#writeAtOnce = options.writeAtOnce ?? (() => 0);
    this.#clock = clock;
    this.#limits = limits;
    this.#lingers = options.lingers ?? false;
    this.#onOpen = options.onOpen;
    this.#onRefused = options.onRefused;
    this.#preamble = new PreambleReader(peer);
    this.#decoder = new FrameDecoder(peer, (frame) => this.#handler?.memoryFor?.(frame));
    this.#receivedMs = clock.nowMs();
    const { preambleTimeoutMs } = limits;
    this.#cancelTimer = clock.after(preambleTimeoutMs, () =>
      this.#fail(transportErrors.TRANSPORT_PREAMBLE_LATE([peer, preambleTimeoutMs])),
    );
    if (options.onChunk) options.onChunk((chunk) => this.#receive(chunk));
    else socket.on('data', (chunk: Buffer) => this.#receive(chunk));
    socket.on('end', () => this.#end());
    socket.on('error', (error: NodeJS.ErrnoException) =>
      this.#fail(transportErrors.TRANSPORT_RESET([peer, error.code ?? error.message], { cause: error })),
    );
    socket.on('close', () => this.#closed());
    socket.write(PREAMBLE);
  }

  get bufferedBytes(): number {
    return this.#queueBytes + this.#socket.writableLength;
  }

  send(type: number, requestId: number, parts: readonly Uint8Array[], onLeft?: () => void): boolean {
    const length = bodyLength(parts);
    if (!this.#hasRoom(length)) return false;
    this.#enqueue(frameVector({ type, requestId, parts, length }), length);
    if (length <= COPIED_BODY_BYTES_MAX) onLeft?.();
    else if (onLeft) this.#onLeft.set(must(this.#queue.at(-1)), onLeft);
    return true;
  }

  sendShared(frame: SharedFrame): boolean {
    if (!this.#hasRoom(frame.length)) return false;
    this.#enqueue(frame.vector, frame.length);
    return true;
  }

  close(reason?: CodedError): void {
    if (this.#reason) return;
    this.#flush();
    this.#reason = reason ?? transportErrors.TRANSPORT_CLOSED_HERE([this.peer]);
    this.#cancelTimer();
    this.#cancelTimer = this.#clock.after(CLOSE_FLUSH_MS, () => this.#socket.destroy());
    if (this.#lingers) this.#socket.end();
    else this.#socket.destroySoon();
  }

  #hasRoom(length: number): boolean {
    return !this.#reason && this.bufferedBytes + FRAME_HEADER_BYTES + length <= this.#limits.sendLimitBytes;
  }

  #enqueue(vector: readonly Uint8Array[], length: number): void {
    if (this.#queue.length === 0) process.nextTick(() => this.#flushAndDrain());
    this.#queue.push(...vector);
    this.#queueBytes += FRAME_HEADER_BYTES + length;
  }

  #flushAndDrain(): void {
    if (this.#flush() && !this.#reason && this.bufferedBytes === 0) this.#handler?.onDrain?.(this);
  }

  /** Gives all that was sent in this tick to the kernel, and to the socket what the kernel leaves. Answers whether that was nothing. */
  #flush(): boolean {
    const [queue, bytes, onLeft] = [this.#queue, this.#queueBytes, this.#onLeft];
    if (queue.length === 0) return false;
    this.#queue = [];
    this.#queueBytes = 0;
    if (onLeft.size > 0) this.#onLeft = new Map();
    const taken = this.#writeAtOnce(queue);
    const left = taken < bytes ? viewsAfter(queue, taken) : [];
    const gone = queue.length - left.length;
    const tell = (parts: readonly Uint8Array[]) => {
      for (const part of parts) onLeft.get(part)?.();
    };
    // The rest first: whoever is told may send more, or close.
    if (left.length > 0) this.#giveSocket(left, () => tell(queue.slice(gone)));
    if (onLeft.size > 0) tell(queue.slice(0, gone));
    return left.length === 0;
  }

  /** As one vector. */
  #giveSocket(parts: readonly Uint8Array[], onLeft: () => void): void {
    this.#socket.cork();
    for (const part of parts.slice(0, -1)) this.#socket.write(part);
    this.#socket.write(must(parts.at(-1)), (error) => {
      onLeft();
      if (!error && !this.#reason && this.bufferedBytes === 0) this.#handler?.onDrain?.(this);
    });
    this.#socket.uncork();
  }

  #receive(chunk: Buffer): void {
    if (this.#reason) return;
    if (this.#limits.idleTimeoutMs !== undefined) this.#receivedMs = this.#clock.nowMs();
    try {
      const bytes = this.#handler ? chunk : this.#preamble.push(chunk);
      if (!bytes) return;
      this.#handler ??= this.#open();
      if (bytes.length === 0) return;
      this.#decoder.push(bytes, (frame) => this.#deliver(frame));
      if (!this.#reason) this.#handler.onBatchEnd?.(this);
    } catch (error) {
      if (!isCoded(error)) throw error;
      this.#fail(error);
    }
  }

  #open(): ConnectionHandler {
    this.#cancelTimer();
    this.#watchIdle();
    return this.#onOpen(this);
  }

  #deliver(frame: Frame): boolean {
    if (!this.#reason) this.#handler?.onFrame(this, frame);
    return !this.#reason;
  }

  /** One timer that looks again when the time could be up, instead of one that is set anew by every frame. */
  #watchIdle(): void {
    const { idleTimeoutMs } = this.#limits;
    if (idleTimeoutMs === undefined) return;
    const leftMs = this.#receivedMs + idleTimeoutMs - this.#clock.nowMs();
    if (leftMs <= 0) return this.#fail(transportErrors.TRANSPORT_IDLE([this.peer, idleTimeoutMs]));
    this.#cancelTimer = this.#clock.after(leftMs, () => this.#watchIdle());
  }

  #end(): void {
    try {
      this.#decoder.end();
      this.#fail(transportErrors.TRANSPORT_CLOSED([this.peer]));
    } catch (error) {
      if (!isCoded(error)) throw error;
      this.#fail(error);
    }
  }

  /** Ends at once; what was queued is lost. */
  #fail(reason: CodedError): void {
    this.#reason ??= reason;
    this.#socket.destroy();
  }

  #closed(): void {
    this.#cancelTimer();
    const reason = this.#reason ?? transportErrors.TRANSPORT_CLOSED([this.peer]);
    this.#reason = reason;
    this.#queue = [];
    this.#queueBytes = 0;
    for (const onLeft of this.#onLeft.values()) onLeft();
    this.#onLeft.clear();
    if (this.#handler) this.#handler.onClose(this, reason);
    else this.#onRefused(reason);
  }
}
