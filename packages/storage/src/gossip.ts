/**
 * Peers fill each other's holes without the writer: a segment asks a random member of its group how far it is, and fetches
 * what it lacks itself. Every second, and soon after a ship that left a hole.
 *
 * Only peers at this segment's own epochs are used, in both directions: a peer of a higher volume epoch refuses us until we
 * are fenced, and we refuse it. What is fetched goes through the same checks as what a writer ships.
 */
import { isCoded, type Clock, type NodeId, type Random } from '@rokka/kernel';
import type { Network } from '@rokka/transport';
import * as codec from './message-codec.ts';
import { MESSAGE, type MemberAddress, type SegmentState } from './messages.ts';
import { NodeClient } from './node-client.ts';
import type { Segment } from './segment.ts';
import type { SegmentStore } from './store.ts';

export interface GossipOptions {
  store: SegmentStore;
  network: Network;
  clock: Clock;
  random: Random;
  intervalMs: number;
}

const REQUEST_MS = 2_000;
/** A member that did not answer is left alone for so long. */
const SHUN_MS = 1_000;
/** After a ship that left a hole: what is missing may be on its way from the writer. */
const HOLE_MS = 20;
/** How many peers in a row may have nothing for a segment with a hole before it waits for the next round. */
const MISSES_MAX = 8;
const FETCH_BYTES = 1024 * 1024;
const FETCHES_MAX = 256;
/** Segments that are looked after at the same time. */
const EXCHANGES_MAX = 4;

export class Gossip implements AsyncDisposable {
  readonly #options: GossipOptions;
  readonly #clients = new Map<NodeId, Promise<NodeClient>>();
  readonly #shunnedUntilMs = new Map<NodeId, number>();
  /** Segments waiting for an exchange, and those that have one. */
  readonly #queue = new Set<Segment>();
  readonly #running = new Map<Segment, Promise<void>>();
  readonly #misses = new Map<Segment, number>();
  #cancelRound: () => void;
  #cancelHole: (() => void) | undefined;
  #closed = false;
  fetchedRecords = 0;
  exchangeCount = 0;

  constructor(options: GossipOptions) {
    this.#options = options;
    this.#cancelRound = this.#nextRound();
  }

