/** Who waits for the volume's durable point, and who waits for room in front of it. */
import { Deferred, type CodedError } from '@rokka/kernel';
import type { Ticket } from './page-store.ts';

interface Waiter {
  readonly ticket: Ticket;
  readonly deferred: Deferred<void>;
}

/**
 * Waiters by ticket. Tickets mostly come in order, so the list is kept sorted by insertion from the end. Its length is
 * bounded by the requests that the kernel or the wire proxy keeps in flight.
 */
export class DurabilityWaiters {
  #waiters: Waiter[] = [];
  #failure: CodedError | undefined;

  get waiting(): boolean {
    return this.#waiters.length > 0;
  }

  wait(ticket: Ticket, durable: Ticket): Promise<void> {
    if (this.#failure) return Promise.reject(this.#failure);
    if (ticket <= durable) return Promise.resolve();
    const waiter = { ticket, deferred: new Deferred<void>() };
    let at = this.#waiters.length;
    while (at > 0 && this.#waiters[at - 1].ticket > ticket) at--;
    this.#waiters.splice(at, 0, waiter);
    return waiter.deferred.promise;
  }

  advance(durable: Ticket): void {
    let count = 0;
    while (count < this.#waiters.length && this.#waiters[count].ticket <= durable) count++;
    for (const waiter of this.#waiters.splice(0, count)) waiter.deferred.resolve();
  }

  fail(error: CodedError): void {
    this.#failure ??= error;
    for (const waiter of this.#waiters.splice(0)) waiter.deferred.reject(this.#failure);
  }
}

/** Waiters for room: all wake together and look again. */
export class RoomWaiters {
  #next: Deferred<void> | undefined;
  #failure: CodedError | undefined;

  get waiting(): boolean {
    return this.#next !== undefined;
  }

  wait(): Promise<void> {
    if (this.#failure) return Promise.reject(this.#failure);
    this.#next ??= new Deferred<void>();
    return this.#next.promise;
  }

  wake(): void {
    this.#next?.resolve();
    this.#next = undefined;
  }

  fail(error: CodedError): void {
    this.#failure ??= error;
    this.#next?.reject(this.#failure);
    this.#next = undefined;
  }
}
