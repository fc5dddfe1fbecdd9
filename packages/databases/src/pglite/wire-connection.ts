/**
 * One client on the wire: its bytes in and out, its log-in, its limits. What its messages mean is the session's affair,
 * when they run the turns'.
 *
 * Fault model: a client may send anything, stop in the middle, never read, or vanish. It costs bounded memory, bounded
 * time before it has logged in, and never a stuck engine: who does not read is cut off, and so is who has an open
 * transaction and says nothing (turns.ts).
 */
import type { Duplex } from 'node:stream';
import type { Clock, CodedError } from '@rokka/kernel';
import type { Ticket } from '@rokka/volume';
import { databaseErrors } from '../errors.ts';
import type { TurnClient } from './turn-client.ts';
import { ClientFramer, FramingError } from './wire-framer.ts';
import { InputQueue } from './wire-input.ts';
import type { Login, LoginStep } from './wire-login.ts';
import { errorMessage, FromClient, type WireError } from './wire-messages.ts';
import { HeldReplies, type Durability } from './wire-output.ts';
import type { WireSession } from './wire-session.ts';

export interface WireLimits {
  /** Longest message of a client that has logged in, such as an INSERT with a large value. */
  readonly messageBytesMax: number;
  readonly loginTimeoutMs: number;
  /** A client that takes nothing of what it was sent for this long is cut off. */
  readonly stallTimeoutMs: number;
}

/** What a connection asks of the server. */
export interface ConnectionHost {
  readonly clock: Clock;
  readonly limits: WireLimits;
  /** Makes the session, and says what the client is told before it is ready. @throws DATABASE_… */
  open(
    connection: WireConnection,
    settings: Map<string, string>,
  ): Promise<{ session: WireSession; bytes: Buffer }>;
  cancel(id: number, secret: number): void;
  onInput(connection: WireConnection): void;
  onClosed(connection: WireConnection): void;
  onGarbage(error: CodedError): void;
}

/** What the backend knows: by anything else it would end itself, and all others with it. */
const SERVED: ReadonlySet<number> = new Set(Object.values(FromClient)).difference(
  new Set([FromClient.password]),
);
const LOGIN_MESSAGE_BYTES_MAX = 65_536;
const INPUT_BYTES_MAX = 1024 * 1024;
const OUTPUT_BYTES_MAX = 4 * 1024 * 1024;
/** How long a client that was told goodbye may take to hear it. */
const FAREWELL_TIMEOUT_MS = 2000;

export class WireConnection implements TurnClient {
  readonly input = new InputQueue();
  readonly peer: string;
  readonly #socket: Duplex;
  readonly #host: ConnectionHost;
  readonly #login: Login;
  readonly #framer = new ClientFramer(LOGIN_MESSAGE_BYTES_MAX);
  readonly #held: HeldReplies;
  readonly #timers = new Set<() => void>();
  #phase: 'login' | 'opening' | 'open' | 'closed' = 'login';
  #session: WireSession | undefined;
  #relieved: (() => void) | undefined;
  #endLogin: () => void;
  #endStall: (() => void) | undefined;

