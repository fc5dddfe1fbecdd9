/**
 * The event loop's half of SharedPageStore: moves the worker's mini-transactions from the shared ring into the sink, in
 * order, tells the worker what is durable, and fetches pages and maps space for it.
 *
 * One host serves one life of one worker. When the worker was killed, what it had put into the ring and the host had not
 * yet moved is lost, as in a crash; nothing of it was ever durable, so nobody was told that it was. The next life begins
 * with `open` once more, which waits for everything that was moved: a fresh cache would read past it.
 *
 * Where clients wait in a line for the engine, what it writes is gathered for a moment before it is moved (`gathers`): each move becomes a
 * message to six nodes, and six times a process that is woken and a disk that syncs.
 *
 * The worker knows nothing of a clone's base: a page that only the base has is written whole before the worker gets it.
 *
 * Invariants: `durable` covers a mini-transaction of the worker only if the sink's durable point covers it; after the
 * disposal nothing is appended any more, so that the next life's writes cannot be mixed with this one's.
 */
import {
  assert,
  CodedError,
  Deferred,
  isCoded,
  systemClock,
  type Clock,
  type PageNumber,
} from '@rokka/kernel';
import { DurabilityWaiters } from './durability.ts';
import { volumeErrors } from './errors.ts';
import { adoptPage } from './inheritance.ts';
import type { Ticket } from './page-store.ts';
import { RecordArena } from './record-arena.ts';
import { MTR_BYTES_MAX, type AsyncRecordSink } from './record-sink.ts';
import { REQUEST, SharedControl, type SharedPageMemory } from './shared-control.ts';
import { SharedRing } from './shared-ring.ts';

/** About four transactions of a few statements each: docs/decisions/0018. */
const GATHER_MS = 3;
const RING_BYTES_DEFAULT = 8 * 1024 * 1024;
/** Mini-transactions moved in one turn of the event loop, which has sockets to serve as well: about a millisecond. */
const MOVES_A_TURN = 512;
/** Beyond this the newest mark stands for more: durability is then told later, never too early. */
const MARKS_MAX = 4096;

/** The worker's first `put` mini-transactions are durable when the sink's `ticket` is. */
interface Mark {
  put: number;
  ticket: Ticket;
}

export class SharedPageHost implements AsyncDisposable {
  /** For the worker. */
  readonly memory: SharedPageMemory;
  /** Resolves with the reason when the host has ended, by itself (the sink failed) or by its disposal. */
  readonly ended: Promise<CodedError>;
  readonly #sink: AsyncRecordSink;
  readonly #clock: Clock;
  readonly #control: SharedControl;
  readonly #arena = new RecordArena();
  readonly #waiters = new DurabilityWaiters();
  readonly #end = new Deferred<CodedError>();
  readonly #marks: Mark[] = [];
  #moved = 0;
  #failure: CodedError | undefined;
  #awaitsRoom = false;
  #following = false;
  #answering = false;
  readonly #gatherMs: number;
  #gathers = false;

  private constructor(sink: AsyncRecordSink, options: { ringBytes: number; gatherMs: number; clock: Clock }) {
    assert(
      options.ringBytes >= SharedRing.entryBytes(MTR_BYTES_MAX),
      () => `a ring of ${options.ringBytes} bytes cannot hold the longest mini-transaction`,
    );
    this.memory = SharedControl.allocate({ ringBytes: options.ringBytes, pagesMax: sink.pagesMax });
    this.ended = this.#end.promise;
    this.#sink = sink;
    this.#clock = options.clock;
    this.#gatherMs = options.gatherMs;
    this.#control = new SharedControl(this.memory);
    this.#control.mappedPages = sink.mappedPages;
    void this.#listen();
  }

  /** Waits until everything that the sink took before is durable. @throws VOLUME_FENCED, VOLUME_CLOSED */
  static async open(
    sink: AsyncRecordSink,
    options: { ringBytes?: number; gatherMs?: number; clock?: Clock } = {},
  ): Promise<SharedPageHost> {
    await sink.whenDurable(sink.applied);
    return new SharedPageHost(sink, {
      ringBytes: options.ringBytes ?? RING_BYTES_DEFAULT,
      gatherMs: options.gatherMs ?? GATHER_MS,
      clock: options.clock ?? systemClock,
    });
  }

  /**
   * Covers everything that the worker has applied so far. Taken when the worker has handed over a reply, it is what the
   * reply has to wait for.
   */
  ticketNow(): Ticket {
    return this.#control.put as Ticket;
  }

  get durable(): Ticket {
    return this.#control.durable as Ticket;
  }

  /** @throws what the host has ended with */
  whenDurable(ticket: Ticket): Promise<void> {
    return this.#waiters.wait(ticket, this.durable);
  }

  get failure(): CodedError | undefined {
    return this.#failure;
  }

  /**
   * Whether what the worker writes may be gathered before it leaves, so that whoever waits for its durability waits a few milliseconds longer.
   * For as long as others keep the engine busy; what has been gathered leaves when that ends.
   */
  get gathers(): boolean {
    return this.#gathers;
  }

