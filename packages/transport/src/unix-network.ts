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
import { deadline, Deferred, isCoded, type Clock, type CodedError } from '@rokka/kernel';
import type { Connection, ConnectionHandler, Listener, Network } from './connection.ts';
import { transportErrors } from './errors.ts';
import { connectReading, readAccepted, type ReadingSocket } from './reading-socket.ts';
import type { ConnectionLimits } from './stream-connection.ts';
import {
  connectionLimits,
  openConnection,
  StreamListener,
  type StreamNetworkOptions,
  type StreamOrigin,
} from './stream-network.ts';
import {
  inspectSocketFile,
  openSocketPath,
  prepareSocketDirectory,
  removeSocketFile,
  type SocketPath,
} from './unix-address.ts';
import { writeAtOnce } from './writing-socket.ts';

/** A live listener takes a connection at once, unless its machine stands still. */
const PROBE_TIMEOUT_MS = 2_000;
const PERMISSION_CODES = ['EACCES', 'EPERM', 'EROFS'];

export type UnixNetworkOptions = StreamNetworkOptions;

export function unixNetwork(options: UnixNetworkOptions): Network {
  const { clock } = options;
  const limits = connectionLimits(options);
  return {
    listen: (address, handler) => listen(address, handler, options),
    connect: (address, handler, { timeoutMs }) => connect(address, handler, { clock, limits, timeoutMs }),
  };
}

async function listen(
  address: string,
  handler: (connection: Connection) => ConnectionHandler,
  options: UnixNetworkOptions,
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
    const onDispose = () => socketPath?.[Symbol.dispose]();
    const listener = new StreamListener(server, { address, handler, options, onDispose });
    server.on('connection', (socket) => listener.accept(past(readAccepted(socket), address)));
    return listener;
  } catch (error) {
    socketPath?.[Symbol.dispose]();
    throw listenFailure(address, error);
  }
}

/** A connection that goes past Node's streams, in both directions, as far as their inner doors are open. */
function past(reading: ReadingSocket, peer: string): StreamOrigin {
  return { ...reading, writeAtOnce: (parts) => writeAtOnce(reading.socket, parts), peer };
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
  const server = net.createServer({ pauseOnConnect: true });
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

async function connect(
  address: string,
  handler: ConnectionHandler,
  options: { clock: Clock; limits: ConnectionLimits; timeoutMs: number },
): Promise<Connection> {
  const { clock, limits, timeoutMs } = options;
  using socketPath = reachable(address);
  const reading = connectReading(socketPath.path);
  const opened = openConnection(past(reading, address), { clock, limits, handler });
  try {
    return await deadline(opened, { what: `connecting to ${address}`, ms: timeoutMs, clock });
  } catch (error) {
    reading.socket.destroy();
    throw isCoded(error) ? unreachable(address, error) : error;
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
