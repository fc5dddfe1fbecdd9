/**
 * The network on one machine: unix stream sockets that only their owner can open (mode 0600 from the start, in a
 * directory that others cannot write to).
 *
 * A killed process leaves its socket file behind; whoever listens next finds that nobody answers there and replaces it.
 * The sockets of one directory belong to one data directory, whose own lock keeps two programs from starting at once;
 * what is checked here only keeps a mistake from taking a live listener's place.
 */
import * as fs from 'node:fs';
import * as net from 'node:net';
import { isMainThread } from 'node:worker_threads';
import { assert, deadline, Deferred, isCoded, type Clock, type CodedError } from '@rokka/kernel';
import {
  FRAME_BODY_BYTES_MAX,
  type Connection,
  type ConnectionHandler,
  type Listener,
  type Network,
} from './connection.ts';
import { transportErrors } from './errors.ts';
import { FRAME_HEADER_BYTES } from './frame.ts';
import {
  inspectSocketFile,
  openSocketPath,
  prepareSocketDirectory,
  removeSocketFile,
  type SocketPath,
} from './unix-address.ts';
import { UnixConnection, type ConnectionLimits } from './unix-connection.ts';

/** A live listener takes a connection at once, unless its machine stands still. */
const PROBE_TIMEOUT_MS = 2_000;
const PERMISSION_CODES = ['EACCES', 'EPERM', 'EROFS'];

export interface UnixNetworkOptions {
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

export function unixNetwork(options: UnixNetworkOptions): Network {
  const { clock, sendLimitBytes = 16 * 1024 * 1024, preambleTimeoutMs = 5_000, idleTimeoutMs } = options;
  assert(sendLimitBytes >= FRAME_BODY_BYTES_MAX + FRAME_HEADER_BYTES, 'sendLimitBytes holds no whole frame');
  const limits: ConnectionLimits = { sendLimitBytes, preambleTimeoutMs, idleTimeoutMs };
  return {
    listen: (address, handler) => listen(address, handler, { ...options, limits }),
    connect: (address, handler, { timeoutMs }) => connect(address, handler, { clock, limits, timeoutMs }),
  };
}

interface ListenOptions extends UnixNetworkOptions {
  limits: ConnectionLimits;
}

async function listen(
  address: string,
  handler: (connection: Connection) => ConnectionHandler,
  options: ListenOptions,
): Promise<Listener> {
  let socketPath: SocketPath | undefined;
  try {
    prepareSocketDirectory(address);
    socketPath = openSocketPath(address);
    let server = await bind(socketPath.path);
    if (!server) {
      await removeStale(address, socketPath.path, options.clock);
      server = await bind(socketPath.path);
    }
    if (!server) throw transportErrors.TRANSPORT_ADDRESS_USED([address, 'another process was faster']);
    return new UnixListener(server, { address, socketPath, handler, options });
  } catch (error) {
    socketPath?.[Symbol.dispose]();
    throw listenFailure(address, error);
  }
}

function listenFailure(address: string, error: unknown): unknown {
  if (isCoded(error) || !(error instanceof Error)) return error;
  const code = (error as NodeJS.ErrnoException).code ?? error.message;
  if (PERMISSION_CODES.includes(code))
    return transportErrors.TRANSPORT_PERMISSION([address, code], { cause: error });
  return transportErrors.TRANSPORT_LISTEN_FAILED([address, code], { cause: error });
}

/** A listening server, or undefined where something lies at `path` already. */
async function bind(path: string): Promise<net.Server | undefined> {
  const server = net.createServer();
  const bound = new Deferred<net.Server | undefined>();
  server.once('listening', () => bound.resolve(server));
  server.once('error', (error: NodeJS.ErrnoException) =>
    error.code === 'EADDRINUSE' ? bound.resolve(undefined) : bound.reject(error),
  );
  // The file is made within this call: the mask gives it its mode from its first moment, the chmod serves worker
  // threads, which have no mask of their own to set.
  const mask = isMainThread ? process.umask(0o177) : undefined;
  try {
    server.listen(path);
    if (server.listening) fs.chmodSync(path, 0o600);
  } finally {
    if (mask !== undefined) process.umask(mask);
  }
  return bound.promise;
}

/** @throws TRANSPORT_ADDRESS_USED unless what lies at `path` is a socket on which nobody listens */
async function removeStale(address: string, path: string, clock: Clock): Promise<void> {
  const found = inspectSocketFile(path);
  if (found.kind === 'none') return;
  if (found.kind === 'other')
    throw transportErrors.TRANSPORT_ADDRESS_USED([address, 'a file that is no socket lies there']);
  const refused = new Deferred<boolean>();
  const probe = net.connect(path);
  probe.once('connect', () => refused.resolve(false));
  probe.once('error', (error: NodeJS.ErrnoException) => refused.resolve(error.code === 'ECONNREFUSED'));
  try {
    const stale = await deadline(refused.promise, {
      what: `probe of ${address}`,
      ms: PROBE_TIMEOUT_MS,
      clock,
    });
    if (!stale) throw transportErrors.TRANSPORT_ADDRESS_USED([address, 'another process listens there']);
    removeSocketFile(path, found.identity);
  } finally {
    probe.destroy();
  }
}

/** Owns the socket file and every connection that was accepted on it. */
class UnixListener implements Listener {
  readonly address: string;
  readonly #server: net.Server;
  readonly #socketPath: SocketPath;
  readonly #connections = new Set<UnixConnection>();
  #disposed: Promise<void> | undefined;

