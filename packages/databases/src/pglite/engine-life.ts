/**
 * One life of the engine's worker, seen from the event loop: a batch goes in, replies come out, one batch at a time. The
 * life ends once, with a reason, and is not used again; engine.ts starts the next one.
 */
import { Worker } from 'node:worker_threads';
import { assert, CodedError, deadline, Deferred, describeError, type Clock } from '@rokka/kernel';
import type { SharedPageMemory, Ticket } from '@rokka/volume';
import { databaseErrors } from '../errors.ts';
import { FrameKind, HostEnd, makeEngineMemory } from './engine-channel.ts';
import type { EngineMessage, EngineWorkerData } from './engine-worker.ts';
import { FromClient, message } from './wire-messages.ts';

/** A batch that the engine has not begun to read after this long finds it stuck. */
const STUCK_TIMEOUT_MS = 30_000;
/** What a killed worker had handed over may still become durable, so that replies which wait for it get out. */
const LAST_TICKETS_TIMEOUT_MS = 2000;

/** The event loop's half of the worker's pages: SharedPageHost of @rokka/volume, opened for one life. */
export interface EnginePages extends AsyncDisposable {
  readonly memory: SharedPageMemory;
  readonly durable: Ticket;
  readonly ended: Promise<CodedError>;
  ticketNow(): Ticket;
  whenDurable(ticket: Ticket): Promise<void>;
}

export type EngineConfiguration = Omit<EngineWorkerData, 'memory' | 'pages'>;

export interface LifeOptions {
  readonly pages: EnginePages;
  readonly configuration: EngineConfiguration;
  readonly clock: Clock;
  readonly startTimeoutMs: number;
  /** Ends a start that is under way. */
  readonly signal: AbortSignal;
  readonly onProgress: (step: string) => void;
  readonly onLog: (line: string) => void;
}

export type OnReply = (bytes: Buffer, ticket: Ticket) => void;

export class EngineLife {
  readonly pages: EnginePages;
  /** Why the life ended. Never rejects. */
  readonly ended: Promise<CodedError>;
  readonly #clock: Clock;
  readonly #end = new Deferred<CodedError>();
  readonly #host: HostEnd;
  readonly #worker: Worker;
  readonly #ready = new Deferred<void>();
  readonly #onProgress: (step: string) => void;
  readonly #onLog: (line: string) => void;
  #exchange: { onReply: OnReply; done: Deferred<Ticket> } | undefined;
  #unsent: Uint8Array[] = [];
  #unsentBytes = 0;
  #onDrain: (() => void) | undefined;
  #paused = false;
  #over = false;

