/**
 * One HTTP exchange, of either version: read the request, have it answered, write the answer. Whatever the client does meanwhile,
 * one exchange ends within its deadlines and gives back what it took.
 */
import { Deferred, describeError, type Clock, type Random } from '@rokka/kernel';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Http2ServerResponse, Http2Stream } from 'node:http2';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { Calls } from './call.ts';
import { gatewayErrors } from './errors.ts';
import { Failure } from './failures.ts';
import type { GatewayLimits } from './limits.ts';
import { BodyBudget, Gone, readBody } from './request-body.ts';
import { headersOf, type WireRequest, type WireResponse } from './wire.ts';

const HEALTH_PATH = '/_rokka/health';
const LINGER_MS = 1_000;

export interface ExchangeOptions {
  readonly calls: Calls;
  readonly clock: Clock;
  readonly random: Random;
  readonly limits: GatewayLimits;
  readonly log: (line: string) => void;
}

interface Exchange {
  readonly requestId: string;
  /** Tells the handler that nobody waits any more. */
  readonly abort: AbortController;
  /** Whether the client cannot be told anything any more. */
  isGone: boolean;
}

export class Exchanges {
  readonly #options: ExchangeOptions;
  readonly #budget: BodyBudget;
  readonly #open = new Set<Exchange>();
  #calls = 0;
  #drained: Deferred<void> | undefined;

  constructor(options: ExchangeOptions) {
    this.#options = options;
    this.#budget = new BodyBudget(options.limits.bodiesBytesMax);
  }

  /** From now on what comes is turned away. Resolves when no exchange is open any more. */
  async close(): Promise<void> {
    this.#drained ??= new Deferred();
    if (this.#open.size === 0) this.#drained.resolve();
    await this.#drained.promise;
  }

  /** Tells the handlers that nobody waits for them any more. */
  abort(): void {
    for (const { abort } of this.#open) abort.abort(new Gone('the gateway closes'));
  }

  /** Never rejects. */
  async serve(incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> {
    const exchange: Exchange = { requestId: this.#requestId(), abort: new AbortController(), isGone: false };
    this.#open.add(exchange);
    // A client that goes away is no error of ours.
    incoming.on('error', () => {});
    outgoing.on('error', () => {});
    outgoing.once('close', () => {
      exchange.isGone = true;
      if (!outgoing.writableFinished) exchange.abort.abort(new Gone('the client went away'));
    });
    try {
      const response = await this.#respond(incoming, exchange);
      await this.#write(outgoing, response, exchange);
    } catch (error) {
      // Nothing can be told any more: nobody is there, or the answer has begun, or it cannot be written at all.
      if (!exchange.isGone && !(error instanceof Gone))
        this.#options.log(
          gatewayErrors.GATEWAY_ANSWER_BROKEN([exchange.requestId, describeError(error)]).message,
        );
      outgoing.destroy();
    } finally {
      this.#open.delete(exchange);
      if (this.#open.size === 0) this.#drained?.resolve();
    }
  }

  async #respond(incoming: IncomingMessage, { requestId, abort }: Exchange): Promise<WireResponse> {
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
          abort,
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

  async #write(outgoing: ServerResponse, response: WireResponse, exchange: Exchange): Promise<void> {
    const { body } = response;
    // Its end has been told: nothing would tell it again.
    if (exchange.isGone) return body instanceof Readable ? void body.destroy() : undefined;
    const headers: Record<string, string | number> = {
      ...response.headers,
      'x-amzn-requestid': exchange.requestId,
    };
    if (!(body instanceof Readable)) headers['content-length'] = Buffer.byteLength(body);
    // HTTP/2 has no such header: a session ends as a whole.
    if (outgoing.req.httpVersionMajor > 1) delete headers['connection'];
    else if (this.#drained) headers['connection'] = 'close';
    const cancel = this.#options.clock.after(this.#options.limits.answerMs, () => outgoing.destroy());
    try {
      outgoing.writeHead(response.status, headers);
      if (body instanceof Readable) return await pipeline(body, outgoing);
      const closed = new Deferred<void>();
      // A response of HTTP/2 has finished only when its stream is closed, which a body that goes on keeps open.
      const http2 = streamOf(outgoing);
      (http2 ?? outgoing).once('finish', () => closed.resolve());
      outgoing.once('close', () => closed.resolve());
      if (headers['connection'] === 'close' && !outgoing.req.complete) this.#endSoon(outgoing, body);
      else outgoing.end(body);
      await closed.promise;
      if (http2 && !http2.readableEnded) this.#stopSending(outgoing, http2);
    } finally {
      cancel();
    }
  }

  /**
   * A request of HTTP/1.1 goes on, and its connection ends with the answer. One that ends with bytes unread is reset, and who still
   * writes then may never read what was said before: he gets a moment for it, in which no more is taken.
   */
  #endSoon(outgoing: ServerResponse, body: string | Uint8Array): void {
    outgoing.req.pause();
    outgoing.write(body);
    const cancel = this.#options.clock.after(LINGER_MS, () => outgoing.end());
    outgoing.once('close', cancel);
  }

  /**
   * The answer is out and the request goes on. No more of it is taken; and who has not stopped after a moment, in which he can read
   * the answer, is told to, with no error (RFC 9113, section 8.1). His connection is for other calls still.
   */
  #stopSending({ req }: ServerResponse, stream: Http2Stream): void {
    req.pause();
    const cancel = this.#options.clock.after(LINGER_MS, () => stream.close());
    stream.once('close', cancel);
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

/** Undefined where it is of HTTP/1.1. */
function streamOf(outgoing: ServerResponse): Http2Stream | undefined {
  return outgoing.req.httpVersionMajor > 1 ? (outgoing as unknown as Http2ServerResponse).stream : undefined;
}

function addressOf(incoming: IncomingMessage): string {
  return (incoming.socket.remoteAddress ?? '').replace(/^::ffff:/, '');
}