  constructor(
    server: net.Server,
    setup: {
      address: string;
      socketPath: SocketPath;
      handler: (connection: Connection) => ConnectionHandler;
      options: ListenOptions;
    },
  ) {
    const { address, options } = setup;
    this.address = address;
    this.#server = server;
    this.#socketPath = setup.socketPath;
    server.maxConnections = options.connectionsMax ?? 1024;
    server.on('error', (error: NodeJS.ErrnoException) =>
      options.onRefused?.(transportErrors.TRANSPORT_RESET([address, error.code ?? error.message])),
    );
    server.on('connection', (socket) => {
      const connection = new UnixConnection({
        socket,
        peer: address,
        clock: options.clock,
        limits: options.limits,
        onOpen: setup.handler,
        onRefused: (reason) => options.onRefused?.(reason),
      });
      this.#connections.add(connection);
      socket.once('close', () => this.#connections.delete(connection));
    });
  }

  [Symbol.asyncDispose](): Promise<void> {
    return (this.#disposed ??= this.#dispose());
  }

  async #dispose(): Promise<void> {
    const closed = new Deferred<void>();
    // Stops accepting, removes the file, and calls back when the last connection has ended.
    this.#server.close(() => closed.resolve());
    this.#socketPath[Symbol.dispose]();
    for (const connection of this.#connections) connection.close();
    await closed.promise;
  }
}

async function connect(
  address: string,
  handler: ConnectionHandler,
  options: { clock: Clock; limits: ConnectionLimits; timeoutMs: number },
): Promise<Connection> {
  const { clock, limits, timeoutMs } = options;
  using socketPath = reachable(address);
  const socket = net.connect(socketPath.path);
  const opened = new Deferred<Connection>();
  const onOpen = (connection: Connection) => {
    opened.resolve(connection);
    return handler;
  };
  const onRefused = (reason: CodedError) => opened.reject(unreachable(address, reason));
  const made = new UnixConnection({ socket, peer: address, clock, limits, onOpen, onRefused });
  try {
    return await deadline(opened.promise, { what: `connecting to ${made.peer}`, ms: timeoutMs, clock });
  } catch (error) {
    socket.destroy();
    throw error;
  }
}

function reachable(address: string): SocketPath {
  try {
    return openSocketPath(address);
  } catch (error) {
    if (isCoded(error)) throw error;
    const why = (error as NodeJS.ErrnoException).code ?? String(error);
    throw transportErrors.TRANSPORT_UNREACHABLE([address, why], { cause: error });
  }
}

/** A stranger at the address is named as such; whatever else went wrong before the greeting means "not there". */
function unreachable(address: string, reason: CodedError): CodedError {
  if (reason.code !== 'TRANSPORT_RESET' && reason.code !== 'TRANSPORT_CLOSED') return reason;
  const system = (reason.cause as NodeJS.ErrnoException | undefined)?.code;
  const why = system ?? 'it closed the connection before it greeted';
  return transportErrors.TRANSPORT_UNREACHABLE([address, why], { cause: reason });
}
