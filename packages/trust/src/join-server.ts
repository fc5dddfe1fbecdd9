/**
 * Where machines join: a listener of its own, for those who have no certificate yet.
 *
 * Fault model: anybody connects and says anything. Each connection has one deadline for all it does, one line of 20 KiB
 * and one answer; `connectionsMax` at once, of which the slowest makes room for the next; failed attempts are limited.
 */
import { constants } from 'node:crypto';
import * as net from 'node:net';
import * as tls from 'node:tls';
import { Deferred, isCoded, type Clock, type CodedError } from '@rokka/kernel';
import {
  formatTlsAddress,
  isIdentityPart,
  parseTlsAddress,
  type Listener,
  type MemberIdentity,
  type TlsIdentity,
} from '@rokka/transport';
import type { ClusterAuthority } from './authority.ts';
import { readRequest, REQUEST_CHARACTERS_MAX } from './certificates.ts';
import { trustErrors } from './errors.ts';
import { FailureLimiter, type FailureLimits } from './failure-limiter.ts';
import {
  channelBinding,
  JOIN_REQUEST_BYTES_MAX,
  JOIN_VERSION,
  provenBytes,
  readLine,
  textOf,
  writeLine,
} from './join-conversation.ts';
import type { JoinTokens } from './join-tokens.ts';

export interface JoinServerOptions {
  address: string;
  clock: Clock;
  authority: ClusterAuthority;
  tokens: JoinTokens;
  /** Of this process, in the role `authority`; asked at each connection. */
  identity: () => TlsIdentity;
  /** For the handshake and the conversation together; default 10 s. */
  timeoutMs?: number;
  /** Default 32. */
  connectionsMax?: number;
  failures?: FailureLimits;
  onJoined?: (member: MemberIdentity & { zone: string; hosts: readonly string[]; peer: string }) => void;
  onRefused?: (reason: CodedError) => void;
}

/** @throws TRANSPORT_BAD_ADDRESS, TRUST_JOIN_UNREACHABLE where the address cannot be listened on */
export async function listenForJoins(options: JoinServerOptions): Promise<Listener> {
  const { host, port } = parseTlsAddress(options.address);
  const desk = new JoinDesk(options);
  const server = net.createServer({ noDelay: true }, (socket) => desk.enter(socket));
  const bound = new Deferred<void>();
  server.once('listening', () => bound.resolve());
  server.once('error', (error: NodeJS.ErrnoException) =>
    bound.reject(trustErrors.TRUST_JOIN_UNREACHABLE([options.address, error.code ?? error.message])),
  );
  server.listen({ host, port });
  await bound.promise;
  return {
    address: formatTlsAddress(host, (server.address() as net.AddressInfo).port),
    async [Symbol.asyncDispose]() {
      const closed = new Deferred<void>();
      server.close(() => closed.resolve());
      desk.close();
      await closed.promise;
    },
  };
}

class JoinDesk {
  readonly #options: JoinServerOptions;
  readonly #limiter: FailureLimiter;
  readonly #tls: tls.Server;
  #shown: TlsIdentity;
  /** The slowest first. */
  readonly #present = new Set<net.Socket>();

  constructor(options: JoinServerOptions) {
    this.#options = options;
    this.#limiter = new FailureLimiter(options.clock, options.failures);
    this.#shown = options.identity();
    // It listens on nothing: sockets are handed to it (its 'connection' event may be emitted, says the documentation).
    this.#tls = tls.createServer(contextOf(this.#shown));
    this.#tls.on('secureConnection', (socket) => void this.#serve(socket));
    this.#tls.on('tlsClientError', (_, socket) => socket.on('error', () => {}).destroy());
  }