  private constructor(options: LifeOptions) {
    const memory = makeEngineMemory();
    this.pages = options.pages;
    this.ended = this.#end.promise;
    this.#clock = options.clock;
    this.#onProgress = options.onProgress;
    this.#onLog = options.onLog;
    this.#host = new HostEnd(memory);
    const workerData: EngineWorkerData = {
      ...options.configuration,
      memory,
      pages: options.pages.memory,
    };
    this.#worker = new Worker(new URL('./engine-worker.ts', import.meta.url), { workerData });
    this.#worker.on('message', (said: EngineMessage) => this.#onMessage(said));
    this.#worker.on('error', (error) => this.#onError(error));
    this.#worker.on('exit', () => void this.terminate('its thread has ended'));
    void options.pages.ended.then((reason) => this.#terminate(reason));
  }

  /** @throws DATABASE_START_SLOW, DATABASE_DIRECTORY_FOREIGN, DATABASE_INITDB_FAILED, DATABASE_PGLITE_CHANGED, VOLUME_… */
  static async start(options: LifeOptions): Promise<EngineLife> {
    const life = new EngineLife(options);
    const what = 'the start of the embedded engine';
    const cancel = options.clock.after(options.startTimeoutMs, () => {
      void life.#terminate(databaseErrors.DATABASE_START_SLOW([what, options.startTimeoutMs]));
    });
    const abort = () => void life.#terminate(databaseErrors.DATABASE_ENGINE_CLOSED([]));
    options.signal.addEventListener('abort', abort, { once: true });
    if (options.signal.aborted) abort();
    try {
      await life.#ready.promise;
    } finally {
      cancel();
      options.signal.removeEventListener('abort', abort);
    }
    return life;
  }

  /** Runs a batch of whole messages. One at a time. @throws DATABASE_ENGINE_LOST where the life ends meanwhile */
  execute(batch: Uint8Array, onReply: OnReply): Promise<Ticket> {
    assert(!this.#exchange, 'a batch is running already');
    if (this.#over) return this.#end.promise.then((reason) => Promise.reject(reason));
    const done = new Deferred<Ticket>();
    this.#exchange = { onReply, done };
    const position = this.#host.readPosition;
    const cancel = this.#clock.after(STUCK_TIMEOUT_MS, () => {
      if (this.#host.readPosition === position) void this.terminate('it does not take its batch');
    });
    this.#host.begin(batch.length);
    this.feed(batch);
    return done.promise.finally(cancel);
  }

  /** Sends whole messages of COPY data into the batch that runs. */
  feed(bytes: Uint8Array): void {
    this.#unsent.push(bytes);
    this.#unsentBytes += bytes.length;
    this.#push();
  }

  /** Bytes that the engine has not had room for yet. */
  get backlogBytes(): number {
    return this.#unsentBytes;
  }

  set onDrain(run: (() => void) | undefined) {
    this.#onDrain = run;
  }

  /** Leaves replies in the ring, so that the engine waits once it is full: the client reads too slowly. */
  pause(): void {
    this.#paused = true;
  }

  resume(): void {
    if (!this.#paused) return;
    this.#paused = false;
    this.#drain();
  }

  /** Asks the running batch to fail with 57014. Heard when it next touches a file or writes rows; maybe never. */
  cancel(): void {
    if (this.#exchange) this.#host.cancel();
  }

  /** Shuts the database down in order, so that the next start has nothing to recover. */
  async close(timeoutMs: number): Promise<void> {
    if (!this.#over && !this.#exchange) {
      this.#host.announceClose();
      const bye = this.execute(message(FromClient.terminate), () => {});
      try {
        await deadline(bye, { what: 'the shutdown of the engine', ms: timeoutMs, clock: this.#clock });
      } catch (error) {
        // Killing it costs a recovery at the next start and nothing else.
        this.#onLog(`shutdown: ${describeError(error)}`);
      }
    }
    await this.#terminate(databaseErrors.DATABASE_ENGINE_CLOSED([]));
  }

  terminate(why: string): Promise<void> {
    return this.#terminate(databaseErrors.DATABASE_ENGINE_LOST([why]));
  }

  async #terminate(reason: CodedError): Promise<void> {
    if (this.#over) return;
    this.#over = true;
    await this.#worker.terminate();
    this.#paused = false;
    // What it said before it died is as good as ever, once it is durable.
    this.#drain();
    await this.#lastTickets();
    await this.pages[Symbol.asyncDispose]();
    // First the end, so that whoever sees the batch fail finds the engine in its next life already.
    this.#end.resolve(reason);
    this.#ready.reject(reason);
    this.#exchange?.done.reject(reason);
    this.#exchange = undefined;
  }

  async #lastTickets(): Promise<void> {
    const durable = this.pages.whenDurable(this.pages.ticketNow());
    const bounded = {
      what: 'the last writes of the engine',
      ms: LAST_TICKETS_TIMEOUT_MS,
      clock: this.#clock,
    };
    await deadline(durable, bounded).catch(() => {});
  }

  #onMessage(said: EngineMessage): void {
    if (said === 0) {
      this.#push();
      if (this.#unsentBytes === 0) this.#onDrain?.();
      this.#drain();
    } else if (said.kind === 'progress') this.#onProgress(said.step);
    else if (said.kind === 'log') this.#onLog(said.line);
    else if (said.kind === 'failed') this.#onFailed(said);
    else {
      this.#drain();
      this.#ready.resolve();
    }
  }

  #onFailed({ code, message }: { code: string; message: string }): void {
    if (code === 'DATABASE_ENGINE_LOST') void this.terminate(message);
    else void this.#terminate(new CodedError(code, message));
  }

  #onError(error: unknown): void {
    void this.terminate(error instanceof Error ? (error.stack ?? error.message) : String(error));
  }

  #push(): void {
    while (this.#unsent.length > 0 && !this.#over) {
      const count = this.#host.put(this.#unsent[0]);
      this.#unsentBytes -= count;
      if (count < this.#unsent[0].length) {
        this.#unsent[0] = this.#unsent[0].subarray(count);
        break;
      }
      this.#unsent.shift();
    }
  }

  #drain(): void {
    while (!this.#paused) {
      const frame = this.#host.next();
      if (!frame) return;
      if (frame.kind === FrameKind.reply) {
        const { buffer, byteOffset, length } = frame.payload;
        this.#exchange?.onReply(Buffer.from(buffer, byteOffset, length), frame.ticket);
        continue;
      }
      const done = this.#exchange?.done;
      this.#exchange = undefined;
      done?.resolve(frame.ticket);
    }
  }
}
