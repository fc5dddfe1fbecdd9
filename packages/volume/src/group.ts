/** One protection group as the writer holds it, and what it says to the group's nodes. */
import { type Epoch, type Lsn, type NodeId, type PgIndex, type VolumeId } from '@rokka/kernel';
import { satisfied, type Membership, type QuorumExpression, type TruncationRange } from '@rokka/quorum';
import {
  decodeSegmentState,
  encodeCreateSegment,
  encodeDropSegment,
  encodeFence,
  encodeFetch,
  encodePeerState,
  encodeShips,
  encodeStartOver,
  MESSAGE,
  type MemberAddress,
  type SegmentState,
  type ShipParts,
} from '@rokka/storage';
import { firstPageOf } from './geometry.ts';
import type { NodeLink } from './node-link.ts';
import { Outbox } from './outbox.ts';
import { Roster } from './roster.ts';

/** Bytes of records in one ship or fetch: long enough to be worth a system call, short enough to interleave. */
export const SHIP_BYTES_MAX = 1024 * 1024;

export interface GroupPoints {
  vdl: Lsn;
  pgmrpl: Lsn;
  logFloor: Lsn;
}

export class Group {
  readonly pg: PgIndex;
  readonly outbox = new Outbox();
  readonly #volume: VolumeId;
  readonly #pagesPerGroup: number;
  readonly #addressOf: (node: NodeId) => string;
  #roster: Roster;
  /** How far each full member's pages are. */
  readonly #coalesced = new Map<NodeId, Lsn>();
  /** Members whose segment this writer has fenced since their link came up. */
  readonly #fenced = new Set<NodeId>();
  /** Those of them that said so under the current membership epoch. */
  readonly #installed = new Set<NodeId>();
  /** Newcomers that do not hold everything yet: what they say of their SCL does not count. */
  readonly #hydrating = new Set<NodeId>();
  /** Up to where each of them had dropped its log when it was fenced, or had hydrated: no more than it has dropped by now. */
  readonly #droppedTo = new Map<NodeId, Lsn>();
  /** The write rule that must have heard of the current membership before the next change. */
  #installRule: QuorumExpression;
  /** Why a node that is up does not take part, for people. */
  readonly unfencedReasons = new Map<NodeId, string>();
  /** The VDL that all fenced members were told last, so that a heartbeat is sent only when there is news. */
  announcedVdl = 0 as Lsn;
  /** The log above this is kept, whoever else could do without it. */
  heldAfter = Number.MAX_SAFE_INTEGER as Lsn;

  constructor(options: {
    volume: VolumeId;
    pg: PgIndex;
    pagesPerGroup: number;
    membership: Membership;
    addressOf: (node: NodeId) => string;
  }) {
    this.pg = options.pg;
    this.#volume = options.volume;
    this.#pagesPerGroup = options.pagesPerGroup;
    this.#addressOf = options.addressOf;
    this.#roster = new Roster(options.membership);
    this.#installRule = this.#roster.formulas.write;
  }

  get roster(): Roster {
    return this.#roster;
  }

  get members(): Roster['members'] {
    return this.#roster.members;
  }

  placeOf(node: NodeId): number {
    return this.#roster.placeOf(node);
  }

  /**
   * Place of a member whose acks count, or -1. Under which membership it says one does not matter: what it has is on its disk, and the write
   * rule in force is asked whether that is enough. Whoever recovers reads that rule from the registry and fences by it, so each of its read
   * sets meets this write set, whoever of them has heard of the change (I3, I10). An old ack could only lie of a member that left, gave up
   * what it had, and came again; but it arrives before the answers that say so, on the same connection, or never. Were it refused, what is
   * on its way while members change would wait for the answers to fences.
   */
  countedPlaceOf(node: NodeId): number {
    return this.isFenced(node) && !this.isHydrating(node) ? this.placeOf(node) : -1;
  }

