/**
 * Where a listener's connections prove who they are, before a byte of the protocol is read or written. Whoever waits here
 * holds no more than OpenSSL's handshake buffers, and not for longer than `handshakeTimeoutMs`, however slowly it drips.
 */
import type * as net from 'node:net';
import * as tls from 'node:tls';
import { isCoded, type Clock, type CodedError } from '@rokka/kernel';
import { transportErrors } from './errors.ts';
import type { PeerIdentity } from './peer-identity.ts';
import { formatTlsAddress } from './tls-address.ts';
import type { Credentials, CredentialsSource } from './tls-credentials.ts';
import { handshakeFailure } from './tls-failures.ts';
import { checkedPeer, type PeerRules } from './tls-peer.ts';

export interface DoorOptions {
  clock: Clock;
  credentials: CredentialsSource;
  handshakeTimeoutMs: number;
  handshakesMax: number;
  rules: Omit<PeerRules, 'own'>;
  /** The handshake is done, and the other side is a member that may connect here. */
  onAdmitted: (socket: tls.TLSSocket, peer: { peer: string; peerIdentity: PeerIdentity }) => void;
  onRefused: (reason: CodedError) => void;
}

interface Waiting {
  readonly socket: net.Socket;
  readonly cancelTimer: () => void;
}

export class Door {
  readonly #options: DoorOptions;
  readonly #tls: tls.Server;
  #shown: Credentials;
  /** By the address of the other side; the slowest first. */
  readonly #waiting = new Map<string, Waiting>();
  /** For messages about sockets that are closed, which do not tell their addresses; none once a reason was given. */
  readonly #names = new WeakMap<net.Socket, string>();

  constructor(options: DoorOptions) {
    this.#options = options;
    this.#shown = options.credentials.current();
    // It listens on nothing: sockets are handed to it (its 'connection' event may be emitted, says the documentation).
    this.#tls = tls.createServer({
      ...this.#shown.options,
      requestCert: true,
      rejectUnauthorized: true,
    });
    this.#tls.on('secureConnection', (socket) => this.#onSecure(socket));
    this.#tls.on('tlsClientError', (error, socket) => this.#onFailure(error, socket));
  }

  enter(socket: net.Socket): void {
    const peer = nameOf(socket);
    // It has gone already.
    if (peer === undefined) return void socket.destroy();
    const { clock, handshakesMax, handshakeTimeoutMs: ms } = this.#options;
    if (this.#waiting.size >= handshakesMax) this.#dropSlowest();
    const late = () => this.#turnAway(peer, transportErrors.TRANSPORT_TLS_HANDSHAKE_LATE([peer, ms]));
    this.#waiting.set(peer, { socket, cancelTimer: clock.after(ms, late) });
    this.#names.set(socket, peer);
    socket.on('error', () => {});
    socket.once('close', () => {
      if (this.#waiting.get(peer)?.socket === socket) this.#leave(peer);
    });
    try {
      this.#refresh();
      this.#tls.emit('connection', socket);
    } catch (error) {
      if (!isCoded(error)) throw error;
      this.#turnAway(peer, error);
    }
  }

  close(): void {
    for (const { socket } of this.#waiting.values()) socket.destroy();
  }

  #refresh(): void {
    const credentials = this.#options.credentials.current();
    if (credentials === this.#shown) return;
    this.#tls.setSecureContext(credentials.options);
    this.#shown = credentials;
  }

  #dropSlowest(): void {
    for (const peer of this.#waiting.keys())
      return this.#turnAway(peer, transportErrors.TRANSPORT_TLS_CROWDED([peer, this.#options.handshakesMax]));
  }

  #turnAway(peer: string, reason: CodedError): void {
    const waiting = this.#leave(peer);
    if (!waiting) return;
    this.#names.delete(waiting.socket);
    waiting.socket.destroy();
    this.#options.onRefused(reason);
  }

  #leave(peer: string): Waiting | undefined {
    const waiting = this.#waiting.get(peer);
    waiting?.cancelTimer();
    this.#waiting.delete(peer);
    return waiting;
  }

  #onSecure(socket: tls.TLSSocket): void {
    const from = nameOf(socket);
    // Without an address it has gone, and closes by itself.
    if (from === undefined) return void socket.destroy();
    this.#leave(from);
    try {
      const peerIdentity = checkedPeer(socket, from, { ...this.#options.rules, own: this.#shown.own });
      const { role, id } = peerIdentity;
      this.#options.onAdmitted(socket, { peer: `${role} ${id} at ${from}`, peerIdentity });
    } catch (error) {
      socket.on('error', () => {}).destroy();
      if (!isCoded(error)) throw error;
      this.#options.onRefused(error);
    }
  }

  #onFailure(error: NodeJS.ErrnoException, socket: tls.TLSSocket): void {
    // The socket beneath is Node's own affair; without it the message would lack the address, and nothing else.
    const beneath = (socket as { _parent?: net.Socket })._parent;
    const peer = beneath ? this.#names.get(beneath) : (nameOf(socket) ?? 'a stranger');
    socket.on('error', () => {}).destroy();
    if (peer === undefined) return;
    // Typed as an Error, it is the code of X509_verify_cert, or null.
    const verification = socket.authorizationError as unknown as string | null;
    const code = verification ?? error.code ?? error.message;
    const nowMs = this.#options.clock.wallMs();
    const failure = handshakeFailure({ peer, code, nowMs, cause: error });
    const ended = () =>
      transportErrors.TRANSPORT_RESET([peer, `${code} during the TLS handshake`], { cause: error });
    this.#options.onRefused(failure ?? ended());
  }
}

function nameOf({ remoteAddress, remotePort }: net.Socket): string | undefined {
  if (remoteAddress === undefined || remotePort === undefined) return undefined;
  return formatTlsAddress(remoteAddress, remotePort);
}
