/** What the networks over byte streams share: their limits, a listener that owns its connections, and connecting. */
import type * as net from 'node:net';
import { assert, Deferred, type Clock, type CodedError } from '@rokka/kernel';
import {
  FRAME_BODY_BYTES_MAX,
  type Connection,
  type ConnectionHandler,
  type Listener,
} from './connection.ts';
import { transportErrors } from './errors.ts';
import { FRAME_HEADER_BYTES } from './frame.ts';
import {
  StreamConnection,
  type ConnectionLimits,
  type StreamConnectionOptions,
} from './stream-connection.ts';

export interface StreamNetworkOptions {
  clock: Clock;
  /** Most bytes that wait to be sent on one connection; default 16 MiB, at least one whole frame. */
  sendLimitBytes?: number;
  /** A connection that has not greeted by then is closed; default 5 s. */
  preambleTimeoutMs?: number;
  /** A connection on which nothing arrives for so long is closed; by default it stays open. */
  idleTimeoutMs?: number;
  /** Connections a listener holds at once; more are closed as they come. Default 1024. */
  connectionsMax?: number;
  /** For logs: a connection to a listener that ended before it greeted, or could not be accepted. */
  onRefused?: (reason: CodedError) => void;
}

export function connectionLimits(options: StreamNetworkOptions): ConnectionLimits {
  const { sendLimitBytes = 16 * 1024 * 1024, preambleTimeoutMs = 5_000, idleTimeoutMs } = options;
  assert(sendLimitBytes >= FRAME_BODY_BYTES_MAX + FRAME_HEADER_BYTES, 'sendLimitBytes holds no whole frame');
  return { sendLimitBytes, preambleTimeoutMs, idleTimeoutMs };
}

/** What tells one stream from another; the rest is the same for a whole network. */
export type StreamOrigin = Pick<
  StreamConnectionOptions,
  'socket' | 'onChunk' | 'writeAtOnce' | 'peer' | 'peerIdentity' | 'lingers'
>;

/** Owns a listening server and every connection that was accepted on it. */
export class StreamListener implements Listener {
  readonly address: string;
  readonly #server: net.Server;
  readonly #handler: (connection: Connection) => ConnectionHandler;
  readonly #options: StreamNetworkOptions;
  readonly #limits: ConnectionLimits;
  readonly #onDispose: () => void;
  readonly #connections = new Set<StreamConnection>();
  #disposed: Promise<void> | undefined;

  constructor(
    server: net.Server,
    setup: {
      address: string;
      handler: (connection: Connection) => ConnectionHandler;
      options: StreamNetworkOptions;
      /** Lets go of what else belongs to the listener, once nothing more is accepted. */
      onDispose: () => void;
    },
  ) {
    const { address, options } = setup;
    this.address = address;
    this.#server = server;
    this.#handler = setup.handler;
    this.#options = options;
    this.#limits = connectionLimits(options);
    this.#onDispose = setup.onDispose;
    server.maxConnections = options.connectionsMax ?? 1024;
    server.on('error', (error: NodeJS.ErrnoException) =>
      options.onRefused?.(transportErrors.TRANSPORT_RESET([address, error.code ?? error.message])),
    );
  }

  accept(origin: StreamOrigin): StreamConnection {
    const connection = new StreamConnection({
      ...origin,
      clock: this.#options.clock,
      limits: this.#limits,
      onOpen: this.#handler,
      onRefused: (reason) => this.#options.onRefused?.(reason),
    });
    this.#connections.add(connection);
    origin.socket.once('close', () => this.#connections.delete(connection));
    return connection;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return (this.#disposed ??= this.#dispose());
  }

  async #dispose(): Promise<void> {
    const closed = new Deferred<void>();
    // Stops accepting, and calls back when the last connection has ended.
    this.#server.close(() => closed.resolve());
    this.#onDispose();
    for (const connection of this.#connections) connection.close();
    await closed.promise;
  }
}

/**
 * Resolves once the other side has greeted. The caller holds the deadline, and destroys the socket where it passes.
 *
 * @throws why the connection ended before that
 */
export function openConnection(
  origin: StreamOrigin,
  options: { clock: Clock; limits: ConnectionLimits; handler: ConnectionHandler },
): Promise<Connection> {
  const { clock, limits, handler } = options;
  const opened = new Deferred<Connection>();
  const onOpen = (connection: Connection) => {
    opened.resolve(connection);
    return handler;
  };
  // The socket holds on to it.
  void new StreamConnection({ ...origin, clock, limits, onOpen, onRefused: opened.reject });
  return opened.promise;
}
