/**
 * The backend's main loop, driven from outside: bytes from the request ring in, reply frames out, one batch after the
 * other, for ever. Runs in the engine's worker and blocks its thread while it waits.
 *
 * Fault model: an ordinary SQL error comes as the backend's longjmp and is handled here. Anything else that is thrown
 * (PANIC, abort, a trap of the machine) leaves the backend in no defined state: it goes through to the caller, the worker
 * ends, and the next one recovers from the log. PGlite's own loop would swallow it and spin.
 */
import type { Ticket } from '@rokka/volume';
import { FRAME_PAYLOAD_BYTES_MAX, FrameKind, RequestKind, type EngineEnd } from './engine-channel.ts';
import type { PgliteModule } from './pglite-module.ts';
import { readyMessage } from './wire-messages.ts';

/** Keep in step with POSTGRES_MAIN_LONGJMP of PGlite. */
const MAIN_LONGJMP_STATUS = 100;
/** A wait looks around this often, so that a lost wake-up costs this much and no more. */
const WAIT_SLICE_MS = 1000;

/** ReadyForQuery outside of a transaction. */
const AT_REST = readyMessage('I');

export class EngineLoop {
  readonly #module: PgliteModule;
  readonly #end: EngineEnd;
  readonly #applied: () => Ticket;
  readonly #out = new Uint8Array(FRAME_PAYLOAD_BYTES_MAX);
  #outLength = 0;
  /** The last bytes that the backend has said. */
  readonly #tail = Buffer.from(AT_REST);
  #cancelledBatch = 0;

  constructor(options: { module: PgliteModule; end: EngineEnd; applied: () => Ticket }) {
    this.#module = options.module;
    this.#end = options.end;
    this.#applied = options.applied;
    const read = this.#module.addFunction((pointer, length) => this.#read(pointer, length), 'ipi');
    const write = this.#module.addFunction((pointer, length) => this.#write(pointer, length), 'ipi');
    this.#module._pgl_set_rw_cbs(read, write);
  }

  /** Returns when the host has asked for the end and the database is shut down. */
  serve(): void {
    for (;;) {
      const kind = this.#end.nextBatch(WAIT_SLICE_MS);
      if (this.#end.closing) return this.#shutDown();
      if (kind === RequestKind.behind && (!this.#atRest || this.#end.isPutAside)) {
        this.#end.passOver(WAIT_SLICE_MS);
        this.#send(FrameKind.putAside);
        continue;
      }
      this.#work();
      // A cancel that came too late for its batch must not hit the next one.
      this.#module.HEAPU8[this.#module._QueryCancelPending] = 0;
      this.#send(FrameKind.done);
    }
  }

  /** Hands a pending cancel request to the backend. Called wherever the backend calls out, since it cannot be interrupted. */
  pollCancel(): void {
    if (!this.#end.cancelled || this.#cancelledBatch === this.#end.batchNumber) return;
    this.#cancelledBatch = this.#end.batchNumber;
    this.#module.HEAPU8[this.#module._QueryCancelPending] = 1;
    this.#module.HEAPU8[this.#module._InterruptPending] = 1;
  }

  /** The last batch is a Terminate message: the backend exits, which writes a checkpoint. */
  #shutDown(): void {
    this.#module._pgl_setPGliteActive(0);
    try {
      this.#work();
    } catch (error) {
      if ((error as { name?: unknown } | null)?.name !== 'ExitStatus') throw error;
    }
    this.#module._pgl_run_atexit_funcs();
    this.#send(FrameKind.done);
  }

  #work(): void {
    const module = this.#module;
    while (this.#end.moreToRead || module._pq_buffer_remaining_data() > 0) {
      const stack = module.stackSave();
      try {
        module._PostgresMainLoopOnce();
      } catch (error) {
        if ((error as { status?: unknown } | null)?.status !== MAIN_LONGJMP_STATUS) throw error;
        module.stackRestore(stack);
        module._PostgresMainLongJmp();
      }
    }
    module._PostgresSendReadyForQueryIfNecessary();
    module._pgl_pq_flush();
    this.#flush();
  }

  /** The backend asks for input: in the middle of a batch, or for COPY data that the client has yet to send. */
  #read(pointer: number, length: number): number {
    const into = this.#module.HEAPU8.subarray(pointer, pointer + length);
    return this.#end.read(into, WAIT_SLICE_MS, () => {
      // The client may be waiting for what was said so far before it goes on.
      this.#flush();
      this.pollCancel();
    });
  }

  /** Whether the last batch has left no transaction open. */
  get #atRest(): boolean {
    return this.#tail.equals(AT_REST);
  }

  #write(pointer: number, length: number): number {
    this.pollCancel();
    const kept = Math.max(0, this.#tail.length - length);
    this.#tail.copyWithin(0, this.#tail.length - kept);
    this.#tail.set(
      this.#module.HEAPU8.subarray(pointer + length - this.#tail.length + kept, pointer + length),
      kept,
    );
    let at = pointer;
    while (at < pointer + length) {
      const count = Math.min(pointer + length - at, this.#out.length - this.#outLength);
      this.#out.set(this.#module.HEAPU8.subarray(at, at + count), this.#outLength);
      this.#outLength += count;
      at += count;
      if (this.#outLength === this.#out.length) this.#flush();
    }
    return length;
  }

  #flush(): void {
    if (this.#outLength > 0) this.#send(FrameKind.reply);
    this.#outLength = 0;
  }

  #send(kind: number): void {
    const payload = kind === FrameKind.reply ? this.#out.subarray(0, this.#outLength) : new Uint8Array(0);
    this.#end.send({ kind, ticket: this.#applied(), payload }, WAIT_SLICE_MS);
  }
}