  enter(socket: net.Socket): void {
    const { clock, connectionsMax = 32, timeoutMs = 10_000, onRefused } = this.#options;
    const source = socket.remoteAddress;
    socket.on('error', () => {});
    if (source === undefined) return void socket.destroy();
    if (!this.#limiter.allows(source)) {
      socket.destroy();
      return onRefused?.(trustErrors.TRUST_JOIN_LIMITED([source]));
    }
    const [slowest] = this.#present;
    if (this.#present.size >= connectionsMax) slowest?.destroy();
    this.#present.add(socket);
    const cancelTimer = clock.after(timeoutMs, () => {
      this.#limiter.failed(source);
      socket.destroy();
      onRefused?.(trustErrors.TRUST_JOIN_LATE([source, timeoutMs]));
    });
    socket.once('close', () => {
      cancelTimer();
      this.#present.delete(socket);
    });
    this.#refresh();
    this.#tls.emit('connection', socket);
  }

  close(): void {
    for (const socket of this.#present) socket.destroy();
  }

  #refresh(): void {
    const identity = this.#options.identity();
    if (identity === this.#shown) return;
    this.#tls.setSecureContext(contextOf(identity));
    this.#shown = identity;
  }

  async #serve(socket: tls.TLSSocket): Promise<void> {
    const source = socket.remoteAddress ?? 'a stranger';
    socket.on('error', () => {});
    try {
      const binding = channelBinding(socket);
      writeLine(socket, { rokka: 'join', version: JOIN_VERSION, timeMs: this.#options.clock.wallMs() });
      const line = await readLine(socket, { peer: source, bytesMax: JOIN_REQUEST_BYTES_MAX });
      writeLine(socket, await this.#answer(line, { binding, peer: source }));
      socket.end();
    } catch (error) {
      if (!isCoded(error)) throw error;
      this.#refuse(socket, error, source);
    }
  }

  async #answer(line: Record<string, unknown>, from: { binding: Uint8Array; peer: string }): Promise<object> {
    const { binding, peer } = from;
    const { tokens, authority, onJoined } = this.#options;
    const text = (name: string, max: number) => textOf(line, name, { peer, max });
    const tokenId = text('tokenId', 16);
    const zone = text('zone', 64);
    // Both may become parts of keys and of messages.
    if (!/^[0-9a-f]{16}$/.test(tokenId) || (zone !== '' && !isIdentityPart(zone)))
      throw trustErrors.TRUST_JOIN_BROKEN([peer, 'its token or zone has no such form']);
    const requested = text('request', REQUEST_CHARACTERS_MAX);
    const proof = Buffer.from(text('proof', 128), 'base64url');
    const proven = provenBytes(binding, { tokenId, zone, request: requested });
    const request = await readRequest(requested);
    if (request.identity.cluster !== authority.cluster)
      throw trustErrors.TRUST_WRONG_CLUSTER([request.identity.cluster, authority.cluster]);
    const record = await tokens.redeem({ tokenId, zone, request, proof, proven });
    const issued = await authority.sign(request);
    onJoined?.({ ...request.identity, zone: record.zone, hosts: request.hosts, peer });
    return { ...issued, zone: record.zone };
  }

  #refuse(socket: tls.TLSSocket, reason: CodedError, source: string): void {
    const { onRefused } = this.#options;
    // Who only looked, as a machine does that compares the pin, has not failed.
    if (socket.destroyed || socket.readableEnded) return void socket.destroy();
    this.#limiter.failed(source);
    onRefused?.(reason);
    // What goes wrong within is told to the log alone.
    const told = reason.code.startsWith('TRUST_')
      ? { code: reason.code, message: reason.message }
      : { code: 'TRUST_JOIN_BROKEN', message: 'the authority could not serve; its log says why' };
    writeLine(socket, { error: told });
    socket.end();
  }
}

/** The authorities come along, so that a machine finds the one that its token pins. */
const contextOf = (identity: TlsIdentity): tls.SecureContextOptions => ({
  minVersion: 'TLSv1.3',
  secureOptions: constants.SSL_OP_NO_TICKET,
  cert: identity.certificate + identity.authorities,
  key: identity.key,
});
