/**
 * Peers fill each other's holes without the writer: a segment asks a random member of its group how far it is, and fetches
 * what it lacks itself. Every second, and soon after a ship that left a hole.
 *
 * Only peers at this segment's own epochs are used, in both directions: a peer of a higher volume epoch refuses us until we
 * are fenced, and we refuse it. Whoever is refused for being behind waits for the writer, and does not ask again and again;
 * whoever hears that the group goes on without it falls silent (P18 §4.1).
 */
import { isCoded, type Clock, type Random } from '@rokka/kernel';
import type { Network } from '@rokka/transport';
import { pullLog } from './log-pull.ts';
import { learnRetirement } from './membership.ts';
import type { Epochs } from './messages.ts';
import { PeerClients, type SoundPeer } from './peer-clients.ts';
import { atSameEpochs, type Segment } from './segment.ts';
import type { SegmentStore } from './store.ts';

export interface GossipOptions {
  store: SegmentStore;
  network: Network;
  clock: Clock;
  random: Random;
  intervalMs: number;
}

/** After a ship that left a hole: what is missing may be on its way from the writer. */
const HOLE_MS = 20;
/** How many peers in a row may have nothing for a segment with a hole before it waits for the next round. */
const MISSES_MAX = 8;
/** Whoever lacks more than this asks all members at once. */
const FAR_LSNS = 8_192;
/** A segment that peers refuse because they obey a later writer or membership waits to be fenced; so long at most. What they obey is in
 * their answer, but a node takes it from nobody but the writer, which tells all of them at once. */
const BEHIND_REST_MS = 5_000;
/** Segments that are looked after at the same time. */
const EXCHANGES_MAX = 4;

export class Gossip implements AsyncDisposable {
  readonly #options: GossipOptions;
  readonly #clients: PeerClients;
  /** Segments waiting for an exchange, and those that have one. */
  readonly #queue = new Set<Segment>();
  readonly #running = new Map<Segment, Promise<void>>();
  readonly #misses = new Map<Segment, number>();
  readonly #resting = new Map<Segment, { epochs: Epochs; untilMs: number }>();
  #cancelRound: () => void;
  #cancelHole: (() => void) | undefined;
  #closed = false;
  fetchedRecords = 0;
  exchangeCount = 0;

  constructor(options: GossipOptions) {
    this.#options = options;
    this.#clients = new PeerClients(options);
    this.#cancelRound = this.#nextRound();
  }

  /** Looks after a segment now: it has been given a base and lacks everything above it. */
  ask(segment: Segment): void {
    this.#queue.add(segment);
    this.#run();
  }

  /**
   * It obeys a later writer or membership: whoever refused it, or may just be about to, is asked once more. An untouched one may have been
   * left by a writer that died, and be about to give way to a newcomer's: what came to it meanwhile would keep it.
   */
  fenced(segment: Segment): void {
    if (segment.isUntouched) return;
    const wasRefused = this.#resting.delete(segment);
    if (wasRefused || this.#running.has(segment)) this.ask(segment);
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
    this.#clients[Symbol.dispose]();
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
      for (const segment of this.#resting.keys()) if (segment.dropped) this.#resting.delete(segment);
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
    const { random, store } = this.#options;
    const members = this.#clients.membersOf(segment);
    const member = members.length === 0 ? undefined : members[random.below(members.length)];
    // A newcomer without a base does not know yet where its log begins.
    const unready = segment.retired || segment.dropped || segment.hydration?.begun === false;
    if (!member || unready || this.#isResting(segment)) return;
    this.exchangeCount++;
    const { epochs } = segment;
    try {
      const answer = await this.#clients.stateOf(segment, member);
      await this.#catchUp(segment, { member, ...answer });
    } catch (error) {
      if (!this.#clients.failed(member, error)) return;
      learnRetirement(segment, error, store.identity.node);
      // One that was fenced meanwhile is behind nobody.
      if (isBehind(segment, error) && atSameEpochs(segment, epochs)) this.#rest(segment);
    }
  }

  async #catchUp(segment: Segment, peer: SoundPeer): Promise<void> {
    const { store } = this.#options;
    const { state } = peer;
    if (this.#closed || segment.dropped || !this.#clients.isUsable(segment, state)) return;
    this.#clients.learn(segment, state);
    const { scl } = segment.chain;
    if (state.scl <= scl) return;
    const far = segment.hydration !== undefined || state.scl - scl > FAR_LSNS;
    const others = far ? await this.#clients.soundPeers(segment) : [];
    const peers = [peer, ...others.filter(({ member }) => member.node !== peer.member.node)].filter(
      (one) => one.state.scl >= state.scl && one.state.logFloor <= segment.chain.scl,
    );
    if (peers.length === 0 || this.#closed) return;
    const through = state.scl;
    this.fetchedRecords += await pullLog({ segment, through, peers, store, clients: this.#clients });
  }

  /** Until the writer has fenced it, or for a while: others may be as far back as this segment. */
  #rest(segment: Segment): void {
    const untilMs = this.#options.clock.nowMs() + BEHIND_REST_MS;
    this.#resting.set(segment, { epochs: segment.epochs, untilMs });
  }

  #isResting(segment: Segment): boolean {
    const rest = this.#resting.get(segment);
    if (!rest) return false;
    if (atSameEpochs(segment, rest.epochs) && this.#options.clock.nowMs() < rest.untilMs) return true;
    this.#resting.delete(segment);
    return false;
  }
}

/** Whether a peer's refusal says that it obeys a later writer, or a later membership. */
function isBehind(segment: Segment, error: unknown): boolean {
  if (isCoded(error, 'STORAGE_STALE_EPOCH')) return true;
  if (!isCoded(error, 'STORAGE_STALE_MEMBERSHIP')) return false;
  return Number(error.detail['membershipEpoch']) > segment.membershipEpoch;
}
