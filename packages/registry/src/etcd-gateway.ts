/**
 * Asking etcd through the HTTP/JSON gateway that each of its members serves. There are several endpoints, of which the
 * one that answered last is asked first.
 *
 * A reply is one of three, and nothing else decides what may be done next:
 * - an answer: etcd's own, of our cluster, no older than what was known before;
 * - a refusal: etcd understood and will not, however often it is asked;
 * - a failure: everything else. Whether the request took effect is unknown, unless it was never sent.
 *
 * Only what carries etcd's header counts as an answer: a proxy, a login page or another program that says "200" is a
 * failure of that endpoint. An endpoint is asked which cluster it belongs to before anything else is sent to it, so that
 * a list of endpoints that mixes two clusters does not write to both.
 */
import type { Clock, Random } from '@rokka/kernel';
import { registryErrors } from './errors.ts';
import { type EtcdRequest, headerOf, type JsonObject, rangeRequest } from './etcd-messages.ts';
import { type HttpAnswer, type Post, PostFailure } from './http-post.ts';

const PAUSE_MS_MIN = 10;
const PAUSE_MS_MAX = 250;
/** What a slow member gets through: 8 MiB in base64 have some three seconds. */
const BYTES_PER_MS = 4096;

/** gRPC status codes (grpc.io/docs/guides/status-codes) by which etcd refuses for good. */
const REFUSALS = new Set([3, 5, 7, 8, 11, 12, 16]);
/** Refusals by their code, but of the moment. */
const PASSING = /too many requests|future revision/;

/** What etcd itself has said. */
export type Said<T> = { kind: 'answer'; answer: T } | { kind: 'refused'; message: string };
export type Reply<T> = Said<T> | { kind: 'failed'; sent: boolean };

/** How long one operation of the registry may take over all its requests, and what went wrong on the way. */
export interface Patience {
  readonly endMs: number;
  failures: number;
  /** Places of the endpoints that were asked since all of them were. */
  readonly round: Set<number>;
  readonly tried: Map<string, string>;
  /** Whether a change may have taken effect that nobody has confirmed. */
  inDoubt: boolean;
}

export interface EtcdGatewayOptions {
  /** Origins: http://host:port. */
  endpoints: readonly string[];
  post: Post;
  clock: Clock;
  random: Random;
  requestTimeoutMs: number;
  patienceMs: number;
}

export class EtcdGateway {
  readonly where: string;
  readonly #options: EtcdGatewayOptions;
  readonly #ofOurCluster = new Set<string>();
  #cluster: string | undefined;
  #revisionMax = 0;
  #current: number;
  #closed = false;

  constructor(options: EtcdGatewayOptions) {
    this.#options = options;
    this.where = options.endpoints.join(', ');
    this.#current = options.random.below(options.endpoints.length);
  }

  patience(): Patience {
    const endMs = this.#options.clock.nowMs() + this.#options.patienceMs;
    return { endMs, failures: 0, round: new Set(), tried: new Map(), inDoubt: false };
  }

