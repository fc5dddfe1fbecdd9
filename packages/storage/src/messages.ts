/**
 * What a writer, a reader or a peer says to a storage node, and what it answers. One table of message types; the codec for
 * each stands in message-codec.ts. Every message about a segment carries the epochs, and a node refuses stale ones with
 * its own in the answer (P18 §2.4, §4.1).
 */
import type { Epoch, Lsn, NodeId, PageNumber, PgIndex, VolumeId, Zone } from '@rokka/kernel';

/** Version of this table and its codec. Said in HELLO by both sides; a node refuses any other. */
export const STORAGE_PROTOCOL = 8;

/** Frame types. Answers carry the request's id; SHIP and its ACK have none, they are a stream. */
export const MESSAGE = {
  HELLO: 1,
  CREATE_SEGMENT: 2,
  FENCE: 3,
  TRUNCATE: 4,
  SHIP: 5,
  ACK: 6,
  READ: 7,
  FETCH: 8,
  STATUS: 9,
  PEER_STATE: 10,
  SHIP_REFUSED: 11,
  PAGES: 12,
  DROP_SEGMENT: 13,
  START_OVER: 14,
  OK: 100,
  ERROR: 101,
} as const;

export type SegmentKind = 'full' | 'tail';

export interface SegmentAddress {
  volume: VolumeId;
  pg: PgIndex;
}

export interface Epochs {
  volumeEpoch: Epoch;
  membershipEpoch: Epoch;
}

/** LSNs in (after, through] were annulled by the recovery that opened `volumeEpoch`; no record in it may ever count. */
export interface TruncationRange {
  volumeEpoch: Epoch;
  after: Lsn;
  through: Lsn;
}

export interface Hello {
  protocol: number;
  cluster: string;
  /** The node that the caller believes is at this address; a node with another identity refuses. */
  node: NodeId;
}

export interface HelloAnswer {
  protocol: number;
  node: NodeId;
  zone: Zone;
  /** Made with the data directory: an empty disk under an old name has another one (aurora.md trap 13). */
  store: string;
}

/** A member of the protection group as nodes know it: whom to gossip with, and whom to hydrate from. */
export interface MemberAddress {
  node: NodeId;
  address: string;
  zone: Zone;
  kind: SegmentKind;
}

/** What a writer says of a segment that is to be made. */
export interface SegmentFacts extends SegmentAddress, Epochs {
  kind: SegmentKind;
  /** Pages [firstPage, firstPage + pageCount) of the volume. */
  firstPage: PageNumber;
  pageCount: number;
  /** All of the membership epoch, this node included: six, or up to eight while replacements run. */
  members: MemberAddress[];
}

/** Idempotent: a segment that exists with the same kind is left alone. Durable before the answer. */
export interface CreateSegment extends SegmentFacts {
  /** A newcomer to a group that has history: the segment is `hydrating` until it holds what its peers do. */
  hydrate: boolean;
  /**
   * The registry has confirmed the writer, and says that nobody ever counted with this member: whatever is here under the
   * group's name was left by a writer that died while it made the group. Where it is damaged, or made for other members, it
   * gives way to an empty one; what has records stays.
   */
  anew: boolean;
}

/**
 * For a member that is `unknown`: it gives up what it has and hydrates like a newcomer, and it counts again when it holds
 * everything up to `required`, the last LSN that was ever given to the group. Only a writer that the registry has confirmed
 * since the member said so may send this: what the member promised and forgot, it promised to this writer or one before.
 * A member that is not damaged is left alone, unless nothing has come to it, or its SCL is below `dropped`: none of the others has that much
 * of the log, so nobody could fill it. The answer is its state, when that is durable.
 */
export interface StartOver extends SegmentFacts {
  required: Lsn;
  dropped: Lsn;
}

/**
 * Fence and read in ONE step (aurora.md trap 1): the node makes `volumeEpoch`, the membership and all `ranges` durable,
 * refuses lower epochs from then on, and only then reads its state for the answer. Under the same volume epoch it
 * installs the next membership.
 */
export interface Fence extends SegmentAddress, Epochs {
  /** Those of `membershipEpoch`; two lists under one epoch are refused (aurora.md I9). */
  members: MemberAddress[];
  ranges: TruncationRange[];
}

