/** A connection to a storage node for requests and their answers: what gossip uses, and whoever asks a node for its state. */
import type { Clock, CodedError } from '@rokka/kernel';
import { Caller, type CallOptions, type ConnectionHandler, type Network } from '@rokka/transport';
import { storageErrors } from './errors.ts';
import { decodeError, decodeHelloAnswer, encodeHello } from './message-codec.ts';
import { MESSAGE, STORAGE_PROTOCOL, type Hello, type HelloAnswer } from './messages.ts';

export interface NodeClientOptions {
  network: Network;
  address: string;
  /** Whom the caller expects there. */
  hello: Omit<Hello, 'protocol'>;
  clock: Clock;
  timeoutMs: number;
  /** What is no answer, such as ACK and SHIP_REFUSED, and the connection's other events. */
  rest?: Partial<ConnectionHandler>;
}

export class NodeClient {
  readonly caller: Caller;
  readonly node: HelloAnswer;

  private constructor(caller: Caller, node: HelloAnswer) {
    this.caller = caller;
    this.node = node;
  }

  /** @throws what Network.connect throws; STORAGE_WRONG_CLUSTER, STORAGE_WRONG_NODE, STORAGE_WRONG_PROTOCOL */
  static async connect(options: NodeClientOptions): Promise<NodeClient> {
    const { network, address, hello, clock, timeoutMs, rest } = options;
    const caller = await Caller.connect(network, address, {
      clock,
      timeoutMs,
      isAnswer: (type) => type === MESSAGE.OK || type === MESSAGE.ERROR,
      ...(rest ? { rest } : {}),
    });
    try {
      const body = await request(caller, {
        type: MESSAGE.HELLO,
        parts: [encodeHello({ ...hello, protocol: STORAGE_PROTOCOL })],
        timeoutMs,
      });
      return new NodeClient(caller, decodeHelloAnswer(body));
    } catch (error) {
      caller.connection.close();
      throw error;
    }
  }

  /**
   * The body of the node's OK.
   * @throws the error that the node answered, TRANSPORT_CALL_LATE, or the reason of the connection's end
   */
  request(type: number, parts: readonly Uint8Array[], options: CallOptions): Promise<Uint8Array> {
    return request(this.caller, { type, parts, ...options });
  }

  close(reason?: CodedError): void {
    this.caller.connection.close(reason);
  }
}

async function request(
  caller: Caller,
  message: CallOptions & { type: number; parts: readonly Uint8Array[] },
): Promise<Uint8Array> {
  const { type, parts, ...options } = message;
  const answer = await caller.call(type, parts, options);
  if (answer.type === MESSAGE.OK) return answer.body;
  if (answer.type === MESSAGE.ERROR) throw decodeError(answer.body);
  throw storageErrors.STORAGE_BAD_MESSAGE([answer.type, `no answer to a message of type ${type}`]);
}
