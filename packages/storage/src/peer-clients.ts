/**
 * Connections of this node to its peers, one a peer for each kind of work, made when they are needed. A peer that did not
 * answer is left alone for a while; one that refused has shown that it is alive.
 */
import { isCoded, type Clock, type NodeId } from '@rokka/kernel';
import type { Network } from '@rokka/transport';
import { storageErrors } from './errors.ts';
import { learnRetirement } from './membership.ts';
import * as codec from './message-codec.ts';
import { MESSAGE, type MemberAddress, type SegmentState } from './messages.ts';
import { NodeClient } from './node-client.ts';
import { atSameEpochs, type Segment } from './segment.ts';
import type { SegmentStore } from './store.ts';

export interface PeerClientsOptions {
  store: SegmentStore;
  network: Network;
  clock: Clock;
}

export const REQUEST_MS = 2_000;
const SHUN_MS = 1_000;

/** A peer that is sound, whole, and at the segment's own epochs. */
export interface SoundPeer {
  member: MemberAddress;
  client: NodeClient;
  state: SegmentState;
}

export class PeerClients implements Disposable {
  readonly #options: PeerClientsOptions;
  readonly #clients = new Map<NodeId, Promise<NodeClient>>();
  readonly #shunnedUntilMs = new Map<NodeId, number>();
  #closed = false;

  constructor(options: PeerClientsOptions) {
    this.#options = options;
  }

  get closed(): boolean {
    return this.#closed;
  }

  /** The segment's other members that have not just failed. */
  membersOf(segment: Segment): MemberAddress[] {
    const { store, clock } = this.#options;
    const nowMs = clock.nowMs();
    return segment.members.filter(
      ({ node }) => node !== store.identity.node && (this.#shunnedUntilMs.get(node) ?? -Infinity) <= nowMs,
    );
  }

  /** @throws what NodeClient.connect throws */
  async client(member: MemberAddress): Promise<NodeClient> {
    const { network, clock, store } = this.#options;
    const known = this.#clients.get(member.node);
    if (known) return known;
    const forget = () => {
      if (this.#clients.get(member.node) === client) this.#clients.delete(member.node);
    };
    const client = NodeClient.connect({
      network,
      address: member.address,
      hello: { cluster: store.identity.cluster, node: member.node },
      clock,
      timeoutMs: REQUEST_MS,
      rest: { onClose: forget },
    });
    this.#clients.set(member.node, client);
    client.then((one) => this.#closed && one.close(), forget);
    return client;
  }

  /**
   * Takes note of why work with a peer failed. Answers whether it was an answer, if only a refusal; anything else costs the
   * peer a rest.
   */
  failed(member: MemberAddress, error: unknown): boolean {
    if (!isCoded(error)) throw error;
    if (error.code.startsWith('STORAGE_')) return true;
    // A call that was late leaves its connection open, and an answer to come on it.
    this.#clients.get(member.node)?.then(
      (one) => one.close(),
      () => {},
    );
    this.#clients.delete(member.node);
    this.#shunnedUntilMs.set(member.node, this.#options.clock.nowMs() + SHUN_MS);
    return false;
  }

  /**
   * What a member says of its copy of the segment.
   * @throws the member's refusal, what the connection throws, STORAGE_CLOSED where the segment was dropped while that was made
   */
  async stateOf(
    segment: Segment,
    member: MemberAddress,
  ): Promise<{ client: NodeClient; state: SegmentState }> {
    const client = await this.client(member);
    // The node may have another segment of the group by now, and obey a later membership: nobody asks in the old one's name.
    if (segment.dropped) throw storageErrors.STORAGE_CLOSED([`segment ${segment.id}`]);
    const message = codec.encodePeerState(headOf(segment));
    const body = await client.request(MESSAGE.PEER_STATE, [message], { timeoutMs: REQUEST_MS });
    return { client, state: codec.decodeSegmentState(body) };
  }

  /** Asks all members of the segment at once; those that cannot be used are left out. */
  async soundPeers(segment: Segment): Promise<SoundPeer[]> {
    const { store } = this.#options;
    const ask = async (member: MemberAddress): Promise<SoundPeer | undefined> => {
      try {
        const { client, state } = await this.stateOf(segment, member);
        return this.isUsable(segment, state) ? { member, client, state } : undefined;
      } catch (error) {
        this.failed(member, error);
        learnRetirement(segment, error, store.identity.node);
        return undefined;
      }
    };
    const answers = await Promise.all(this.membersOf(segment).map(ask));
    return answers.filter((peer) => peer !== undefined);
  }

  /** Whether anything may be taken from a peer that says this of itself. */
  isUsable(segment: Segment, state: SegmentState): boolean {
    return !state.damaged && !state.hydrating && atSameEpochs(segment, state);
  }

  /** Takes over what a usable peer knows of the group's past. */
  learn(segment: Segment, state: SegmentState): void {
    // A truncation may have missed us. It was decided in the registry before the peer heard of it, so it binds us too.
    const unknown = state.ranges.filter((range) => !segment.chain.truncation.has(range));
    if (unknown.length > 0) this.#options.store.adoptRanges(segment, unknown, segment.epochs);
    segment.learnPoints({ vdl: state.vdl });
  }

  [Symbol.dispose](): void {
    this.#closed = true;
    for (const client of this.#clients.values()) client.then((one) => one.close()).catch(() => {});
  }
}

export function headOf(segment: Segment) {
  return { volume: segment.volume, pg: segment.pg, ...segment.epochs };
}
