/** How much of the protocol a search covers. Everything that these numbers allow is explored, in every order. */

export interface Bounds {
  /** Six full members, or three full and three tail. */
  readonly group: 'all-full' | 'full-tail';
  /** Openings of the volume, the first included: each is a recovery, and then a writer that never hears of its end. */
  readonly openings: number;
  /** Records of one writer, each a mini-transaction. */
  readonly records: number;
  /** Replacements that begin, in all. */
  readonly changes: number;
  /** Newcomers in one slot: with 2, a replacement that was taken back may be tried again. */
  readonly newcomers: number;
  /** Whether a recovery may force a member out. */
  readonly force: boolean;
  /** Whether a recovery may give a newcomer up. */
  readonly giveUp: boolean;
  /** Whether records may overtake each other on the way to a node. */
  readonly overtaking: boolean;
  /** Whether ships and gossip tell nodes the VDL. */
  readonly hints: boolean;
  /** Whether the answer to a fence may get lost when the node obeys already. */
  readonly lostAnswers: boolean;
  /** Whether all nodes fill their holes from peers, or newcomers only. */
  readonly gossip: 'all' | 'newcomers';
  /** Whether an ack may be on its way for any time, or a writer knows at once what its nodes have. */
  readonly acks: 'late' | 'at once';
}

export const DEFAULT_BOUNDS: Bounds = {
  group: 'all-full',
  openings: 2,
  records: 1,
  changes: 1,
  newcomers: 1,
  force: false,
  giveUp: false,
  overtaking: false,
  hints: false,
  lostAnswers: false,
  gossip: 'all',
  acks: 'late',
};

/** LSNs are bits of a mask here. */
export const LSN_MAX = 30;
