/**
 * One HTTP exchange, of either version: read the request, have it answered, write the answer. Whatever the client does meanwhile,
 * one exchange ends within its deadlines and gives back what it took.
 */
import { Deferred, type Clock, type Random } from '@rokka/kernel';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { Calls } from './call.ts';
import { Failure } from './failures.ts';
import type { GatewayLimits } from './limits.ts';
import { BodyBudget, Gone, readBody } from './request-body.ts';
import { headersOf, type WireRequest, type WireResponse } from './wire.ts';

const HEALTH_PATH = '/_rokka/health';

export interface ExchangeOptions {
  readonly calls: Calls;
  readonly clock: Clock;
  readonly random: Random;
  readonly limits: GatewayLimits;
}

export class Exchanges {
  readonly #options: ExchangeOptions;
  readonly #budget: BodyBudget;
  readonly #closing = new AbortController();
  #open = 0;
  #calls = 0;
  #drained: Deferred<void> | undefined;

  constructor(options: ExchangeOptions) {
    this.#options = options;
    this.#budget = new BodyBudget(options.limits.bodiesBytesMax);
  }

  /** From now on what comes is turned away. Resolves when no exchange is open any more. */
  async close(): Promise<void> {
    this.#drained ??= new Deferred();
    if (this.#open === 0) this.#drained.resolve();
    await this.#drained.promise;
  }

  /** Tells the handlers that nobody waits for them any more. */
  abort(): void {
    this.#closing.abort(new Gone('the gateway closes'));
  }

  /** Never rejects. */
  async serve(incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> {
    const requestId = this.#requestId();
    this.#open++;
    // A client that goes away is no error of ours; what waits for it is told by `close`.
    incoming.on('error', () => {});
    outgoing.on('error', () => {});
    try {
      const response = await this.#respond(incoming, outgoing, requestId);
      if (response) await this.#write(outgoing, response, requestId);
    } catch {
      // Nothing can be told any more: the answer has begun, or nobody is there.
      outgoing.destroy();
    } finally {
      this.#open--;
      if (this.#open === 0) this.#drained?.resolve();
    }
  }

  async #respond(
    incoming: IncomingMessage,
    outgoing: ServerResponse,
    requestId: string,
  ): Promise<WireResponse | undefined> {
    const head = headOf(incoming);
    const { calls, clock, limits } = this.#options;
    if (head.path === HEALTH_PATH) return this.#health();
    if (this.#drained)
      return ended(calls.refuse(head, requestId, 'unavailable', 'The gateway closes. Try again.'));
    try {
      using body = await readBody(incoming, { clock, budget: this.#budget, limits });
      if (this.#calls >= limits.callsMax) return calls.refuse(head, requestId, 'throttled', 'Rate exceeded');
      this.#calls++;
      try {
        return await calls.answer({
          request: { ...head, body: body.bytes },
          requestId,
          sourceAddress: addressOf(incoming),
          atMs: clock.wallMs(),
          signal: AbortSignal.any([this.#closing.signal, goneSignal(outgoing)]),
        });
      } finally {
        this.#calls--;
      }
    } catch (error) {
      if (!(error instanceof Failure)) throw error;
      return ended(calls.refuse(head, requestId, error.kind, error.message));
    }
  }

  #health(): WireResponse {
    const status = this.#drained ? 'closing' : 'ok';
    const body = JSON.stringify({ status, calls: this.#calls });
    return { status: this.#drained ? 503 : 200, headers: { 'content-type': 'application/json' }, body };
  }

  async #write(outgoing: ServerResponse, response: WireResponse, requestId: string): Promise<void> {
    if (outgoing.destroyed)
      return response.body instanceof Readable ? void response.body.destroy() : undefined;
    const { body } = response;
    const headers: Record<string, string | number> = { ...response.headers, 'x-amzn-requestid': requestId };
    if (!(body instanceof Readable)) headers['content-length'] = Buffer.byteLength(body);
    // HTTP/2 has no such header: a session ends as a whole.
    if (outgoing.req.httpVersionMajor > 1) delete headers['connection'];
    else if (this.#drained) headers['connection'] = 'close';
    const cancel = this.#options.clock.after(this.#options.limits.answerMs, () => outgoing.destroy());
    try {
      outgoing.writeHead(response.status, headers);
      if (body instanceof Readable) return await pipeline(body, outgoing);
      const closed = new Deferred<void>();
      outgoing.once('finish', () => closed.resolve());
      outgoing.once('close', () => closed.resolve());
      outgoing.end(body);
      await closed.promise;
    } finally {
      cancel();
    }
  }

  /** A UUID of version 4. */
  #requestId(): string {
    const hex = this.#options.random.hex(16);
    const variant = '89ab'[Number.parseInt(hex[16], 16) & 3];
    return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-4${hex.slice(13, 16)}-${variant}${hex.slice(17, 20)}-${hex.slice(20)}`;
  }
}

function headOf(incoming: IncomingMessage): Omit<WireRequest, 'body'> {
  const url = (incoming.url ?? '/').replace(/^https?:\/\/[^/?#]*/i, '');
  const at = url.indexOf('?');
  const path = at < 0 ? url : url.slice(0, at);
  return {
    method: incoming.method ?? 'GET',
    path: path.startsWith('/') ? path : `/${path}`,
    query: new URLSearchParams(at < 0 ? '' : url.slice(at + 1)),
    headers: headersOf(incoming.rawHeaders),
  };
}

/** Answers to requests that were not read to their end: the connection cannot be used for another. */
function ended(response: WireResponse): WireResponse {
  return { ...response, headers: { ...response.headers, connection: 'close' } };
}

function addressOf(incoming: IncomingMessage): string {
  return (incoming.socket.remoteAddress ?? '').replace(/^::ffff:/, '');
}

function goneSignal(outgoing: ServerResponse): AbortSignal {
  const gone = new AbortController();
  outgoing.once('close', () => {
    if (!outgoing.writableFinished) gone.abort(new Gone('the client went away'));
  });
  return gone.signal;
}
