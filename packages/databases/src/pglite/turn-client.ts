/** A connection, as far as the turns need it. */
import type { Ticket } from '@rokka/volume';
import type { InputQueue } from './wire-input.ts';
import type { WireError } from './wire-messages.ts';
import type { Durability } from './wire-output.ts';
import type { WireSession } from './wire-session.ts';

export interface TurnClient {
  readonly session: WireSession;
  readonly input: InputQueue;
  /** Disconnected, or on the way there: what it left in the backend must be cleared away. */
  readonly gone: boolean;
  /** More replies wait for the client than it should hold. `whenRelieved` is told when that has ended. */
  readonly congested: boolean;
  reply(chunks: readonly Buffer[], ticket: Ticket, durability: Durability): void;
  /** An answer that the backend had no part in. */
  answer(bytes: Buffer): void;
  /** Ends the connection with a FATAL error. */
  fail(error: WireError): void;
  /** Input was taken: there is room for more. */
  onTaken(): void;
  whenRelieved(run: () => void): void;
}
