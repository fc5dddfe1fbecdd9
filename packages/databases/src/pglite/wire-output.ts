/**
 * Replies on their way to a client. Each waits until everything that the engine had written when it gave the reply is
 * durable on the volume, so a client never hears of a commit that could be lost, its own or anybody's; and the engine
 * works on meanwhile, which is what makes many commits share one round to the quorum. (Replies that decide nothing come
 * with ticket 0: `provisional` in wire-session.ts.)
 */
import type { CodedError } from '@rokka/kernel';
import type { Ticket } from '@rokka/volume';

/** What says how far the volume is. */
export interface Durability {
  readonly durable: Ticket;
  whenDurable(ticket: Ticket): Promise<void>;
  /** What waits for company on its way to the volume goes now. */
  hurry(): void;
}

interface Held {
  readonly bytes: Buffer;
  readonly ticket: Ticket;
  readonly durability: Durability;
}

export class HeldReplies {
  readonly #write: (bytes: Buffer) => void;
  readonly #onLost: (reason: CodedError) => void;
  #queue: Held[] = [];
  #heldBytes = 0;
  #waits = false;

  /** `onLost` runs where a held reply can never be given: whether what it told of is durable is unknown. */
  constructor(write: (bytes: Buffer) => void, onLost: (reason: CodedError) => void) {
    this.#write = write;
    this.#onLost = onLost;
  }

  get heldBytes(): number {
    return this.#heldBytes;
  }

  push(bytes: Buffer, ticket: Ticket, durability: Durability): void {
    if (this.#queue.length === 0 && ticket <= durability.durable) return this.#write(bytes);
    this.#queue.push({ bytes, ticket, durability });
    this.#heldBytes += bytes.length;
    this.#pump();
  }

  /** Behind what is held, in its order, but not to be waited for by itself. */
  pushFree(bytes: Buffer): void {
    const last = this.#queue.at(-1);
    if (last) this.push(bytes, last.ticket, last.durability);
    else this.#write(bytes);
  }

  /** Where something is held, others wait for the client to hear it. */
  hasten(): void {
    this.#queue[0]?.durability.hurry();
  }

  /** The client is gone. */
  drop(): void {
    this.#queue = [];
    this.#heldBytes = 0;
  }

  #pump(): void {
    while (this.#queue.length > 0) {
      const { bytes, ticket, durability } = this.#queue[0];
      if (ticket > durability.durable) return this.#wait(ticket, durability);
      this.#queue.shift();
      this.#heldBytes -= bytes.length;
      this.#write(bytes);
    }
  }

  #wait(ticket: Ticket, durability: Durability): void {
    if (this.#waits) return;
    this.#waits = true;
    durability.whenDurable(ticket).then(
      () => {
        this.#waits = false;
        this.#pump();
      },
      (reason: CodedError) => {
        this.#waits = false;
        if (this.#queue.length === 0) return;
        this.drop();
        this.#onLost(reason);
      },
    );
  }
}
