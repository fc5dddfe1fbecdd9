/**
 * One POST of JSON over HTTP or TLS, on connections that are kept. It tries once, on one endpoint, and never longer than
 * it is told: what to make of a failure is decided above. A failure says whether the request can have left this machine,
 * because a request that left may have been carried out although no answer came.
 */
import * as http from 'node:http';
import * as https from 'node:https';
import type { Clock } from '@rokka/kernel';

/** A page of a list (`PAGE_ENTRIES` in etcd-registry.ts) of the longest values, in base64. */
const ANSWER_BYTES_MAX = 192 * 1024 * 1024;
/** Connections to one endpoint; further requests wait for one of them, within their own time. */
const SOCKETS_MAX = 16;

export interface Tls {
  /** PEM. Without it the certificate authorities that Node knows are trusted. */
  ca?: string | Buffer;
  cert?: string | Buffer;
  key?: string | Buffer;
}

export interface HttpAnswer {
  readonly status: number;
  readonly text: string;
}

export interface PostLimits {
  /** How long nothing may move, in either direction. */
  readonly silenceMs: number;
  readonly totalMs: number;
}

/** What carries a request to an endpoint. @throws PostFailure */
export interface Post {
  (endpoint: string, path: string, body: string, limits: PostLimits): Promise<HttpAnswer>;
  close?(): void;
}

export class PostFailure extends Error {
  override name = 'PostFailure';
  /** False only where no connection was made: then nothing can have been carried out. */
  readonly sent: boolean;

  constructor(message: string, sent: boolean) {
    super(message);
    this.sent = sent;
  }
}

export function httpPost(options: { clock: Clock; tls?: Tls }): Post {
  const { clock, tls = {} } = options;
  const agents = {
    'http:': new http.Agent({ keepAlive: true, maxSockets: SOCKETS_MAX }),
    'https:': new https.Agent({ keepAlive: true, maxSockets: SOCKETS_MAX, ...tls }),
  };
  const post: Post = (endpoint, path, body, limits) =>
    new Promise((resolve, reject) => {
      const url = new URL(path, endpoint);
      const secure = url.protocol === 'https:';
      const request = (secure ? https : http).request(url, {
        method: 'POST',
        agent: agents[secure ? 'https:' : 'http:'],
        headers: { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) },
      });
      const watch = watchOver(request, limits, clock);
      const fail = (error: Error) => {
        watch.stop();
        reject(failureOf(error));
      };
      request.on('error', fail);
      request.on('finish', watch.moved);
      request.on('response', (response) => {
        readAnswer(response, watch.moved).then((answer) => (watch.stop(), resolve(answer)), fail);
      });
      request.end(body);
    });
  post.close = () => {
    for (const agent of Object.values(agents)) agent.destroy();
  };
  return post;
}

/** Ends `request` when one of its limits is reached; `moved` begins the silence anew. */
function watchOver(request: http.ClientRequest, { silenceMs, totalMs }: PostLimits, clock: Clock) {
  const end = (ms: number) => () => request.destroy(new Error(`no answer within ${Math.round(ms)} ms`));
  const stopTotal = clock.after(totalMs, end(totalMs));
  let stopSilence = clock.after(silenceMs, end(silenceMs));
  return {
    moved() {
      stopSilence();
      stopSilence = clock.after(silenceMs, end(silenceMs));
    },
    stop() {
      stopTotal();
      stopSilence();
    },
  };
}

async function readAnswer(response: http.IncomingMessage, moved: () => void): Promise<HttpAnswer> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of response as AsyncIterable<Buffer>) {
    moved();
    bytes += chunk.length;
    if (bytes > ANSWER_BYTES_MAX) throw new Error(`an answer of more than ${ANSWER_BYTES_MAX} bytes`);
    chunks.push(chunk);
  }
  return { status: response.statusCode ?? 0, text: Buffer.concat(chunks).toString('utf8') };
}

function failureOf(error: NodeJS.ErrnoException): PostFailure {
  const unsent = error.syscall === 'connect' || error.syscall === 'getaddrinfo';
  // A host of several addresses fails with one error for all of them, and no message.
  const inner = error instanceof AggregateError ? (error.errors as NodeJS.ErrnoException[]) : [];
  const allUnsent = inner.length > 0 && inner.every((each) => each.syscall === 'connect');
  return new PostFailure(error.message || error.code || error.name, !unsent && !allUnsent);
}
