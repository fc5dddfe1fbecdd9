/**
 * One storage node as the writer sees it: a connection that is kept up, calls with deadlines, the stream of ships and acks.
 *
 * A link is `up` when the node has said HELLO under the identity that the registry names. Whoever owns the link fences the
 * node's segments then, before anything else is said. A call that is late closes the connection: a node that accepts and
 * stays silent is treated as one that is gone (aurora.md trap 26).
 */
import { assert, type Clock, type CodedError, isCoded, type NodeId, type Random } from '@rokka/kernel';
import {
  decodeAcks,
  decodeError,
  decodeHelloAnswer,
  decodeShipRefused,
  encodeHello,
  MESSAGE,
  STORAGE_PROTOCOL,
  type Ack,
  type ShipRefused,
} from '@rokka/storage';
import {
  Caller,
  Reconnector,
  SharedFrame,
  type CallOptions,
  type Connection,
  type ConnectionHandler,
  type Network,
} from '@rokka/transport';
import { volumeErrors } from './errors.ts';

const CALL_TIMEOUT_MS = 5_000;
const CALLS_MAX = 4_096;

export interface NodeLinkOptions {
  node: NodeId;
  address: string;
  cluster: string;
  network: Network;
  clock: Clock;
  random: Random;
  events: NodeLinkEvents;
}

export interface NodeLinkEvents {
  onUp(link: NodeLink): void;
  onDown(link: NodeLink, reason: CodedError): void;
  onAck(link: NodeLink, ack: Ack): void;
  onRefused(link: NodeLink, refused: ShipRefused): void;
  /** The send buffer has emptied. */
  onDrain(link: NodeLink): void;
}

export class NodeLink implements AsyncDisposable {
  readonly node: NodeId;
  readonly address: string;
  readonly #options: NodeLinkOptions;
  readonly #reconnector: Reconnector;
  #caller: Caller | undefined;
  #up = false;
  #connections = 0;
  #store = '';
  /** When the first message was sent that nothing has been heard since. */
  #unansweredSinceMs: number | undefined;
  #lastError: CodedError | undefined;

  constructor(options: NodeLinkOptions) {
    this.node = options.node;
    this.address = options.address;
    this.#options = options;
    const { network, address, clock, random } = options;
    this.#reconnector = new Reconnector({
      network,
      address,
      clock,
      random,
      handler: (connection) => this.#connected(connection),
      onFailure: (reason) => (this.#lastError = reason),
    });
  }

  get up(): boolean {
    return this.#up;
  }

  /** Counts its connections: a node that was started again has another one. */
  get connections(): number {
    return this.#connections;
  }

  /** Which data directory answers under the node's name. */
  get store(): string {
    return this.#store;
  }

  /** Why it is not up, for people. */
  get lastError(): CodedError | undefined {
    return this.#up ? undefined : this.#lastError;
  }

  get bufferedBytes(): number {
    return this.#caller?.connection.bufferedBytes ?? 0;
  }

  /**
   * Sends a request and gives back the body of its OK.
   * @throws the node's own coded error; VOLUME_NODE_DOWN; TRANSPORT_CALL_LATE, after which the connection is closed
   */
  async call(
    type: number,
    parts: readonly Uint8Array[],
    options: Partial<CallOptions> & { closeWhenLate?: boolean } = {},
  ): Promise<Uint8Array> {
    const caller = this.#caller;
    if (!caller) throw volumeErrors.VOLUME_NODE_DOWN([this.node], { cause: this.#lastError });
    try {
      const { timeoutMs = CALL_TIMEOUT_MS, into } = options;
      const answer = await caller.call(type, parts, { timeoutMs, into });
      if (answer.type === MESSAGE.ERROR) throw decodeError(answer.body);
      assert(answer.type === MESSAGE.OK, () => `answer of type ${answer.type}`);
      return answer.body;
    } catch (error) {
      const late = isCoded(error, 'TRANSPORT_CALL_LATE');
      if (late && options.closeWhenLate !== false) caller.connection.close(error);
      throw error;
    }
  }

  /** Sends a message that has no answer of its own. False where it cannot be taken: the node fills the hole by gossip. */
  send(type: number, parts: readonly Uint8Array[]): boolean {
    return this.sendShared(new SharedFrame(type, parts));
  }

  /** As `send`, what other nodes are sent as well. */
  sendShared(frame: SharedFrame): boolean {
    const sent = this.#caller?.connection.sendShared(frame) ?? false;
    if (sent) this.#unansweredSinceMs ??= this.#options.clock.nowMs();
    return sent;
  }

  /** A node that takes everything and says nothing is as good as gone; so is one whose other end vanished. */
  closeWhenSilent(silenceMs: number): void {
    if (this.#unansweredSinceMs === undefined) return;
    if (this.#options.clock.nowMs() - this.#unansweredSinceMs < silenceMs) return;
    this.#caller?.connection.close(volumeErrors.VOLUME_NODE_SILENT([this.node, silenceMs]));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#reconnector[Symbol.asyncDispose]();
  }

  #connected(connection: Connection): ConnectionHandler {
    const { events, clock } = this.#options;
    const caller = new Caller(connection, {
      clock,
      callsMax: CALLS_MAX,
      isAnswer: (type) => type === MESSAGE.OK || type === MESSAGE.ERROR,
      rest: {
        onFrame: (_connection, frame) => {
          this.#unansweredSinceMs = undefined;
          if (frame.type === MESSAGE.ACK) for (const ack of decodeAcks(frame.body)) events.onAck(this, ack);
          else if (frame.type === MESSAGE.SHIP_REFUSED) events.onRefused(this, decodeShipRefused(frame.body));
        },
        onDrain: () => events.onDrain(this),
        onClose: (_connection, reason) => {
          this.#caller = undefined;
          this.#unansweredSinceMs = undefined;
          this.#lastError = reason;
          if (!this.#up) return;
          this.#up = false;
          events.onDown(this, reason);
        },
      },
    });
    this.#caller = caller;
    this.#connections++;
    void this.#greet(connection);
    return caller;
  }

  async #greet(connection: Connection): Promise<void> {
    const { cluster, node, events } = this.#options;
    try {
      const hello = encodeHello({ protocol: STORAGE_PROTOCOL, cluster, node });
      const answer = decodeHelloAnswer(await this.call(MESSAGE.HELLO, [hello]));
      assert(answer.node === node, 'a node answered for another');
      this.#store = answer.store;
    } catch (error) {
      if (!isCoded(error)) throw error;
      this.#lastError = error;
      connection.close(error);
      return;
    }
    if (this.#caller?.connection !== connection) return;
    this.#up = true;
    events.onUp(this);
  }
}
