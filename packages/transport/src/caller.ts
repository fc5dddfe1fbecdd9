/**
 * Requests and their answers on one connection. Each call has a deadline, their number has a limit, and all of them
 * fail when the connection ends: nobody waits for an answer that cannot come.
 *
 * A call that fails with TRANSPORT_CALL_LATE or with the connection may have been carried out all the same; whether it
 * can be repeated is for the caller to know.
 */
import { Deferred, type Clock, type CodedError } from '@rokka/kernel';
import type { Connection, ConnectionHandler, Frame, Network } from './connection.ts';
import { transportErrors } from './errors.ts';
import { connectWith } from './late-handler.ts';
import { WaitingCalls } from './waiting-calls.ts';

export interface Answer {
  readonly type: number;
  /** The caller's to keep. */
  readonly body: Uint8Array;
}

export interface CallerOptions {
  clock: Clock;
  /** Calls that may wait for their answers at once; default 1024. */
  callsMax?: number;
  /**
   * Which types are answers. An answer that nobody waits for any more is dropped; every other frame goes to `rest`.
   * By default every frame with a request id is an answer: say more where the other side sends requests, too.
   */
  isAnswer?: (type: number) => boolean;
  /** Whatever is not an answer, and all other events of the connection. */
  rest?: Partial<ConnectionHandler>;
}

export interface CallOptions {
  timeoutMs: number;
  /** Memory for an answer of that many bytes; otherwise the answer has new memory. */
  into?: ((length: number) => Uint8Array | undefined) | undefined;
}

interface Waiting {
  readonly answer: Deferred<Answer>;
  readonly into: CallOptions['into'];
  readonly cancelDeadline: () => void;
}

export class Caller implements ConnectionHandler {
  readonly connection: Connection;
  readonly #clock: Clock;
  readonly #callsMax: number;
  readonly #isAnswer: (type: number) => boolean;
  readonly #rest: Partial<ConnectionHandler>;
  readonly #waiting = new WaitingCalls<Waiting>();
  #ended: CodedError | undefined;

  constructor(connection: Connection, options: CallerOptions) {
    this.connection = connection;
    this.#clock = options.clock;
    this.#callsMax = options.callsMax ?? 1024;
    this.#isAnswer = options.isAnswer ?? (() => true);
    this.#rest = options.rest ?? {};
  }

  /** A caller on a new connection, which it owns: close it through `caller.connection`. @throws what Network.connect throws */
  static async connect(
    network: Network,
    address: string,
    options: CallerOptions & { timeoutMs: number },
  ): Promise<Caller> {
    let caller: Caller | undefined;
    const handler = (connection: Connection) => (caller = new Caller(connection, options));
    const connection = await connectWith(network, address, { timeoutMs: options.timeoutMs, handler });
    return caller ?? handler(connection);
  }

  /** Calls that wait for their answers. */
  get inFlight(): number {
    return this.#waiting.count;
  }

  /**
   * Sends a request made of `parts` (as `Connection.send`) and resolves with its answer.
   *
   * @throws TRANSPORT_CALL_LATE after `timeoutMs`; TRANSPORT_CALLS_FULL and TRANSPORT_SEND_FULL where nothing was sent;
   *   the reason of the connection's end
   */
  call(type: number, parts: readonly Uint8Array[], options: CallOptions): Promise<Answer> {
    const { peer, bufferedBytes } = this.connection;
    const { timeoutMs, into } = options;
    if (this.#ended) return Promise.reject(this.#ended);
    if (this.#waiting.count >= this.#callsMax)
      return Promise.reject(transportErrors.TRANSPORT_CALLS_FULL([peer, this.#callsMax]));
    const requestId = this.#waiting.nextId();
    if (!this.connection.send(type, requestId, parts))
      return Promise.reject(transportErrors.TRANSPORT_SEND_FULL([peer, bufferedBytes]));
    const answer = new Deferred<Answer>();
    const cancelDeadline = this.#clock.after(timeoutMs, () => {
      this.#waiting.remove(requestId);
      answer.reject(transportErrors.TRANSPORT_CALL_LATE([peer, type, timeoutMs]));
    });
    this.#waiting.add(requestId, { answer, into, cancelDeadline });
    return answer.promise;
  }

  onFrame(connection: Connection, frame: Frame): void {
    const answers = frame.requestId !== 0 && this.#isAnswer(frame.type);
    if (!answers) return this.#rest.onFrame?.(connection, frame);
    const waiting = this.#waiting.remove(frame.requestId);
    if (!waiting) return;
    waiting.cancelDeadline();
    waiting.answer.resolve({ type: frame.type, body: kept(frame, waiting.into) });
  }

  onClose(connection: Connection, reason: CodedError): void {
    this.#ended = reason;
    for (const { answer, cancelDeadline } of this.#waiting.removeAll()) {
      cancelDeadline();
      answer.reject(reason);
    }
    this.#rest.onClose?.(connection, reason);
  }

  memoryFor(frame: { type: number; requestId: number; length: number }): Uint8Array | undefined {
    if (frame.requestId === 0 || !this.#isAnswer(frame.type)) return this.#rest.memoryFor?.(frame);
    return this.#waiting.get(frame.requestId)?.into?.(frame.length);
  }

  onBatchEnd(connection: Connection): void {
    this.#rest.onBatchEnd?.(connection);
  }

  onDrain(connection: Connection): void {
    this.#rest.onDrain?.(connection);
  }
}

/** The body for as long as one likes: a copy, where it would not last. */
function kept({ body, owned }: Frame, into: CallOptions['into']): Uint8Array {
  if (owned) return new Uint8Array(body.buffer, body.byteOffset, body.length);
  const memory = into?.(body.length);
  if (!memory) return new Uint8Array(body);
  memory.set(body);
  return memory;
}
