/**
 * HTTP/1.1 and HTTP/2 on one port without TLS. Clients of streaming services (Lex, Polly) speak HTTP/2 with prior knowledge,
 * everybody else 1.1; the first bytes of a connection tell them apart.
 *
 * The port is the HTTP/1.1 server's own, so that Node's guards of slow headers and idle connections count: they run only in a
 * server that listens itself. What it would do with a new connection is put behind a look at the first bytes.
 *
 * Fault model: anybody connects and sends nothing, or a byte a second. There are `connectionsMax` at once, each says within
 * `headersMs` which version it speaks, and an HTTP/2 session without streams ends after `idleMs`.
 */
import { must, type Clock } from '@rokka/kernel';
import * as http from 'node:http';
import * as http2 from 'node:http2';
import type { Socket } from 'node:net';
import type { GatewayLimits } from './limits.ts';

/** `PRI * HTTP/2.0`: no method of HTTP/1.1 begins so. */
const PREFACE = Buffer.from('PRI');
const HEADER_BYTES_MAX = 16 * 1024;
const STREAMS_MAX = 64;

export interface DoorwayOptions {
  readonly clock: Clock;
  readonly limits: GatewayLimits;
  readonly onRequest: (incoming: http.IncomingMessage, outgoing: http.ServerResponse) => void;
}

export class Doorway {
  readonly server: http.Server;
  readonly #options: DoorwayOptions;
  readonly #http2: http2.Http2Server;
  readonly #sockets = new Set<Socket>();
  readonly #sessions = new Set<http2.Http2Session>();

  constructor(options: DoorwayOptions) {
    this.#options = options;
    const { limits, onRequest } = options;
    this.server = http.createServer(
      {
        maxHeaderSize: HEADER_BYTES_MAX,
        headersTimeout: limits.headersMs,
        requestTimeout: limits.headersMs + limits.bodyMs,
        keepAliveTimeout: limits.idleMs,
        connectionsCheckingInterval: Math.min(1000, limits.headersMs),
        noDelay: true,
      },
      onRequest,
    );
    this.server.maxConnections = limits.connectionsMax;
    this.#http2 = http2.createServer({
      settings: { maxConcurrentStreams: STREAMS_MAX, maxHeaderListSize: HEADER_BYTES_MAX },
    });
    // The compatible face of HTTP/2 has the members of HTTP/1.1's that are used here.
    this.#http2.on('request', onRequest as never);
    this.#http2.on('session', (session) => this.#watch(session));
    this.#lookFirst();
  }

  /** No new connections; those that wait for a request end, the others with what they are at. */
  close(): Promise<void> {
    return new Promise((resolve) => {
      this.server.close(() => resolve());
      for (const session of this.#sessions) session.close();
    });
  }

  destroyConnections(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  #lookFirst(): void {
    const serveHttp1 = must(this.server.listeners('connection')[0], 'an HTTP server takes connections');
    this.server.removeAllListeners('connection');
    this.server.on('connection', (socket: Socket) => {
      this.#sockets.add(socket);
      socket.once('close', () => this.#sockets.delete(socket));
      // A connection that breaks ends what is at work on it; there is nothing else to do.
      socket.on('error', () => {});
      this.#choose(socket, (isHttp2) => {
        if (isHttp2) this.#http2.emit('connection', socket);
        else serveHttp1.call(this.server, socket);
      });
    });
  }

  /** Hands on the connection with its first bytes put back. */
  #choose(socket: Socket, handOn: (isHttp2: boolean) => void): void {
    const cancel = this.#options.clock.after(this.#options.limits.headersMs, () => socket.destroy());
    let head = Buffer.alloc(0);
    const look = () => {
      const chunk = socket.read() as Buffer | null;
      if (chunk === null) return;
      head = Buffer.concat([head, chunk]);
      const seen = Math.min(head.length, PREFACE.length);
      const mayBe = head.subarray(0, seen).equals(PREFACE.subarray(0, seen));
      if (mayBe && seen < PREFACE.length) return;
      socket.off('readable', look);
      cancel();
      socket.unshift(head);
      handOn(mayBe);
    };
    socket.on('readable', look);
    socket.once('end', () => {
      if (head.length === 0) socket.destroy();
    });
    socket.once('close', cancel);
  }

  #watch(session: http2.Http2Session): void {
    this.#sessions.add(session);
    const { clock, limits } = this.#options;
    let streams = 0;
    let cancel = () => {};
    const idle = () => {
      cancel();
      cancel = clock.after(limits.idleMs, () => session.destroy());
    };
    idle();
    session.on('stream', (stream: http2.Http2Stream) => {
      streams++;
      cancel();
      stream.once('close', () => {
        streams--;
        if (streams === 0 && !session.closed) idle();
      });
    });
    session.on('error', () => {});
    session.once('close', () => {
      cancel();
      this.#sessions.delete(session);
    });
  }
}