  /**
   * Asks every endpoint which cluster it is of. Those that are down are asked when they are first used.
   * @throws REGISTRY_WRONG_CLUSTER
   */
  async identifyAll(): Promise<void> {
    const ask = (endpoint: string) => this.#identify(endpoint, this.#options.requestTimeoutMs);
    const asked = await Promise.allSettled(this.#options.endpoints.map(ask));
    for (const { endpoint, cluster } of asked.flatMap((each) => ('value' in each ? (each.value ?? []) : [])))
      this.#checkCluster(endpoint, cluster);
  }

  /**
   * One attempt at one endpoint, after a pause where every endpoint has failed.
   * @throws REGISTRY_UNAVAILABLE, REGISTRY_WRONG_CLUSTER, REGISTRY_REWOUND, REGISTRY_CLOSED
   */
  async attempt<T>(request: EtcdRequest<T>, patience: Patience): Promise<Reply<T>> {
    const { endpoints, clock } = this.#options;
    if (patience.failures >= endpoints.length) await clock.sleep(this.#pauseMs(patience));
    if (this.#closed) throw registryErrors.REGISTRY_CLOSED([`the registry at ${this.where}`]);
    const at = this.#placeFor(patience);
    const endpoint = endpoints[at];
    const reply = await this.#send(endpoint, request, patience);
    if (reply.kind !== 'failed') return reply;
    patience.failures++;
    if (this.#current === at) this.#current = (at + 1) % endpoints.length;
    return reply;
  }

  /** From the current endpoint on, the first that was not asked in this round: others may have moved it meanwhile. */
  #placeFor({ round }: Patience): number {
    const { endpoints } = this.#options;
    if (round.size === endpoints.length) round.clear();
    let at = this.#current;
    while (round.has(at)) at = (at + 1) % endpoints.length;
    round.add(at);
    return at;
  }

  /** Asks until there is an answer or a refusal: for requests that change nothing. @throws as `attempt` does */
  async ask<T>(request: EtcdRequest<T>, patience: Patience): Promise<Said<T>> {
    for (;;) {
      const reply = await this.attempt(request, patience);
      if (reply.kind !== 'failed') return reply;
    }
  }

  close(): void {
    this.#closed = true;
    this.#options.post.close?.();
  }

  /** From 10 ms, doubled with each round through the endpoints, and never all clients at once. */
  #pauseMs({ failures }: Patience): number {
    const rounds = Math.floor(failures / this.#options.endpoints.length);
    const ms = Math.min(PAUSE_MS_MIN * 2 ** (rounds - 1), PAUSE_MS_MAX);
    return ms / 2 + this.#options.random.below(Math.ceil(ms / 2));
  }

  async #send<T>(endpoint: string, request: EtcdRequest<T>, patience: Patience): Promise<Reply<T>> {
    let sent = false;
    try {
      if (!this.#ofOurCluster.has(endpoint)) {
        const found = await this.#identify(endpoint, this.#leftMs(patience));
        this.#checkCluster(endpoint, found.cluster);
      }
      const seen = this.#revisionMax;
      const leftMs = this.#leftMs(patience);
      sent = true;
      const said = await this.#post(endpoint, request, leftMs);
      if (said.kind === 'refused') return said;
      this.#checkHeader(endpoint, headerOf(said.body), seen);
      return { kind: 'answer', answer: request.understand(said.body) };
    } catch (error) {
      if (!(error instanceof PostFailure)) throw error;
      patience.tried.set(endpoint, error.message);
      return { kind: 'failed', sent: sent && error.sent };
    }
  }

  /** Serializable: it asks for the name of the cluster alone, which a member without a majority knows too. */
  async #identify(endpoint: string, leftMs: number): Promise<{ endpoint: string; cluster: string }> {
    const request = rangeRequest({ key: 'rokka', serializable: true });
    const said = await this.#post(endpoint, request, leftMs);
    // Who may not read this key learns so from what is asked next, in its own words.
    if (said.kind === 'refused') return { endpoint, cluster: '' };
    return { endpoint, cluster: headerOf(said.body).cluster };
  }

  async #post(endpoint: string, { path, body }: EtcdRequest<unknown>, leftMs: number): Promise<Spoken> {
    const text = JSON.stringify(body);
    // A member writes a long value to its disk, and to those of others, before it says anything.
    const silenceMs = Math.min(this.#options.requestTimeoutMs + text.length / BYTES_PER_MS, leftMs);
    return readAnswer(await this.#options.post(endpoint, path, text, { silenceMs, totalMs: leftMs }));
  }

  #checkCluster(endpoint: string, cluster: string): void {
    if (cluster === '') return;
    this.#cluster ??= cluster;
    if (cluster !== this.#cluster)
      throw registryErrors.REGISTRY_WRONG_CLUSTER([endpoint, cluster, this.#cluster]);
    this.#ofOurCluster.add(endpoint);
  }

  /** `seen` is what was known when the request was made: answers that cross on the way may come in any order. */
  #checkHeader(endpoint: string, header: { cluster: string; revision: number }, seen: number): void {
    this.#checkCluster(endpoint, header.cluster);
    if (header.revision < seen) throw registryErrors.REGISTRY_REWOUND([endpoint, header.revision, seen]);
    this.#revisionMax = Math.max(this.#revisionMax, header.revision);
  }

  /** @throws REGISTRY_UNAVAILABLE where no time is left */
  #leftMs(patience: Patience): number {
    const { clock, patienceMs } = this.#options;
    const leftMs = patience.endMs - clock.nowMs();
    if (leftMs > 0) return leftMs;
    const tried = this.#options.endpoints
      .map((endpoint) => `${endpoint}: ${patience.tried.get(endpoint) ?? 'not asked'}`)
      .join('; ');
    const { inDoubt } = patience;
    throw registryErrors.REGISTRY_UNAVAILABLE([patienceMs, tried, inDoubt], {
      detail: { inDoubt },
    });
  }
}

type Spoken = { kind: 'answer'; body: JsonObject } | { kind: 'refused'; message: string };

/** @throws PostFailure where it is not etcd that speaks, or where etcd says that this member cannot now */
function readAnswer({ status, text }: HttpAnswer): Spoken {
  const body = parseObject(text);
  if (status === 200 && body && typeof body['header'] === 'object') return { kind: 'answer', body };
  const { code, message } = body ?? {};
  if (typeof code !== 'number' || typeof message !== 'string')
    throw new PostFailure(`HTTP ${status}, not an answer of etcd's v3 gateway`, true);
  if (REFUSALS.has(code) && !PASSING.test(message)) return { kind: 'refused', message };
  throw new PostFailure(message, true);
}

function parseObject(text: string): JsonObject | undefined {
  try {
    const value = JSON.parse(text) as unknown;
    return typeof value === 'object' && value ? (value as JsonObject) : undefined;
  } catch {
    return undefined;
  }
}
