/**
 * The conversation with the kernel over one mount: bytes of requests in, bytes of replies out; no descriptor, no mount.
 *
 * Fault model: what the filesystem refuses is an error number for one caller. Anything else fails the session, for ever:
 * where a write that was answered may be lost (the volume was fenced, a wait for durability failed, an invariant of ours
 * broke), this request, every waiting one and every later one is answered EIO. A database above then crashes and recovers
 * from what is durable; it must never go on over lost writes.
 *
 * Requests run in the order of their coming, each at once and whole. One that meets something that is not in memory waits
 * aside, with a copy of its bytes, and runs again; the others go on. The kernel itself keeps apart what must not overtake:
 * it holds the inode's or the directory's lock until the reply.
 */
import { assert, Deferred } from '@rokka/kernel';
import type { FuseHandler } from './handler.ts';
import type { Legacy } from './legacy.ts';
import { LookupCounts } from './lookup-counts.ts';
import { encodeAgreement, negotiate, type Agreement } from './negotiation.ts';
import { OpenCounts } from './open-counts.ts';
import { OPERATIONS, type Operation, type OperationContext } from './operations.ts';
import { ERRNO, FOPEN, IN_HEADER, IO_BYTES_MAX, OPCODE, opcodeName } from './protocol.ts';
import { FuseReply, turnIntoError } from './reply.ts';
import { FuseRequest } from './request.ts';
import { answerWithout } from './resent.ts';
import { WaitingRoom, type WaitingRequest } from './waiting-room.ts';

export interface FuseSessionOptions {
  readonly handler: FuseHandler;
  readonly cache: 'direct' | 'kernel';
  /** Gives one reply to the kernel; the bytes are only valid during the call. */
  readonly send: (reply: Buffer, length: number) => void;
  /** Once: the session has failed, and answers EIO from now on. */
  readonly onFailure: (error: unknown) => void;
  /** Too much is waiting: no more requests, please, until `onRoom`. */
  readonly onFull: () => void;
  readonly onRoom: () => void;
  /** What the next server on this mount needs of this one; where it is missing there can be none. */
  readonly legacy?: Legacy | undefined;
  /** Kernel and the server before this one have agreed already, and the kernel sends again what that one has not answered. */
  readonly takesOver?: boolean | undefined;
}

export interface FuseStatistics {
  /** Requests taken from the kernel, by operation. */
  readonly requests: Readonly<Record<string, number>>;
  /** Requests that wait for pages or for durability. */
  readonly waiting: number;
  /** Inodes that the kernel holds. */
  readonly inodesHeld: number;
}

const WAITING_REQUESTS_MAX = 4096;
const WAITING_BYTES_MAX = 64 * IO_BYTES_MAX;
/** Attempts of one request after which the store's word on what is ready is no longer believed. */
const ATTEMPTS_MAX = 10_000;
const NO_REPLY: ReadonlySet<number> = new Set([
  OPCODE.FORGET,
  OPCODE.BATCH_FORGET,
  OPCODE.INTERRUPT,
  OPCODE.NOTIFY_REPLY,
]);

export class FuseSession {
  readonly #options: FuseSessionOptions;
  readonly #context: OperationContext;
  readonly #request = new FuseRequest();
  readonly #reply = new FuseReply();
  readonly #waiting: WaitingRoom;
  readonly #counts = new Map<number, number>();
  readonly #begun = new Deferred<Agreement>();
  #failed = false;
  /** Copies of requests that came while none was taken; undefined while they are. */
  #heldBack: FuseRequest[] | undefined;