  /** A ship has arrived; if it left a hole, peers are asked soon. */
  shipped(segment: Segment): void {
    if (segment.chain.heldCount > 0) this.#askSoon();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true;
    this.#cancelRound();
    this.#cancelHole?.();
    this.#queue.clear();
    for (const client of this.#clients.values()) client.then((one) => one.close()).catch(() => {});
    await Promise.allSettled(this.#running.values());
  }

  #askSoon(): void {
    if (this.#cancelHole || this.#closed) return;
    this.#cancelHole = this.#options.clock.after(HOLE_MS, () => {
      this.#cancelHole = undefined;
      for (const segment of this.#options.store.segments.all)
        if (segment.chain.heldCount > 0 && (this.#misses.get(segment) ?? 0) < MISSES_MAX)
          this.#queue.add(segment);
      this.#run();
    });
  }

  #nextRound(): () => void {
    const { clock, random, intervalMs, store } = this.#options;
    // Spread, so that the six of a group do not ask in step.
    const delayMs = intervalMs / 2 + random.below(Math.max(1, intervalMs));
    return clock.after(delayMs, () => {
      this.#misses.clear();
      for (const segment of store.segments.all) this.#queue.add(segment);
      this.#run();
      this.#cancelRound = this.#nextRound();
    });
  }

  #run(): void {
    if (this.#closed || this.#options.store.log.failure) return;
    for (const segment of this.#queue) {
      if (this.#running.size >= EXCHANGES_MAX) return;
      if (this.#running.has(segment)) continue;
      this.#queue.delete(segment);
      const before = segment.chain.scl;
      const exchange = this.#exchange(segment).finally(() => {
        this.#running.delete(segment);
        this.#again(segment, segment.chain.scl > before);
      });
      this.#running.set(segment, exchange);
    }
  }

  /** While every node has holes of its own, no peer can give all: after progress the next is asked at once. */
  #again(segment: Segment, progressed: boolean): void {
    if (this.#closed) return;
    this.#misses.set(segment, progressed ? 0 : (this.#misses.get(segment) ?? 0) + 1);
    if (segment.chain.heldCount > 0) {
      if (progressed) this.#queue.add(segment);
      else this.#askSoon();
    }
    this.#run();
  }

  /** Asks one peer, and catches up with it. Never rejects: a peer's failure is a reason to ask another one next time. */
  async #exchange(segment: Segment): Promise<void> {
    const member = this.#choose(segment);
    if (!member) return;
    this.exchangeCount++;
    try {
      const client = await this.#client(member);
      const body = await client.request(MESSAGE.PEER_STATE, [codec.encodePeerState(headOf(segment))], {
        timeoutMs: REQUEST_MS,
      });
      await this.#catchUp(segment, client, codec.decodeSegmentState(body));
    } catch (error) {
      if (!isCoded(error)) throw error;
      // An answer, even a refusal, shows that the peer is alive; anything else costs it a rest.
      if (error.code.startsWith('STORAGE_')) return;
      const { clock } = this.#options;
      this.#clients.delete(member.node);
      this.#shunnedUntilMs.set(member.node, clock.nowMs() + SHUN_MS);
    }
  }

  async #catchUp(segment: Segment, client: NodeClient, peer: SegmentState): Promise<void> {
    const { store } = this.#options;
    const { volumeEpoch, membershipEpoch } = segment.epochs;
    const sameEpochs = (other: { volumeEpoch: number; membershipEpoch: number }) =>
      other.volumeEpoch === volumeEpoch && other.membershipEpoch === membershipEpoch;
    if (peer.damaged || !sameEpochs(peer)) return;
    // A truncation may have missed us. It was decided in the registry before the peer heard of it, so it binds us too.
    const unknown = peer.ranges.filter((range) => !segment.chain.truncation.has(range));
    if (unknown.length > 0) store.adoptRanges(segment, unknown, segment.epochs);
    segment.learnPoints({ vdl: peer.vdl });
    for (let i = 0; i < FETCHES_MAX && peer.scl > segment.chain.scl && !this.#closed; i++) {
      const after = segment.chain.scl;
      const fetch = { ...headOf(segment), after, through: peer.scl, limitBytes: FETCH_BYTES };
      const records = await client.request(MESSAGE.FETCH, [codec.encodeFetch(fetch)], {
        timeoutMs: REQUEST_MS,
      });
      // A fence may have come while we waited; then the answer is of a time that is over.
      if (this.#closed || !sameEpochs(segment.epochs)) return;
      this.fetchedRecords += store.ingest(segment, records);
      if (segment.chain.scl <= after) return;
    }
  }

  #choose(segment: Segment): MemberAddress | undefined {
    const { store, clock, random } = this.#options;
    const nowMs = clock.nowMs();
    const others = segment.members.filter(
      ({ node }) => node !== store.identity.node && (this.#shunnedUntilMs.get(node) ?? -Infinity) <= nowMs,
    );
    return others.length === 0 ? undefined : others[random.below(others.length)];
  }

  async #client(member: MemberAddress): Promise<NodeClient> {
    const { network, clock, store } = this.#options;
    const known = this.#clients.get(member.node);
    if (known) return known;
    const client = NodeClient.connect({
      network,
      address: member.address,
      hello: { cluster: store.identity.cluster, node: member.node },
      clock,
      timeoutMs: REQUEST_MS,
      rest: {
        onClose: () => {
          if (this.#clients.get(member.node) === client) this.#clients.delete(member.node);
        },
      },
    });
    this.#clients.set(member.node, client);
    client.catch(() => {
      if (this.#clients.get(member.node) === client) this.#clients.delete(member.node);
    });
    return client;
  }
}

function headOf(segment: Segment) {
  return { volume: segment.volume, pg: segment.pg, ...segment.epochs };
}