  constructor(socket: Duplex, options: { peer: string; host: ConnectionHost; login: Login }) {
    this.peer = options.peer;
    this.#socket = socket;
    this.#host = options.host;
    this.#login = options.login;
    this.#held = new HeldReplies(
      (bytes) => this.#write(bytes),
      (reason) => this.fail(unknownOutcome(reason)),
    );
    this.#endLogin = this.#after(this.#host.limits.loginTimeoutMs, () =>
      this.fail({ severity: 'FATAL', sqlState: '57014', message: 'authentication took too long' }),
    );
    socket.on('data', (chunk: Buffer) => this.#onData(chunk));
    socket.on('drain', () => this.#onDrain());
    // A half-closed connection has no use here: who has said goodbye does not wait for answers.
    socket.on('end', () => this.#close());
    socket.on('error', () => this.#close());
    socket.on('close', () => this.#close());
  }

  get session(): WireSession {
    if (!this.#session) throw new Error('the connection has not logged in');
    return this.#session;
  }

  get hasSession(): boolean {
    return this.#session !== undefined;
  }

  get gone(): boolean {
    return this.#phase === 'closed';
  }

  get congested(): boolean {
    return this.#held.heldBytes + this.#socket.writableLength > OUTPUT_BYTES_MAX;
  }

  reply(chunks: readonly Buffer[], ticket: Ticket, durability: Durability): void {
    for (const chunk of chunks) this.#held.push(chunk, ticket, durability);
    if (this.#session?.keepsBackend) this.#held.hasten();
  }

  answer(bytes: Buffer): void {
    this.#held.pushFree(bytes);
  }

  fail(error: WireError): void {
    if (this.#phase === 'closed') return;
    // What is held is not for the client to hear any more: it is not known to be durable.
    this.#held.drop();
    this.#socket.end(errorMessage(error));
    this.#close();
  }

  onTaken(): void {
    if (this.input.bytes < INPUT_BYTES_MAX && this.#phase === 'open') this.#socket.resume();
  }

  whenRelieved(run: () => void): void {
    this.#relieved = run;
  }

  #onData(chunk: Buffer): void {
    if (this.#phase === 'closed') return;
    this.#framer.push(chunk);
    try {
      this.#advance();
    } catch (error) {
      if (!(error instanceof FramingError)) throw error;
      this.#onGarbage(error.message);
    }
    if (this.#phase === 'opening' || this.input.bytes >= INPUT_BYTES_MAX) this.#socket.pause();
  }

  #advance(): void {
    while (this.#phase === 'login') {
      if (this.#login.expectsStartup) {
        const packet = this.#framer.nextStartup();
        if (!packet) return;
        this.#step(this.#login.startup(packet));
        continue;
      }
      const packet = this.#framer.nextMessage();
      if (!packet) return;
      if (packet[0] !== FromClient.password) return this.#onGarbage('a message before the password');
      this.#step(this.#login.password(packet));
    }
    if (this.#phase !== 'open') return;
    for (let one = this.#framer.nextMessage(); one; one = this.#framer.nextMessage()) {
      if (one[0] === FromClient.terminate) return this.#close();
      if (!SERVED.has(one[0])) return this.#onGarbage(`a message of type 0x${one[0].toString(16)}`);
      this.input.push(one);
    }
    this.#host.onInput(this);
  }

  #step(step: LoginStep): void {
    switch (step.kind) {
      case 'send':
        this.#socket.write(step.bytes);
        break;
      case 'cancel':
        this.#host.cancel(step.id, step.secret);
        this.#socket.end();
        this.#close();
        break;
      case 'refuse':
        this.fail(step.error);
        break;
      case 'garbage':
        this.#onGarbage(step.why);
        break;
      case 'open':
        this.#phase = 'opening';
        void this.#open(step.bytes, step.settings);
        break;
    }
  }

  async #open(bytes: Buffer, settings: Map<string, string>): Promise<void> {
    try {
      const opened = await this.#host.open(this, settings);
      if (this.gone) return;
      this.#session = opened.session;
      this.#framer.bytesMax = this.#host.limits.messageBytesMax;
      this.#phase = 'open';
      this.#endLogin();
      this.#socket.write(Buffer.concat([bytes, opened.bytes]));
      this.#socket.resume();
      this.#onData(Buffer.alloc(0));
    } catch (error) {
      this.fail(wireErrorOf(error as CodedError));
    }
  }

  #onGarbage(why: string): void {
    const error = databaseErrors.DATABASE_WIRE_GARBAGE([this.peer, why]);
    this.#host.onGarbage(error);
    this.fail({ severity: 'FATAL', sqlState: '08P01', message: `${error.code}: ${error.message}` });
  }

  #write(bytes: Buffer): void {
    if (this.#phase === 'closed') return;
    const taken = this.#socket.write(bytes);
    this.#relieve();
    if (taken || this.#endStall) return;
    this.#endStall = this.#after(this.#host.limits.stallTimeoutMs, () => {
      this.#socket.destroy();
      this.#close();
    });
  }

  #onDrain(): void {
    this.#endStall?.();
    this.#endStall = undefined;
    this.#relieve();
  }

  #relieve(): void {
    if (this.congested && !this.gone) return;
    const relieved = this.#relieved;
    this.#relieved = undefined;
    relieved?.();
  }

  #close(): void {
    if (this.#phase === 'closed') return;
    this.#phase = 'closed';
    for (const cancel of this.#timers) cancel();
    this.#timers.clear();
    this.#held.drop();
    this.#socket.end();
    this.#host.clock.after(FAREWELL_TIMEOUT_MS, () => this.#socket.destroy());
    // What a client still sends must be read, or its side never sees our end.
    this.#socket.resume();
    this.#relieve();
    this.#host.onClosed(this);
  }

  #after(ms: number, run: () => void): () => void {
    const cancel = this.#host.clock.after(ms, run);
    const forget = () => {
      cancel();
      this.#timers.delete(forget);
    };
    this.#timers.add(forget);
    return forget;
  }
}

/** What a client is told of one of our own errors. */
export function wireErrorOf(error: CodedError): WireError {
  const { sqlState = '57P03', message } = error.detail as { sqlState?: string; message?: string };
  return { severity: 'FATAL', sqlState, message: message ?? `${error.code}: ${error.message}` };
}

function unknownOutcome(reason: CodedError): WireError {
  return {
    severity: 'FATAL',
    sqlState: '57P01',
    message: `terminating connection: ${reason.code}: ${reason.message}`,
    detail: 'Whether the last COMMIT is durable is not known.',
  };
}
