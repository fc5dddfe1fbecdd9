/** One protection group as the writer holds it, and what it says to the group's six nodes. */
import { must, type Epoch, type Lsn, type NodeId, type PgIndex, type VolumeId } from '@rokka/kernel';
import { ReadRouter, type QuorumFormulas, type TruncationRange } from '@rokka/quorum';
import {
  decodeSegmentState,
  encodeCreateSegment,
  encodeFence,
  encodeFetch,
  encodeShipHead,
  MESSAGE,
  type MemberAddress,
  type SegmentState,
} from '@rokka/storage';
import { firstPageOf, formulasOf, type PlacedMember } from './geometry.ts';
import type { NodeLink } from './node-link.ts';
import { Outbox } from './outbox.ts';

/** Bytes of records in one ship or fetch: long enough to be worth a system call, short enough to interleave. */
export const SHIP_BYTES_MAX = 1024 * 1024;

export interface GroupPoints {
  vdl: Lsn;
  pgmrpl: Lsn;
  logFloor: Lsn;
}

export class Group {
  readonly pg: PgIndex;
  readonly members: readonly PlacedMember[];
  readonly formulas: QuorumFormulas;
  readonly outbox = new Outbox();
  readonly router: ReadRouter;
  readonly #volume: VolumeId;
  readonly #pagesPerGroup: number;
  readonly #membershipEpoch: Epoch;
  readonly #addressOf: (node: NodeId) => string;
  /** How far each member's pages are, by place; 0 where unknown. Tails have no pages and do not count. */
  readonly #coalesced: Lsn[];
  /** Members whose segment this writer has fenced since their link came up. */
  readonly #fenced = new Set<NodeId>();
  /** Why a node that is up does not take part, for people. */
  readonly unfencedReasons = new Map<NodeId, string>();
  /** The VDL that all fenced members were told last, so that a heartbeat is sent only when there is news. */
  announcedVdl = 0 as Lsn;

  constructor(options: {
    volume: VolumeId;
    pg: PgIndex;
    pagesPerGroup: number;
    membershipEpoch: Epoch;
    members: readonly PlacedMember[];
    addressOf: (node: NodeId) => string;
  }) {
    this.pg = options.pg;
    this.members = options.members;
    this.formulas = formulasOf(options.members);
    this.router = new ReadRouter(options.members.map(({ kind }) => kind));
    this.#volume = options.volume;
    this.#pagesPerGroup = options.pagesPerGroup;
    this.#membershipEpoch = options.membershipEpoch;
    this.#addressOf = options.addressOf;
    this.#coalesced = options.members.map(() => 0 as Lsn);
  }

  /** Place of a node among the members, or -1. */
  placeOf(node: NodeId): number {
    return this.members.findIndex((member) => member.node === node);
  }

  isFenced(node: NodeId): boolean {
    return this.#fenced.has(node);
  }

  markFenced(node: NodeId, fenced: boolean): void {
    if (fenced) this.#fenced.add(node);
    else this.#fenced.delete(node);
  }

  coalescedTo(place: number, lsn: Lsn): void {
    if (lsn > must(this.#coalesced[place])) this.#coalesced[place] = lsn;
  }

  /** The log may be dropped up to here: all six have it, and every full one has it in its pages. */
  logFloor(sclOf: (place: number) => Lsn | undefined): Lsn {
    let floor = Number.MAX_SAFE_INTEGER;
    for (const [place, { kind }] of this.members.entries()) {
      floor = Math.min(floor, sclOf(place) ?? 0);
      if (kind === 'full') floor = Math.min(floor, must(this.#coalesced[place]));
    }
    return floor as Lsn;
  }

  /** Makes the segment on a node where it is missing. Durable when it resolves. */
  async createOn(link: NodeLink, volumeEpoch: Epoch): Promise<void> {
    const message = encodeCreateSegment({
      ...this.#head(volumeEpoch),
      kind: must(this.members[this.placeOf(link.node)]).kind,
      firstPage: firstPageOf(this.pg, this.#pagesPerGroup),
      pageCount: this.#pagesPerGroup,
      members: this.#addresses(),
      hydrate: false,
    });
    await link.call(MESSAGE.CREATE_SEGMENT, [message]);
  }

  /** Fences the segment on a node under `volumeEpoch`, with all `ranges`, and reads its state in the same step. */
  async fenceOn(
    link: NodeLink,
    volumeEpoch: Epoch,
    ranges: readonly TruncationRange[],
    options: { timeoutMs?: number } = {},
  ): Promise<SegmentState> {
    const message = encodeFence({
      ...this.#head(volumeEpoch),
      members: this.#addresses(),
      ranges: [...ranges],
    });
    return decodeSegmentState(await link.call(MESSAGE.FENCE, [message], options));
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
      const request = encodeFetch({ ...this.#head(volumeEpoch), after, through, limitBytes: SHIP_BYTES_MAX });
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
    return link.send(MESSAGE.SHIP, [this.shipHead(volumeEpoch, points), ...records]);
  }

  shipHead(volumeEpoch: Epoch, points: GroupPoints): Uint8Array {
    return encodeShipHead({ ...this.#head(volumeEpoch), ...points });
  }

  head(volumeEpoch: Epoch): { volume: VolumeId; pg: PgIndex; volumeEpoch: Epoch; membershipEpoch: Epoch } {
    return this.#head(volumeEpoch);
  }

  #addresses(): MemberAddress[] {
    return this.members.map((member) => ({ ...member, address: this.#addressOf(member.node) }));
  }

  #head(volumeEpoch: Epoch) {
    return { volume: this.#volume, pg: this.pg, volumeEpoch, membershipEpoch: this.#membershipEpoch };
  }
}