  constructor(options: FuseSessionOptions) {
    this.#options = options;
    const openFlags =
      options.cache === 'kernel' ? FOPEN.KEEP_CACHE : FOPEN.DIRECT_IO | FOPEN.PARALLEL_DIRECT_WRITES;
    const { handler, legacy, takesOver: inherited = false } = options;
    const opens = legacy?.opens ?? new OpenCounts();
    this.#context = { handler, lookups: new LookupCounts({ inherited }), opens, openFlags };
    this.#waiting = new WaitingRoom({
      requestsMax: WAITING_REQUESTS_MAX,
      bytesMax: WAITING_BYTES_MAX,
      onFull: options.onFull,
      onRoom: options.onRoom,
    });
  }

  /** Resolves when kernel and server have agreed on how they speak. @throws FUSE_KERNEL_TOO_OLD */
  get begun(): Promise<Agreement> {
    return this.#begun.promise;
  }

  statistics(): FuseStatistics {
    const requests = Object.fromEntries([...this.#counts].map(([code, count]) => [opcodeName(code), count]));
    return { requests, waiting: this.#waiting.size, inodesHeld: this.#context.lookups.size };
  }

  /** Takes one request, in the first `length` of `bytes`; they are only valid during the call. Never throws. */
  onRequest(bytes: Buffer, length: number): void {
    try {
      const request = this.#request.reset(bytes, length);
      if (this.#heldBack) this.#heldBack.push(request.copy());
      else this.#take(request);
    } catch (error) {
      this.fail(error);
    }
  }

  /**
   * Takes no more requests until `release`, and answers none that comes meanwhile: few, whoever holds also pauses the reading.
   * What waited before still gets its answer: its caller asked for it before the hold.
   */
  hold(): void {
    this.#heldBack ??= [];
  }

  /** Never throws. */
  release(): void {
    const heldBack = this.#heldBack ?? [];
    this.#heldBack = undefined;
    for (const request of heldBack) {
      try {
        this.#take(request);
      } catch (error) {
        this.fail(error);
      }
    }
  }

  #take(request: FuseRequest): void {
    const { opcode } = request;
    this.#counts.set(opcode, (this.#counts.get(opcode) ?? 0) + 1);
    if (this.#failed) this.#refuse(request, ERRNO.EIO);
    else if (opcode === OPCODE.INIT) this.#begin(request);
    else if (opcode === OPCODE.FORGET) this.#forget(request.nodeId, request.bodyU64(0));
    else if (opcode === OPCODE.BATCH_FORGET) this.#forgetAll(request);
    else {
      const { legacy } = this.#options;
      const operation = (legacy && answerWithout(request, legacy)) ?? OPERATIONS.get(opcode);
      if (operation) this.#run(operation, request, 1);
      else this.#refuse(request, ERRNO.ENOSYS);
    }
  }

  /** Answers EIO to everything that waits and to everything that will come. */
  fail(error: unknown): void {
    if (this.#failed) return;
    this.#failed = true;
    this.#options.legacy?.changes.end();
    this.#begun.reject(error);
    this.#waiting.empty(ERRNO.EIO, this.#options.send);
    this.release();
    this.#options.onFailure(error);
  }

  #run(operation: Operation, request: FuseRequest, attempt: number): void {
    const reply = this.#reply.begin(request);
    const changes = this.#options.legacy?.changes;
    let durable;
    if (changes) changes.origin = request.unique;
    try {
      durable = operation(this.#context, request, reply);
    } catch (error) {
      const ready = this.#context.handler.readyAfter(error);
      if (ready) this.#runAfter(ready, operation, request, attempt + 1);
      else this.#answerError(error, () => this.#refuse(request, this.#errnoOf(error)));
      return;
    } finally {
      if (changes) changes.origin = 0n;
    }
    if (durable) this.#answerAfter(durable, reply);
    else if (reply.length > 0) this.#options.send(reply.bytes, reply.length);
  }

  #runAfter(ready: Promise<void>, operation: Operation, request: FuseRequest, attempt: number): void {
    const { opcode } = request;
    assert(attempt < ATTEMPTS_MAX, () => `${opcodeName(opcode)} is not ready after ${attempt} attempts`);
    // The kernel's next request lands in the same buffer; what was copied once needs no second copy.
    const own = request === this.#request ? request.copy() : request;
    const header = this.#reply.begin(own).copy();
    const waiting = this.#waiting.enter({ reply: header, heldBytes: own.length });
    this.#when(ready, waiting, {
      onReady: () => this.#run(operation, own, attempt),
      onLost: (error) => this.#answerError(error, () => this.#refuse(own, this.#errnoOf(error))),
    });
  }

  /**
   * The reply as it is now is sent when `durable` resolves; until then its buffer serves other requests. A wait for durability
   * that fails is never one caller's error alone: a second fsync must not succeed over what the first has lost.
   */
  #answerAfter(durable: Promise<void>, reply: FuseReply): void {
    const bytes = reply.copy();
    const waiting = this.#waiting.enter({ reply: bytes, heldBytes: bytes.length });
    this.#when(durable, waiting, {
      onReady: () => this.#options.send(bytes, bytes.length),
      onLost: (error) => {
        this.#options.send(bytes, turnIntoError(bytes, ERRNO.EIO));
        this.fail(error);
      },
    });
  }

  #when(
    promise: Promise<void>,
    waiting: WaitingRequest,
    next: { onReady: () => void; onLost: (error: unknown) => void },
  ): void {
    const leaveAnd = (action: () => void) => {
      if (!this.#waiting.leave(waiting)) return;
      try {
        action();
      } catch (error) {
        this.fail(error);
      }
    };
    promise.then(
      () => leaveAnd(next.onReady),
      (error: unknown) => leaveAnd(() => next.onLost(error)),
    );
  }

  /** Answers a refusal; any other error fails the session, after this request's own EIO. */
  #answerError(error: unknown, answer: () => void): void {
    answer();
    if (this.#context.handler.errnoOf(error) === undefined) this.fail(error);
  }

  #errnoOf(error: unknown): number {
    return this.#context.handler.errnoOf(error) ?? ERRNO.EIO;
  }

  #refuse(request: FuseRequest, errno: number): void {
    if (NO_REPLY.has(request.opcode)) return;
    const reply = this.#reply.begin(request);
    reply.error(errno);
    this.#options.send(reply.bytes, reply.length);
  }

  #begin(request: FuseRequest): void {
    const extended = request.length >= IN_HEADER.BYTES + 20;
    try {
      const agreement = negotiate({
        major: request.bodyU32(0),
        minor: request.bodyU32(4),
        readaheadBytesMax: request.bodyU32(8),
        flags: request.bodyU32(12),
        flags2: extended ? request.bodyU32(16) : 0,
      });
      const reply = this.#reply.begin(request);
      reply.body(encodeAgreement(agreement));
      this.#options.send(reply.bytes, reply.length);
      this.#begun.resolve(agreement);
    } catch (error) {
      this.#refuse(request, ERRNO.EPROTO);
      this.fail(error);
    }
  }

  /** struct fuse_batch_forget_in, then that many struct fuse_forget_one. */
  #forgetAll(request: FuseRequest): void {
    const count = request.bodyU32(0);
    for (let i = 0; i < count; i++) this.#forget(request.bodyU64(8 + i * 16), request.bodyU64(16 + i * 16));
  }

  #forget(ino: number, count: number): void {
    if (this.#context.lookups.drop(ino, count)) this.#tellForgotten(ino);
  }

  /** The counting is done once, so that an attempt which has to wait does not count twice. */
  #tellForgotten(ino: number): void {
    const { handler, lookups } = this.#context;
    if (lookups.holds(ino)) return; // It was looked up again in the meantime.
    try {
      handler.forget(ino);
      this.#context.opens.forgotten(ino);
    } catch (error) {
      const ready = handler.readyAfter(error);
      if (!ready) throw error;
      const waiting = this.#waiting.enter({ reply: undefined, heldBytes: 0 });
      this.#when(ready, waiting, {
        onReady: () => this.#tellForgotten(ino),
        onLost: (error) => this.fail(error),
      });
    }
  }
}
