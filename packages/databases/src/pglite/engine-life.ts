/**
 * One life of the engine's worker, seen from the event loop: a batch goes in, replies come out, one batch after the other; some may lie
 * behind the one that runs (engine-channel.ts). The life ends once, with a reason, and is not used again; engine.ts starts the next one.
 */
import { Worker } from 'node:worker_threads';
import { assert, CodedError, deadline, Deferred, describeError, type Clock } from '@rokka/kernel';
import type { SharedPageMemory, Ticket } from '@rokka/volume';
import { databaseErrors } from '../errors.ts';
import { FrameKind, HostEnd, makeEngineMemory, RequestKind } from './engine-channel.ts';
import type { EngineMessage, EngineWorkerData } from './engine-worker.ts';
import { FromClient, message } from './wire-messages.ts';

/** A batch whose turn it is and that the engine has not begun to read after this long finds it stuck; after twice as long it is ended. */
const STUCK_TIMEOUT_MS = 30_000;
/** Enough that the engine does not wait for the event loop. */
const BATCHES_MAX = 32;
/** Of one that lies behind others: so all of them fit into the ring. */
const BEHIND_BYTES_MAX = 4 * 1024;
/** What a killed worker had handed over may still become durable, so that replies which wait for it get out. */
const LAST_TICKETS_TIMEOUT_MS = 2000;

/** The event loop's half of the worker's pages: SharedPageHost of @rokka/volume, opened for one life. */
export interface EnginePages extends AsyncDisposable {
  readonly memory: SharedPageMemory;
  readonly durable: Ticket;
  readonly ended: Promise<CodedError>;
  /** Whether what the engine writes may leave a little later, and together. */
  gathers: boolean;
  /** What has been gathered leaves now. */
  hurry(): void;
  ticketNow(): Ticket;
  whenDurable(ticket: Ticket): Promise<void>;
}

export type EngineConfiguration = Omit<EngineWorkerData, 'memory' | 'pages'>;

/** The worker, as far as a life needs it. */
export type EngineThread = Pick<Worker, 'on' | 'terminate'>;

export interface LifeOptions {
  readonly pages: EnginePages;
  readonly configuration: EngineConfiguration;
  readonly clock: Clock;
  readonly startTimeoutMs: number;
  /** Ends a start that is under way. */
  readonly signal: AbortSignal;
  readonly onProgress: (step: string) => void;
  readonly onLog: (line: string) => void;
  readonly startThread?: (workerData: EngineWorkerData) => EngineThread;
}

export type OnReply = (bytes: Buffer, ticket: Ticket) => void;

/** A batch that lay behind others may have been put aside, never begun: because of what those left, or because the life ended before. */
export type Outcome = 'done' | 'put aside';

/** A batch that was given to the engine. */
export interface GivenBatch {
  readonly number: number;
  readonly outcome: Promise<Outcome>;
}

interface Exchange {
  readonly number: number;
  /** Where it begins in the request ring. */
  readonly position: number;
  readonly onReply: OnReply;
  readonly outcome: Deferred<Outcome>;
  readonly isBehind: boolean;
  /** It was taken back, and the engine has not come to it yet. */
  isTakenBack: boolean;
}

export class EngineLife {
  readonly pages: EnginePages;
  /** Of the functions that were there when the life began, those that may leave settings behind. */
  functionBodies: readonly string[] = [];
  /** Why the life ended. Never rejects. */
  readonly ended: Promise<CodedError>;
  /** Whether clients wait in the line while others have the engine. */
  othersWait: () => boolean = () => false;
  readonly #clock: Clock;
  readonly #end = new Deferred<CodedError>();
  readonly #host: HostEnd;
  readonly #worker: EngineThread;
  readonly #ready = new Deferred<void>();
  readonly #onProgress: (step: string) => void;
  readonly #onLog: (line: string) => void;
  /** In the order in which they run. */
  readonly #exchanges: Exchange[] = [];
  #batches = 0;
  #watched: number | undefined;
  #unsent: Uint8Array[] = [];
  #unsentBytes = 0;
  #onDrain: (() => void) | undefined;
  #paused = false;
  #isLookingOut = false;
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
    this.#worker = (options.startThread ?? startWorker)(workerData);
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

  /** Whether a batch of so many bytes may be given now, behind those that are not done yet. */
  hasRoomBehind(bytes: number): boolean {
    const isFree = !this.#over && this.#exchanges.length < BATCHES_MAX && this.#unsentBytes === 0;
    return isFree && bytes <= BEHIND_BYTES_MAX;
  }

