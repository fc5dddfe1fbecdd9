/**
 * What the packages above see of the network. Unix sockets and TLS implement it here; the simulator has its own.
 *
 * A frame is a type byte, a request id and a body. Frames arrive whole, in order and checked, or the connection ends
 * with a coded error: there is no partial delivery and no resend below this interface.
 */
import type { CodedError } from '@rokka/kernel';
import type { PeerIdentity } from './peer-identity.ts';
import type { SharedFrame } from './shared-frame.ts';

export interface Frame {
  /** Meaning of the body; the packages above number their own types from 1. */
  readonly type: number;
  /** Pairs an answer with its request. 0 for messages that have no answer. */
  readonly requestId: number;
  /** A view that is valid only during the call that delivers it: copy what must outlive it. */
  readonly body: Uint8Array;
  /** The body lies in memory of its own, or in what the receiver gave for it (`memoryFor`): whoever writes to that knows. */
  readonly owned?: boolean;
}

export interface Connection {
  /** For messages and logs: the path or address of the other side. */
  readonly peer: string;
  /** Whom the other side has proven to be; undefined on unix sockets and in memory, where nobody else gets in. */
  readonly peerIdentity?: PeerIdentity | undefined;
  /** Bytes accepted by `send` and not yet taken by the kernel. */
  readonly bufferedBytes: number;
  /**
   * Queues one frame made of `parts` (not copied: they must not change until they have left). Answers false, and sends
   * nothing, where the connection has ended or the buffer limit would be exceeded: a slow peer costs bounded memory.
   * `onLeft` runs when the parts of a frame that was accepted are not needed any more, whatever became of them.
   */
  send(type: number, requestId: number, parts: readonly Uint8Array[], onLeft?: () => void): boolean;
  /** As `send`, what other connections are sent as well. */
  sendShared(frame: SharedFrame): boolean;
  /**
   * Ends the connection; `onClose` runs once, later. What was sent before still leaves, as long as the other side takes
   * it within a second.
   */
  close(reason?: CodedError): void;
}

export interface ConnectionHandler {
  /** A coded error thrown from here (a message that cannot be read) ends the connection with it; any other is a bug. */
  onFrame(connection: Connection, frame: Frame): void;
  /** Once, when the connection has ended, by either side or by an error. */
  onClose(connection: Connection, reason: CodedError): void;
  /** All frames of one read from the socket have been delivered: the moment to act on the batch (group commit). */
  onBatchEnd?(connection: Connection): void;
  /**
   * Memory of `length` bytes for the body of a frame that arrives in pieces, the frame's own until it is delivered; where
   * nothing is answered, the connection takes new memory. A body that came in one piece is a view, as any.
   */
  memoryFor?(frame: { type: number; requestId: number; length: number }): Uint8Array | undefined;
  /** The send buffer has emptied. Sure to come where `send` refused a frame for want of room; it may come at other times too. */
  onDrain?(connection: Connection): void;
}

export interface Listener extends AsyncDisposable {
  readonly address: string;
}

export interface Network {
  /**
   * `handler` is called for each connection once its other side has greeted. The listener owns these connections: they
   * end when it is disposed.
   *
   * @throws TRANSPORT_ADDRESS_USED, TRANSPORT_PERMISSION, TRANSPORT_PATH_TOO_LONG, TRANSPORT_BAD_ADDRESS,
   *   TRANSPORT_LISTEN_FAILED
   */
  listen(address: string, handler: (connection: Connection) => ConnectionHandler): Promise<Listener>;
  /**
   * Resolves once the other side has greeted; the caller owns the connection. Frames may reach `handler` before the
   * caller runs on. Where this throws, `handler` hears nothing.
   *
   * @throws TRANSPORT_UNREACHABLE, TRANSPORT_NOT_ROKKA, TRANSPORT_WRONG_VERSION, TRANSPORT_BAD_ADDRESS, TRANSPORT_TLS_*,
   *   KERNEL_DEADLINE
   */
  connect(address: string, handler: ConnectionHandler, options: { timeoutMs: number }): Promise<Connection>;
}

/** Largest body accepted; a longer frame, such as one that claims 4 GB, ends the connection with TRANSPORT_FRAME_TOO_LONG. */
export const FRAME_BODY_BYTES_MAX = 8 * 1024 * 1024;