  /**
   * The registry has decided the next membership. Whoever obeyed goes on obeying: it hears of the new epoch by a fence that
   * leaves before anything that carries it.
   */
  enter(membership: Membership): void {
    this.#installRule = this.#roster.formulas.write;
    this.#roster = new Roster(membership);
    this.#installed.clear();
    // Should one that left come again, it is another member: what was known of it does not hold.
    for (const known of [
      this.#fenced,
      this.#hydrating,
      this.#coalesced,
      this.#droppedTo,
      this.unfencedReasons,
    ])
      for (const node of known.keys()) if (this.placeOf(node) < 0) known.delete(node);
  }

  /**
   * Whether the current epoch is known to members that satisfy the write rule before it, or its own. Either is enough, for nothing that
   * is acknowledged rests on it: a write counts when members satisfy the current rule, both halves of it while one is replaced. Were both
   * asked for, a newcomer that dies at once, beside two that are away, could not be taken back, and nobody could write again.
   */
  get isInstalled(): boolean {
    const has = (node: string) => this.#installed.has(node as NodeId);
    return satisfied(this.#installRule, has) || satisfied(this.#roster.formulas.write, has);
  }

  isInstalledOn(node: NodeId): boolean {
    return this.#installed.has(node);
  }

  isFull(node: NodeId): boolean {
    return this.members.some((member) => member.node === node && member.kind === 'full');
  }

  isFenced(node: NodeId): boolean {
    return this.#fenced.has(node);
  }

  isHydrating(node: NodeId): boolean {
    return this.#hydrating.has(node);
  }

  markHydrating(node: NodeId, hydrating: boolean): void {
    if (hydrating) this.#hydrating.add(node);
    else this.#hydrating.delete(node);
  }

  /** The member obeys, as the answer to a fence says. */
  markFenced(node: NodeId, answer: SegmentState): void {
    this.#fenced.add(node);
    if (answer.membershipEpoch === this.#roster.epoch) this.#installed.add(node);
    this.hasDroppedTo(node, answer.logFloor);
    this.markHydrating(node, answer.hydrating);
  }

  hasDroppedTo(node: NodeId, logFloor: Lsn): void {
    this.#droppedTo.set(node, logFloor);
  }

  /**
   * Log that has been kept by none of those which obey and are further than `scl`, where the member is: if it lacks some of it, it cannot
   * be filled. Who is no further has nothing for it, whatever it has kept.
   */
  droppedByAllBut(node: NodeId, scl: Lsn, scls: ReadonlyMap<string, Lsn>): Lsn {
    const isAhead = (other: NodeId) => (scls.get(other) ?? 0) > scl && !this.isHydrating(other);
    const others = [...this.#fenced].filter((other) => other !== node && isAhead(other));
    const floors = others.map((other) => this.#droppedTo.get(other) ?? (0 as Lsn));
    return (floors.length === 0 ? 0 : Math.min(...floors)) as Lsn;
  }

  markUnfenced(node: NodeId): void {
    this.#fenced.delete(node);
    this.#installed.delete(node);
  }

  coalescedTo(node: NodeId, lsn: Lsn): void {
    if (lsn > (this.#coalesced.get(node) ?? 0)) this.#coalesced.set(node, lsn);
  }

  /** Its pages are made anew. */
  forgetPages(node: NodeId): void {
    this.#coalesced.delete(node);
  }

  /** The log may be dropped up to here: all members have it, every full one has it in its pages, and nobody else wants it. */
  logFloor(sclOf: (place: number) => Lsn | undefined): Lsn {
    let floor: number = this.heldAfter;
    for (const [place, { node, kind }] of this.members.entries()) {
      floor = Math.min(floor, this.isHydrating(node) ? 0 : (sclOf(place) ?? 0));
      if (kind === 'full') floor = Math.min(floor, this.#coalesced.get(node) ?? 0);
    }
    return floor as Lsn;
  }

  /** Makes the segment on a node where it is missing; `anew` also where one was left over. Durable when it resolves. */
  async createOn(link: NodeLink, volumeEpoch: Epoch, options: { anew?: boolean } = {}): Promise<void> {
    const facts = this.#factsFor(link.node, volumeEpoch);
    const { anew = false } = options;
    const message = encodeCreateSegment({ ...facts, hydrate: this.#roster.isNewcomer(link.node), anew });
    await link.call(MESSAGE.CREATE_SEGMENT, [message]);
  }

  /** Has a member begin anew whose copy is unknown, or sound and short of `dropped`; nothing above `required` was ever given to the group. */
  async startOverOn(link: NodeLink, volumeEpoch: Epoch, of: { required: Lsn; dropped: Lsn }): Promise<void> {
    const message = encodeStartOver({ ...this.#factsFor(link.node, volumeEpoch), ...of });
    await link.call(MESSAGE.START_OVER, [message]);
  }

  #factsFor(node: NodeId, volumeEpoch: Epoch) {
    return {
      ...this.head(volumeEpoch),
      kind: this.#roster.member(this.placeOf(node)).kind,
      firstPage: firstPageOf(this.pg, this.#pagesPerGroup),
      pageCount: this.#pagesPerGroup,
      members: this.#addresses(),
    };
  }

  /** Fences the segment on a node under `volumeEpoch`, with all `ranges`, and reads its state in the same step. */
  async fenceOn(
    link: NodeLink,
    volumeEpoch: Epoch,
    ranges: readonly TruncationRange[],
    options: { timeoutMs?: number } = {},
  ): Promise<SegmentState> {
    const message = encodeFence({
      ...this.head(volumeEpoch),
      members: this.#addresses(),
      ranges: [...ranges],
    });
    return decodeSegmentState(await link.call(MESSAGE.FENCE, [message], options));
  }

  /** Where a member stands, without a trace on its disk. */
  async stateOf(link: NodeLink, volumeEpoch: Epoch, options: { timeoutMs: number }): Promise<SegmentState> {
    const message = encodePeerState(this.head(volumeEpoch));
    return decodeSegmentState(await link.call(MESSAGE.PEER_STATE, [message], options));
  }

  /** Tells a node that was replaced to let its segment go. Durable when it resolves. */
  async dropOn(link: NodeLink, volumeEpoch: Epoch): Promise<void> {
    const message = encodeDropSegment({ ...this.head(volumeEpoch), members: this.#addresses() });
    await link.call(MESSAGE.DROP_SEGMENT, [message]);
  }

  /** Copies the records in (after, through] from one node to another: what recovery does before it may serve. */
  async copy(options: {
    from: NodeLink;
    to: NodeLink;
    volumeEpoch: Epoch;
    after: Lsn;
    through: Lsn;
    lastLsnIn: (records: Uint8Array) => Lsn;
  }): Promise<void> {
    const { from, to, volumeEpoch, through, lastLsnIn } = options;
    for (let after = options.after; after < through;) {
      const request = encodeFetch({ ...this.head(volumeEpoch), after, through, limitBytes: SHIP_BYTES_MAX });
      const records = await from.call(MESSAGE.FETCH, [request]);
      if (records.length === 0) return;
      // No points: nothing is durable by this writer's word before it serves.
      const points = { vdl: 0 as Lsn, pgmrpl: 0 as Lsn, logFloor: 0 as Lsn };
      if (!this.ship(to, volumeEpoch, points, [records])) return;
      after = lastLsnIn(records);
    }
  }

  /** Sends records (or none: a heartbeat) to one member. False where its buffer is full or it is gone. */
  ship(link: NodeLink, volumeEpoch: Epoch, points: GroupPoints, records: readonly Uint8Array[]): boolean {
    return link.send(MESSAGE.SHIP, encodeShips([this.shipOf(volumeEpoch, points, records)]));
  }

  shipOf(volumeEpoch: Epoch, points: GroupPoints, records: readonly Uint8Array[]): ShipParts {
    return { ...this.head(volumeEpoch), ...points, records };
  }

  #addresses(): MemberAddress[] {
    return this.members.map((member) => ({ ...member, address: this.#addressOf(member.node) }));
  }

  head(volumeEpoch: Epoch): { volume: VolumeId; pg: PgIndex; volumeEpoch: Epoch; membershipEpoch: Epoch } {
    return { volume: this.#volume, pg: this.pg, volumeEpoch, membershipEpoch: this.#roster.epoch };
  }
}