  /**
   * Runs a batch of whole messages; behind the ones before it if none of them leaves a transaction open. Its outcome rejects with
   * DATABASE_ENGINE_LOST, or whatever ended the life, where it may have been begun by then.
   */
  execute(batch: Uint8Array, onReply: OnReply): GivenBatch {
    if (this.#over) return { number: 0, outcome: this.#end.promise.then((reason) => Promise.reject(reason)) };
    const behind = this.#exchanges.some(({ isTakenBack }) => !isTakenBack);
    assert(!behind || this.hasRoomBehind(batch.length), 'a batch is running already');
    const number = (this.#batches + 1) | 0 || 1;
    this.#batches = number;
    const outcome = new Deferred<Outcome>();
    const position = (this.#host.writtenPosition + this.#unsentBytes) | 0;
    this.#exchanges.push({ number, position, onReply, outcome, isBehind: behind, isTakenBack: false });
    this.#tellContention();
    this.#watch();
    this.#put(HostEnd.request(behind ? RequestKind.behind : RequestKind.batch, number, batch));
    if (!behind) this.#lookOut();
    return { number, outcome: outcome.promise };
  }

  /** Those that lie behind the one that runs are put aside, at once where the engine has taken none of them. */
  takeBack(): void {
    const [, ...behind] = this.#exchanges.filter(({ isTakenBack }) => !isTakenBack);
    const [first] = behind;
    if (!first) return;
    // The engine may have yet to come to those that were taken back before.
    const from = this.#exchanges.find(({ isTakenBack }) => isTakenBack) ?? first;
    if (!this.#host.putAside(from.number, this.#batches, first.number)) return;
    for (const exchange of behind) {
      exchange.isTakenBack = true;
      exchange.outcome.resolve('put aside');
    }
  }

  /** Sends whole messages of COPY data into the batch that runs. */
  feed(bytes: Uint8Array): void {
    const [running] = this.#exchanges;
    if (running) this.#put(HostEnd.request(RequestKind.more, running.number, bytes));
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
    // What is left in the ring of a life that ends says what was done.
    this.#paused = !this.#over;
  }

  resume(): void {
    if (!this.#paused) return;
    this.#paused = false;
    this.#drain();
  }

  /** Asks the running batch to fail with 57014. Heard when it next touches a file or writes rows; maybe never. */
  cancel(batch: number): void {
    if (this.#exchanges[0]?.number === batch) this.#host.cancel(batch);
  }

  /** Shuts the database down in order, so that the next start has nothing to recover. */
  async close(timeoutMs: number): Promise<void> {
    if (!this.#over && this.#exchanges.length === 0) {
      this.#host.announceClose();
      const bye = this.execute(message(FromClient.terminate), () => {}).outcome;
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
    // The engine begins with one when it has told the end of the one before it.
    for (const [at, { outcome, isBehind }] of this.#exchanges.splice(0).entries())
      // One that does not lie behind others may belong to a transaction, which went with the life.
      if (at === 0 || !isBehind) outcome.reject(reason);
      else outcome.resolve('put aside');
  }

  /** One timer for many batches: most last less than a millisecond. */
  #watch(): void {
    const [running] = this.#exchanges;
    if (this.#watched !== undefined || !running || this.#over) return;
    this.#watched = running.number;
    this.#clock.after(
      STUCK_TIMEOUT_MS,
      () => {
        const watched = this.#watched;
        this.#watched = undefined;
        const [still] = this.#exchanges;
        const isBegun = still && ((this.#host.readPosition - still.position) | 0) > 0;
        if (still?.number === watched && !isBegun) void this.terminate('it does not take its batch');
        else this.#watch();
      },
      { keepAlive: false },
    );
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
      this.functionBodies = said.functionBodies;
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

  #put(bytes: Uint8Array): void {
    this.#unsent.push(bytes);
    this.#unsentBytes += bytes.length;
    this.#push();
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

  /** The reply may be here before this thread would have fallen asleep. First comes what has arrived on sockets. */
  #lookOut(): void {
    if (this.#isLookingOut || this.#paused || !this.#host.isContended) return;
    this.#isLookingOut = true;
    this.#host.stayAwake();
    this.#clock.soon(() => {
      this.#isLookingOut = false;
      // A batch that is not all there yet waits for this thread.
      if (!this.#over && this.#unsentBytes === 0) this.#host.lookOut();
      this.#drain();
    });
  }

  /** Where others wait, the engine's time is what counts: it is waited for awake, and what it writes leaves a little later, and together. */
  #tellContention(): void {
    const isContended = this.othersWait() || this.#exchanges.length > 1;
    this.#host.isContended = isContended;
    this.pages.gathers = isContended;
  }

  #drain(): void {
    while (!this.#paused) {
      const frame = this.#host.next();
      if (!frame) return;
      const [running] = this.#exchanges;
      if (frame.kind === FrameKind.reply) {
        const { buffer, byteOffset, length } = frame.payload;
        running?.onReply(Buffer.from(buffer, byteOffset, length), frame.ticket);
        continue;
      }
      this.#exchanges.shift();
      this.#tellContention();
      running?.outcome.resolve(frame.kind === FrameKind.done ? 'done' : 'put aside');
    }
  }
}

function startWorker(workerData: EngineWorkerData): EngineThread {
  return new Worker(new URL('./engine-worker.ts', import.meta.url), { workerData });
}
