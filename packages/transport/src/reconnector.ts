/**
 * Keeps a connection to one address up: connects, hands the connection to its owner, and connects again after it has
 * ended, until it is disposed. The waits grow from 10 ms to 1 s and are spread at random, so that the clients of a node
 * that comes back do not all arrive at once. A connection must live for the longest wait before the waits start small
 * again: a node that accepts and drops at once is not hammered.
 */
import { assert, Deferred, isCoded, type Clock, type CodedError, type Random } from '@rokka/kernel';
import type { Connection, ConnectionHandler, Network } from './connection.ts';
import { connectWith } from './late-handler.ts';

const WAIT_MS_MIN = 10;
const WAIT_MS_MAX = 1_000;

export interface ReconnectorOptions {
  network: Network;
  address: string;
  clock: Clock;
  random: Random;
  /** Called for each connection, as by a listener. */
  handler: (connection: Connection) => ConnectionHandler;
  /** For each attempt; default 5 s. */
  timeoutMs?: number;
  /** For logs: an attempt has failed; the next one follows after `waitMs`. */
  onFailure?: (reason: CodedError, waitMs: number) => void;
}

export class Reconnector implements AsyncDisposable {
  readonly #options: ReconnectorOptions;
  #connection: Connection | undefined;
  #openedMs = 0;
  #closed = new Deferred<void>();
  #attempt: Promise<void> | undefined;
  #cancelWait: (() => void) | undefined;
  #waitMs = WAIT_MS_MIN;
  #disposed = false;

  /** Starts at once. */
  constructor(options: ReconnectorOptions) {
    this.#options = options;
    this.#connect();
  }

  /** The connection, while there is one. */
  get connection(): Connection | undefined {
    return this.#connection;
  }

  /** Closes the connection; resolves when its handler knows, and no attempt is under way any more. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#disposed = true;
    this.#cancelWait?.();
    // An attempt that is under way has its own deadline.
    await this.#attempt;
    if (!this.#connection) return;
    this.#connection.close();
    await this.#closed.promise;
  }

  #connect(): void {
    assert(!this.#connection, 'a reconnector has one connection');
    this.#attempt = this.#tryOnce().finally(() => {
      this.#attempt = undefined;
    });
  }

  async #tryOnce(): Promise<void> {
    const { network, address, timeoutMs = 5_000, clock } = this.#options;
    try {
      await connectWith(network, address, {
        timeoutMs,
        handler: (connection) => {
          this.#connection = connection;
          this.#openedMs = clock.nowMs();
          this.#closed = new Deferred();
          return this.#watched(this.#options.handler(connection));
        },
      });
    } catch (error) {
      if (!isCoded(error)) throw error;
      this.#retry(error);
    }
  }

  #watched(handler: ConnectionHandler): ConnectionHandler {
    return {
      onFrame: (connection, frame) => handler.onFrame(connection, frame),
      onBatchEnd: (connection) => handler.onBatchEnd?.(connection),
      onDrain: (connection) => handler.onDrain?.(connection),
      onClose: (connection, reason) => {
        this.#connection = undefined;
        if (this.#options.clock.nowMs() - this.#openedMs >= WAIT_MS_MAX) this.#waitMs = WAIT_MS_MIN;
        handler.onClose(connection, reason);
        this.#closed.resolve();
        this.#retry(reason);
      },
    };
  }

  /** Waits between half of the current wait and all of it; the next is twice as long. */
  #retry(reason: CodedError): void {
    if (this.#disposed) return;
    const { clock, random, onFailure } = this.#options;
    const half = this.#waitMs / 2;
    const waitMs = half + random.below(half + 1);
    this.#waitMs = Math.min(this.#waitMs * 2, WAIT_MS_MAX);
    onFailure?.(reason, waitMs);
    this.#cancelWait = clock.after(waitMs, () => this.#connect(), { keepAlive: true });
  }
}
