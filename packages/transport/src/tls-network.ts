/**
 * The network between machines: TCP with TLS 1.3, both sides shown and checked, whatever the packages above send.
 *
 * Fault model: anybody may connect. Who has no certificate of one of the cluster's authorities gets no byte of the
 * protocol and costs one of `handshakesMax` places for `handshakeTimeoutMs` at most; when the places run out, the
 * slowest handshake makes room for the next, so that strangers who dawdle do not keep members out. What a member may do
 * beyond connecting is decided above, by `Connection.peerIdentity`.
 *
 * No link outlives the certificates it was made with (see tls-link-age.ts).
 */
import * as net from 'node:net';
import * as tls from 'node:tls';
import { deadline, Deferred, isCoded, type Clock, type CodedError, type Random } from '@rokka/kernel';
import type { Connection, ConnectionHandler, Listener, Network } from './connection.ts';
import { transportErrors } from './errors.ts';
import type { PeerIdentity, Role } from './peer-identity.ts';
import {
  connectionLimits,
  openConnection,
  StreamListener,
  type StreamNetworkOptions,
} from './stream-network.ts';
import { formatTlsAddress, parseTlsAddress, type TlsAddress } from './tls-address.ts';
import { CredentialsSource, type TlsIdentity } from './tls-credentials.ts';
import { Door } from './tls-door.ts';
import { handshakeFailure, refusedByPeer } from './tls-failures.ts';
import { endWithCertificate } from './tls-link-age.ts';
import { checkedPeer } from './tls-peer.ts';

/** From then on a dead peer is asked after by the kernel, as it is where nothing is sent for long. */
const KEEP_ALIVE_MS = 15_000;

export interface TlsNetworkOptions extends StreamNetworkOptions {
  random: Random;
  /** Asked at each connection, so that a renewed certificate applies without a restart. Cheap: no reading of files. */
  identity: () => TlsIdentity;
  /** Who may connect to a listener; default every role. */
  acceptRoles?: readonly Role[];
  /** Who may answer where this network connects to; default every role but `admin`. */
  connectRoles?: readonly Role[];
  /** Says no to a member that was taken out of the cluster and whose certificate has not expired yet. */
  admits?: (peer: PeerIdentity) => boolean;
  /** What a listener leaves to the other side for its handshake; default 5 s. */
  handshakeTimeoutMs?: number;
  /** Handshakes of a listener at once; default 64. */
  handshakesMax?: number;
}

/** Addresses are `host:port`; see tls-address.ts. */
export function tlsNetwork(options: TlsNetworkOptions): Network {
  const credentials = new CredentialsSource(options.identity);
  return {
    listen: (address, handler) => listen(address, handler, { ...options, credentials }),
    connect: (address, handler, { timeoutMs }) =>
      connect(address, handler, { ...options, credentials, timeoutMs }),
  };
}

type Settings = TlsNetworkOptions & { credentials: CredentialsSource };

async function listen(
  address: string,
  handler: (connection: Connection) => ConnectionHandler,
  options: Settings,
): Promise<Listener> {
  const { host, port } = parseTlsAddress(address);
  // An identity that cannot be used is found out here, not by the first member that connects.
  options.credentials.current();
  const server = net.createServer({
    noDelay: true,
    keepAlive: true,
    keepAliveInitialDelay: KEEP_ALIVE_MS,
  });
  const bound = new Deferred<void>();
  server.once('listening', () => bound.resolve());
  server.once('error', (error: NodeJS.ErrnoException) => bound.reject(listenFailure(address, error)));
  server.listen({ host, port });
  await bound.promise;
  const at = formatTlsAddress(host, (server.address() as net.AddressInfo).port);
  const door = new Door({
    clock: options.clock,
    credentials: options.credentials,
    handshakeTimeoutMs: options.handshakeTimeoutMs ?? 5_000,
    handshakesMax: options.handshakesMax ?? 64,
    rules: { roles: options.acceptRoles, admits: options.admits },
    onAdmitted: (socket, admitted) => {
      const connection = listener.accept({ socket, ...admitted, lingers: true });
      endWithCertificate({ connection, socket, peer: admitted.peerIdentity, ...options });
    },
    onRefused: (reason) => options.onRefused?.(reason),
  });
  const listener = new StreamListener(server, {
    address: at,
    handler,
    options,
    onDispose: () => door.close(),
  });
  server.on('connection', (socket) => door.enter(socket));
  return listener;
}

function listenFailure(address: string, error: NodeJS.ErrnoException): CodedError {
  const code = error.code ?? error.message;
  if (code === 'EADDRINUSE')
    return transportErrors.TRANSPORT_ADDRESS_USED([address, 'another program listens there'], {
      cause: error,
    });
  const why = code === 'EACCES' ? `${code}, ports below 1024 need a privilege` : code;
  return transportErrors.TRANSPORT_LISTEN_FAILED([address, why], { cause: error });
}

async function connect(
  address: string,
  handler: ConnectionHandler,
  options: Settings & { timeoutMs: number },
): Promise<Connection> {
  const { clock, timeoutMs, credentials } = options;
  const target = parseTlsAddress(address);
  const { context, own } = credentials.current();
  const socket = tls.connect({
    host: target.host,
    port: target.port,
    secureContext: context,
    rejectUnauthorized: true,
    ...(net.isIP(target.host) === 0 ? { servername: target.host } : {}),
  });
  socket.setNoDelay(true);
  socket.setKeepAlive(true, KEEP_ALIVE_MS);
  const opening = open(socket, handler, { ...options, address, target, own });
  try {
    return await deadline(opening, { what: `connecting to ${address}`, ms: timeoutMs, clock });
  } catch (error) {
    socket.destroy();
    throw error;
  }
}

async function open(
  socket: tls.TLSSocket,
  handler: ConnectionHandler,
  options: Settings & { address: string; target: TlsAddress; own: PeerIdentity },
): Promise<Connection> {
  const { address, target, own, clock, admits, connectRoles = ['authority', 'node', 'head'] } = options;
  await handshake(socket, address, clock);
  const peer = checkedPeer(socket, address, { own, roles: connectRoles, expectedId: target.id, admits });
  const origin = { socket, peer: address, peerIdentity: peer, lingers: true };
  try {
    const connection = await openConnection(origin, { clock, limits: connectionLimits(options), handler });
    endWithCertificate({ connection, socket, peer, ...options });
    return connection;
  } catch (error) {
    if (!isCoded(error, 'TRANSPORT_RESET') && !isCoded(error, 'TRANSPORT_CLOSED')) throw error;
    // In TLS 1.3 this side is through before the other one has looked at its certificate.
    throw refusedByPeer(address, own, error);
  }
}

/** Resolves when the other side's certificate has been verified: chain, dates and host. */
async function handshake(socket: tls.TLSSocket, address: string, clock: Clock): Promise<void> {
  const secure = new Deferred<void>();
  const unreachable = (why: string, cause?: unknown) =>
    transportErrors.TRANSPORT_UNREACHABLE([address, why], { cause });
  socket.once('secureConnect', () => secure.resolve());
  socket.once('error', (error: NodeJS.ErrnoException) => {
    const code = error.code ?? error.message;
    const failure = handshakeFailure({ peer: address, code, nowMs: clock.wallMs(), cause: error });
    secure.reject(failure ?? unreachable(code, error));
  });
  socket.once('close', () => secure.reject(unreachable('it closed the connection during the TLS handshake')));
  await secure.promise;
}
