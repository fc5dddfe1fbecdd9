/**
 * Requests that cannot be answered yet. Each holds the reply that it will get, at least its header, so that all of them can
 * be answered EIO at once when the mount fails. What is held is bounded: above the limits no more requests are taken from
 * the kernel, which then makes the callers wait.
 */
import { turnIntoError } from './reply.ts';

export interface WaitingRequest {
  /** A whole reply; undefined for a request that gets none. */
  readonly reply: Buffer | undefined;
  /** Memory that the wait keeps. */
  readonly heldBytes: number;
}

export interface WaitingRoomOptions {
  readonly requestsMax: number;
  readonly bytesMax: number;
  /** Called when a limit is passed; `onRoom` follows when half of it is free again. */
  readonly onFull: () => void;
  readonly onRoom: () => void;
}

export class WaitingRoom {
  readonly #options: WaitingRoomOptions;
  readonly #waiting = new Set<WaitingRequest>();
  #heldBytes = 0;
  #full = false;

  constructor(options: WaitingRoomOptions) {
    this.#options = options;
  }

  get size(): number {
    return this.#waiting.size;
  }

  enter(request: WaitingRequest): WaitingRequest {
    this.#waiting.add(request);
    this.#heldBytes += request.heldBytes;
    if (!this.#full && this.#fillsMoreThan(1)) {
      this.#full = true;
      this.#options.onFull();
    }
    return request;
  }

  /** False where the request was answered in the meantime, by `empty`. */
  leave(request: WaitingRequest): boolean {
    if (!this.#waiting.delete(request)) return false;
    this.#heldBytes -= request.heldBytes;
    if (this.#full && !this.#fillsMoreThan(0.5)) {
      this.#full = false;
      this.#options.onRoom();
    }
    return true;
  }

  /** Everybody leaves with the same error. */
  empty(errno: number, send: (reply: Buffer, length: number) => void): void {
    for (const request of this.#waiting) {
      this.leave(request);
      if (request.reply) send(request.reply, turnIntoError(request.reply, errno));
    }
  }

  #fillsMoreThan(share: number): boolean {
    const { requestsMax, bytesMax } = this.#options;
    return this.#waiting.size > requestsMax * share || this.#heldBytes > bytesMax * share;
  }
}