export interface SegmentState extends SegmentAddress, Epochs {
  kind: SegmentKind;
  /** Every record of the segment chain up to here is on this node. */
  scl: Lsn;
  /** Highest VDL that a writer has told this node: everything at or below it is durable for ever. */
  vdl: Lsn;
  /** Pages contain everything up to here, on disk (full segments; equals scl for tails). */
  coalesced: Lsn;
  /** Records at or below were dropped from the log. */
  logFloor: Lsn;
  /** Every truncation range this segment knows. */
  ranges: TruncationRange[];
  /** Records above `vdl` up to `scl`, in chain order: what recovery needs to walk the volume chain. */
  tail: { lsn: Lsn; previousVolumeLsn: Lsn; cpl: boolean }[];
  /** A damaged segment says so: it counts as unknown, never as "does not have it". */
  damaged: boolean;
  /** Damaged, and the log of its peers cannot make it whole: nobody knows what it had acknowledged. */
  unknown: boolean;
  /** So does a newcomer that does not hold everything yet; its `scl` is 0 and its tail empty (trap 17). */
  hydrating: boolean;
}

/** Durable before the answer (OK). Refused unless `range.volumeEpoch` equals the node's volume epoch. */
export interface Truncate extends SegmentAddress, Epochs {
  range: TruncationRange;
}

/**
 * Records of one protection group, each sealed, in LSN order; may be empty (a heartbeat that carries the points). One message has ships
 * of several groups of a volume: what each of a hundred would cost by itself is paid once.
 */
export interface Ship extends SegmentAddress, Epochs {
  vdl: Lsn;
  /** Protection-group minimum read point: no read below it will come; bounds coalescing together with vdl. */
  pgmrpl: Lsn;
  /** Every member has all records at or below, and every full member has them in its pages: the log may drop them. */
  logFloor: Lsn;
  records: Uint8Array;
}

/** What a writer sends: the records lie in pieces. */
export interface ShipParts extends Omit<Ship, 'records'> {
  records: readonly Uint8Array[];
}

/** Sent after the sync that covers the batch, for all segments of a volume in one message; cumulative. */
export interface Ack extends SegmentAddress, Epochs {
  scl: Lsn;
  coalesced: Lsn;
}

/** Instead of an ACK: nothing of the ship was taken, or only a prefix. The epochs are the node's own. */
export interface ShipRefused extends SegmentAddress, Epochs {
  code: string;
  message: string;
  detail: Readonly<Record<string, unknown>>;
}

/** Most pages of one READ: what a node does in one turn. */
export const READ_PAGES_MAX = 32;

export interface Read extends SegmentAddress, Epochs {
  /** At least one. */
  pages: readonly PageNumber[];
  /** The pages as of this LSN. */
  readPoint: Lsn;
  /** Last LSN of this protection group at or below readPoint: the node must have SCL >= this (aurora.md trap 23). */
  requiredScl: Lsn;
}

/** The first of the pages that were asked for, or more of them in that order; at the first that it lacks a node stops. */
export type ReadAnswer = readonly PageVersion[];

export interface PageVersion {
  /** LSN of the last record in the page, 0 for a page never written. */
  pageLsn: Lsn;
  /** PAGE_SIZE bytes, or none for a page never written (all zeroes). */
  content: Uint8Array;
}

/** Records after `after` in segment-chain order, at most to `through` and about `limitBytes` (at least one record). */
export interface Fetch extends SegmentAddress, Epochs {
  after: Lsn;
  through: Lsn;
  limitBytes: number;
}

/** For gossip; the answer is a SegmentState with an empty tail. */
export interface PeerState extends SegmentAddress, Epochs {}

/**
 * Pages of a full segment as they lie on its disk, for a newcomer and for repair: those ever written, from `firstPage` on,
 * about `limitBytes` of them (at least one) and none at or above `endPage`.
 */
export interface Pages extends SegmentAddress, Epochs {
  firstPage: PageNumber;
  endPage: PageNumber;
  limitBytes: number;
}

export interface PagesAnswer {
  /** Each page contains every record of its own up to here; the sender's log goes on from here. */
  coalesced: Lsn;
  /** And none above this: what the sender itself was given by a peer may be newer than what it has coalesced. */
  shows: Lsn;
  /** Where to go on; equals `endPage` where nothing is left. */
  nextPage: PageNumber;
  pages: {
    page: PageNumber;
    lsn: Lsn;
    /** CRC-32 of the content, as the sender has kept it since it made the page. */
    checksum: number;
    content: Uint8Array;
  }[];
}

/**
 * The node is no longer a member: `members` is what replaced it, under a higher `membershipEpoch`. The segment and its
 * pages go. Idempotent. Sent only when the group is whole again without it (P18 §4.1).
 */
export interface DropSegment extends SegmentAddress, Epochs {
  members: MemberAddress[];
}
