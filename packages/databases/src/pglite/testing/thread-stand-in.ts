/** The engine's thread for unit tests: on the same thread and rings as the life under test, it does nothing but what it is told to. */
import { EventEmitter } from 'node:events';
import { Deferred, type Clock, type CodedError } from '@rokka/kernel';
import type { Ticket } from '@rokka/volume';
import { ByteRing } from '../byte-ring.ts';
import { EngineEnd, FrameKind, RequestKind } from '../engine-channel.ts';
import { EngineLife, type EngineConfiguration, type EnginePages, type EngineThread } from '../engine-life.ts';
import type { EngineWorkerData } from '../engine-worker.ts';

const NOTHING_WRITTEN = 0 as Ticket;
const READ_BYTES = 64 * 1024;

export class ThreadStandIn {
  readonly end: EngineEnd;
  readonly #requests: ByteRing;
  readonly #events = new EventEmitter();
  /** It has posted that there are frames. */
  isWaking = false;
  isDead = false;

  private constructor({ memory }: EngineWorkerData) {
    this.#requests = new ByteRing(memory.request);
    this.end = new EngineEnd(memory, () => (this.isWaking = true));
  }

  static async life(clock: Clock): Promise<{ thread: ThreadStandIn; life: EngineLife }> {
    const made = new Deferred<ThreadStandIn>();
    const starting = EngineLife.start({
      pages: pagesStandIn(),
      configuration: {} as EngineConfiguration,
      clock,
      startTimeoutMs: 1000,
      signal: new AbortController().signal,
      onProgress: () => {},
      onLog: () => {},
      startThread: (data) => {
        const thread = new ThreadStandIn(data);
        made.resolve(thread);
        return thread.#asWorker();
      },
    });
    const thread = await made.promise;
    thread.#events.emit('message', { kind: 'ready', functionBodies: [] });
    return { thread, life: await starting };
  }

  /** Takes the next batch, if there is one: its bytes, or undefined where it is to be put aside. */
  take(atRest = true): { bytes: Buffer | undefined } | undefined {
    if (this.isDead || this.#requests.usedBytes === 0) return undefined;
    const kind = this.end.nextBatch(1);
    if (kind === RequestKind.behind && (!atRest || this.end.isPutAside)) {
      this.end.passOver(1);
      return { bytes: undefined };
    }
    const parts: Buffer[] = [];
    while (this.end.moreToRead) {
      const into = Buffer.alloc(READ_BYTES);
      parts.push(
        into.subarray(
          0,
          this.end.read(into, 1, () => {}),
        ),
      );
    }
    return { bytes: Buffer.concat(parts) };
  }

  say(kind: number, payload: Uint8Array = new Uint8Array(0)): void {
    this.end.send({ kind, ticket: NOTHING_WRITTEN, payload }, 1);
  }

  /** One batch from its beginning to its end, answered with `payload`. @returns its text, or undefined where it was put aside */
  work(payload: Uint8Array, atRest = true): string | undefined {
    const bytes = this.take(atRest)?.bytes;
    if (!bytes) return this.say(FrameKind.putAside) as undefined;
    this.say(FrameKind.reply, payload);
    this.say(FrameKind.done);
    return bytes.toString('latin1');
  }

  /** What the thread has posted reaches the event loop. */
  deliver(): void {
    if (!this.isWaking) return;
    this.isWaking = false;
    this.#events.emit('message', 0);
  }

  #asWorker(): EngineThread {
    const thread = {
      on: (name: string, run: (...args: unknown[]) => void) => this.#events.on(name, run),
      terminate: () => {
        this.isDead = true;
        return Promise.resolve(0);
      },
    };
    return thread as unknown as EngineThread;
  }
}

function pagesStandIn(): EnginePages {
  return {
    memory: {} as EnginePages['memory'],
    durable: NOTHING_WRITTEN,
    gathers: false,
    hurry: () => {},
    ended: new Deferred<CodedError>().promise,
    ticketNow: () => NOTHING_WRITTEN,
    whenDurable: () => Promise.resolve(),
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
}
