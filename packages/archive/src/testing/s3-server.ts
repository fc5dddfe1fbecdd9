/**
 * An S3 server on loopback, unless told otherwise, its objects in memory: fauxqs, which somebody else wrote. In front of it stands whoever does to requests what
 * good servers never do. It knows no keys and takes everybody's.
 */
import * as http from 'node:http';
import type { AddressInfo } from 'node:net';
import { buildApp } from 'fauxqs';

/** True: the request is dealt with, and does not reach the server. */
export type Mischief = (request: http.IncomingMessage, response: http.ServerResponse) => boolean;

export const BUCKET = 'bucket';
const OBJECT_BYTES_MAX = 64 * 2 ** 20;

export class S3Server implements AsyncDisposable {
  mischief: Mischief = () => false;
  /** Each request that has come, as method and path. */
  readonly seen: string[] = [];
  readonly #app = buildApp({ logger: false });
  readonly #host: string;
  #http: http.Server | undefined;
  #port = 0;

  private constructor(host: string) {
    this.#host = host;
  }

  static async start(host = '127.0.0.1'): Promise<S3Server> {
    const server = new S3Server(host);
    const app = server.#app;
    // Its own limit is what a part of an upload may have.
    app.removeContentTypeParser('*');
    const parsing = { parseAs: 'buffer', bodyLimit: OBJECT_BYTES_MAX } as const;
    app.addContentTypeParser('*', parsing, (_request, body, done) => done(null, body));
    await app.ready();
    await app.inject({ method: 'PUT', url: `/${BUCKET}` });
    await server.listen();
    return server;
  }

  get endpoint(): string {
    return `http://${this.#host}:${this.#port}`;
  }

  /** Again, after `close`, at the same port and with the same objects. */
  async listen(): Promise<void> {
    const server = http.createServer((request, response) => {
      this.seen.push(`${request.method} ${request.url}`);
      if (!this.mischief(request, response)) this.#app.routing(request, response);
    });
    await new Promise<void>((done, failed) =>
      server.once('error', failed).listen(this.#port, this.#host, done),
    );
    this.#port = (server.address() as AddressInfo).port;
    this.#http = server;
  }

  /** Nobody answers, and who was being answered is cut off. */
  async close(): Promise<void> {
    const server = this.#http;
    if (!server) return;
    this.#http = undefined;
    const closed = new Promise((done) => server.close(done));
    server.closeAllConnections();
    await closed;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
    await this.#app.close();
  }
}

/** An answer as S3 gives it where it refuses. */
export function refuse(
  response: http.ServerResponse,
  of: { status: number; code: string; message?: string; headers?: Record<string, string> },
): true {
  const { status, code, message = 'told to', headers } = of;
  response.writeHead(status, { 'content-type': 'application/xml', ...headers });
  response.end(
    `<?xml version="1.0" encoding="UTF-8"?><Error><Code>${code}</Code><Message>${message}</Message></Error>`,
  );
  return true;
}