  set gathers(gathers: boolean) {
    this.#gathers = gathers;
    if (!gathers) this.hurry();
  }

  /** What has been gathered leaves now: somebody waits for it whom others wait for. */
  hurry(): void {
    // Else the next gathering would end before it began.
    if (this.#moved < this.#control.put) this.#control.hurry();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#fail(volumeErrors.VOLUME_CLOSED(['of this engine']));
  }

  /** The one loop: does what there is, then sleeps until the worker or one of our own waits wakes it. */
  async #listen(): Promise<void> {
    while (!this.#failure) {
      const seen = this.#control.hostSeen;
      this.#control.calmDown();
      this.#answer();
      this.#move();
      const woken = this.#control.hostWoken(seen);
      if (woken) await woken;
      else await new Promise<void>((resolve) => this.#clock.soon(resolve));
      if (woken && this.#gathers) await this.#control.gathered(this.#gatherMs);
    }
  }

  #move(): void {
    if (this.#awaitsRoom) return;
    const before = this.#moved;
    try {
      while (this.#moved < before + MOVES_A_TURN && this.#moveOne());
    } catch (error) {
      this.#fail(error);
      return;
    }
    if (this.#moved === before) return;
    this.#mark();
    this.#control.wakeWorker();
    // The bell rings for us too: there may be more than a turn's share.
    if (this.#moved === before + MOVES_A_TURN) this.#control.wakeHost();
  }

  /** False where the ring is empty, or the sink lets us wait. */
  #moveOne(): boolean {
    const entry = this.#control.ring.peek();
    if (!entry) return false;
    if (!this.#sink.hasRoom(entry.bytes, entry.records)) {
      this.#awaitsRoom = true;
      void this.#awaitRoom(entry.bytes, entry.records);
      return false;
    }
    this.#control.ring.shift(this.#arena.reserve(entry.bytes));
    this.#sink.append(this.#arena.take(), entry.records);
    this.#moved++;
    return true;
  }

  async #awaitRoom(bytes: number, records: number): Promise<void> {
    try {
      await this.#sink.whenRoom(bytes, records);
      this.#awaitsRoom = false;
      // Whoever was in a hurry meanwhile found nothing moved.
      this.#control.hurry();
      this.#control.wakeHost();
    } catch (error) {
      this.#fail(error);
    }
  }

  #mark(): void {
    const newest = { put: this.#moved, ticket: this.#sink.applied };
    if (this.#marks.length < MARKS_MAX) this.#marks.push(newest);
    else this.#marks[this.#marks.length - 1] = newest;
    if (!this.#following) void this.#follow();
  }

  /** Tells of durability for as long as there is anything to wait for. */
  async #follow(): Promise<void> {
    this.#following = true;
    try {
      while (this.#marks.length > 0 && !this.#failure) {
        await this.#sink.whenDurable(this.#marks[0].ticket);
        this.#tellDurable();
      }
    } catch (error) {
      this.#fail(error);
    } finally {
      this.#following = false;
    }
  }

  #tellDurable(): void {
    const { durable } = this.#sink;
    let count = 0;
    while (count < this.#marks.length && this.#marks[count].ticket <= durable) count++;
    const last = this.#marks.splice(0, count).at(-1);
    if (!last || this.#failure) return;
    this.#control.durable = last.put;
    this.#waiters.advance(last.put as Ticket);
    this.#control.wakeWorker();
  }

  #answer(): void {
    const request = this.#answering ? undefined : this.#control.request();
    if (request) void this.#serve(request);
  }

  async #serve({ id, kind, pages }: { id: number; kind: number; pages: PageNumber[] }): Promise<void> {
    this.#answering = true;
    let failure: CodedError | undefined;
    try {
      if (kind === REQUEST.GROW) await this.#sink.grow(pages[0]);
      else await this.#fetch(pages);
      this.#control.mappedPages = this.#sink.mappedPages;
    } catch (error) {
      if (!concernsRequestOnly(error)) this.#fail(error);
      else failure = error;
    }
    this.#answering = false;
    this.#control.answer(id, failure);
  }

  async #fetch(pages: PageNumber[]): Promise<void> {
    const contents = await Promise.all(this.#sink.readMany(pages));
    for (const [index, content] of contents.entries()) {
      if (content) await adoptPage(this.#sink, pages[index], content);
      this.#control.setContent(index, content);
    }
  }

  #fail(error: unknown): void {
    if (this.#failure) return;
    const coded = error instanceof CodedError ? error : undefined;
    this.#failure = coded ?? volumeErrors.VOLUME_CLOSED(['of this engine'], { cause: error });
    this.#control.setEnd(this.#failure);
    this.#waiters.fail(this.#failure);
    this.#end.resolve(this.#failure);
    if (!coded) throw error;
  }
}

/** A page that cannot be read, or a volume that cannot grow: the volume itself goes on. */
function concernsRequestOnly(error: unknown): error is CodedError {
  return error instanceof CodedError && !isCoded(error, 'VOLUME_FENCED') && !isCoded(error, 'VOLUME_CLOSED');
}
