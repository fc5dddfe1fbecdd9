/**
 * I4 single history, I5 SCL truth, I8 epoch order, I2 no resurrection: what nodes say of their segments.
 *
 * - Every record that a node gets or gives is the one that its writer made.
 * - A node that claims an SCL was given every record of the chain up to it, and has not gone back behind an earlier claim,
 *   crash or no crash, except by a truncation that it has heard of.
 * - The epochs that it states never fall.
 * - Once it knows a range, it neither claims nor gives what lies in it.
 *
 * A segment that says it is damaged claims nothing; a promise made before binds it again when it says that it is whole.
 */
import { must, type Epoch, type Lsn, type NodeId, type PgIndex } from '@rokka/kernel';
import { Truncation, type TruncationRange } from '@rokka/quorum';
import type { SegmentState } from '@rokka/storage';
import { demand } from '../broken-invariant.ts';
import type { Listeners } from '../event-log.ts';
import type { SeenRecord } from '../events.ts';
import type { History } from './history.ts';

/** What is known of one life of a node in a group, on one data directory. */
interface Life {
  readonly store: string | undefined;
  readonly life: number;
  readonly segment: Seen;
}

interface Seen {
  readonly node: NodeId;
  readonly pg: PgIndex;
  /** Everything that ever reached it. */
  readonly delivered: Set<Lsn>;
  /** Where a newcomer's log may begin: what a peer said that its pages contain, or that nobody's log needs any more. */
  base: Lsn;
  /** The same, while it is not known whether it has begun anew: it may have and be done before it says so to anybody. */
  baseIfAnew: Lsn;
  /** LSNs whose whole chain is known to have reached it. */
  readonly complete: Set<Lsn>;
  claimed: Lsn;
  /** What it had claimed when its process started. */
  claimedAtStart: Lsn;
  volumeEpoch: Epoch;
  membershipEpoch: Epoch;
  /** What they were when its process started. */
  epochsAtStart: { volumeEpoch: Epoch; membershipEpoch: Epoch };
  /** The ranges that it has told. */
  truncation: Truncation;
}

export class SegmentOracle {
  readonly #history: History;
  readonly #segments = new Map<string, Seen>();
  /** Those that were asked for last, by node and group: nearly every event asks for the same one again. */
  readonly #latest = new Map<NodeId, Map<PgIndex, Life>>();
  /**
   * The data directory of each node. On an empty one it knows nothing of what it once said, and says so under another store's
   * name; that nobody counts it then is what the progress of writers shows.
   */
  readonly #stores = new Map<NodeId, string>();

  constructor(history: History) {
    this.#history = history;
  }

  /** Whether it got every record of the group up to there in its present life, from the first one on: it needs no pages then. */
  hasWholeLog(node: NodeId, pg: PgIndex, scl: Lsn): boolean {
    const zero = 0 as Lsn;
    return this.#hasChain({ ...this.#segment(node, pg), base: zero, complete: new Set([zero]) }, scl);
  }

  readonly listeners: Listeners = {
    delivered: (event) => {
      for (const record of event.records) this.#demandSame(record, `${event.from} sent ${event.node}`);
      this.#delivered(this.#segment(event.node, event.pg), event.records);
    },
    gave: (event) => this.#gave(this.#segment(event.node, event.pg), event.records),
    ack: (event) => {
      const segment = this.#segment(event.node, event.pg);
      this.#epochs(segment, { volumeEpoch: event.epoch, membershipEpoch: event.membershipEpoch });
      this.#claim(segment, event);
    },
    state: ({ node, to, of, state }) => {
      if (of === 'peer') this.#offered(to as NodeId, state);
      const segment = this.#segment(node, state.pg);
      // What a peer is told of epochs and ranges need not be on the disk yet; it only helps the peer to catch up.
      if (of === 'fence') {
        this.#epochs(segment, state, { mayBeOld: true });
        segment.truncation = segment.truncation.with(state.ranges);
      }
      if (!state.damaged && !state.hydrating)
        this.#claim(segment, { scl: state.scl, epoch: state.volumeEpoch, mayBeOld: true });
    },
    store: ({ node, store }) => this.#started(node, store),
  };

  #started(node: NodeId, store: string): void {
    this.#stores.set(node, store);
    for (const segment of this.#segments.values())
      if (segment.node === node) {
        segment.claimedAtStart = segment.claimed;
        const { volumeEpoch, membershipEpoch } = segment;
        segment.epochsAtStart = { volumeEpoch, membershipEpoch };
      }
  }

  #segment(node: NodeId, pg: PgIndex): Seen {
    const store = this.#stores.get(node);
    const life = this.#history.arrivalsOf(pg, node);
    const latest = this.#latest.get(node)?.get(pg);
    if (latest?.store === store && latest?.life === life) return latest.segment;
    const segment = this.#segmentOf(node, pg, { store, life });
    const groups = this.#latest.get(node) ?? new Map<PgIndex, Life>();
    this.#latest.set(node, groups.set(pg, { store, life, segment }));
    return segment;
  }

  #segmentOf(node: NodeId, pg: PgIndex, of: Omit<Life, 'segment'>): Seen {
    const { store, life } = of;
    const keyOf = (life: number) => `${node}/${store}/${pg}/${life}`;
    const key = keyOf(life);
    let segment = this.#segments.get(key);
    if (!segment) {
      const zero = 0 as Lsn & Epoch;
      const before = this.#history.hasBegunAnew(pg, node) ? this.#segments.get(keyOf(life - 1)) : undefined;
      segment = {
        node,
        pg,
        delivered: new Set(),
        base: zero,
        baseIfAnew: zero,
        complete: new Set([zero]),
        claimed: zero,
        claimedAtStart: zero,
        volumeEpoch: zero,
        membershipEpoch: zero,
        epochsAtStart: { volumeEpoch: zero, membershipEpoch: zero },
        truncation: Truncation.none,
        ...(before && { ...before, base: before.baseIfAnew, claimed: zero, claimedAtStart: zero }),
      };
      this.#segments.set(key, segment);
    }
    return segment;
  }

  /** A peer told a newcomer how far its pages and its log's beginning are. */
  #offered(to: NodeId, state: SegmentState): void {
    const { pg } = state;
    const isNewcomer = this.#history.arrivalsOf(pg, to) > 0;
    // One that was replaced meanwhile and has not heard of it goes on: of what kind it was nobody says any more.
    const kind = this.#history.kindOf(pg, to);
    const mayBeAnew = this.#history.mayStartOver(pg, to);
    if (!(isNewcomer || mayBeAnew) || state.damaged || state.hydrating) return;
    const segment = this.#segment(to, pg);
    const offer = kind === 'tail' ? state.logFloor : state.kind === 'full' ? state.coalesced : (0 as Lsn);
    if (isNewcomer && offer > segment.base) segment.base = offer;
    if (mayBeAnew && offer > segment.baseIfAnew) segment.baseIfAnew = offer;
  }

  #demandSame(record: SeenRecord, what: string): void {
    const made = this.#history.records.get(record.lsn);
    demand(made !== undefined, 'I4', () => `${what} LSN ${record.lsn}, which no writer made`);
    demand(
      made.checksum === record.checksum,
      'I4',
      () => `${what} another record ${record.lsn} than was made`,
    );
  }

  #delivered(segment: Seen, records: readonly SeenRecord[]): void {
    for (const { lsn } of records) segment.delivered.add(lsn);
  }

  #gave(segment: Seen, records: readonly SeenRecord[]): void {
    for (const record of records) {
      this.#demandSame(record, `${segment.node} gave`);
      const { lsn, pg } = record;
      demand(pg === segment.pg, 'I4', () => `${segment.node} gave ${lsn} of group ${pg} for ${segment.pg}`);
      demand(!segment.truncation.covers(lsn), 'I2', () => {
        return `${segment.node} gave ${lsn} to a peer, and knows the range that annuls it`;
      });
    }
  }

  /** @param options.mayBeOld as for `#claim` */
  #epochs(
    segment: Seen,
    given: { volumeEpoch: Epoch; membershipEpoch: Epoch },
    options: { mayBeOld?: boolean } = {},
  ): void {
    const { node, pg } = segment;
    const least = options.mayBeOld ? segment.epochsAtStart : segment;
    for (const name of ['volumeEpoch', 'membershipEpoch'] as const) {
      demand(
        given[name] >= least[name],
        'I8',
        () => `${node}, group ${pg}: ${name} fell from ${least[name]} to ${given[name]}`,
      );
      if (given[name] > segment[name]) segment[name] = given[name];
    }
  }

  /** @param told.mayBeOld answers wait where the buffer is full, and acknowledgements made after them overtake them */
  #claim(segment: Seen, told: { scl: Lsn; epoch: Epoch; mayBeOld?: boolean }): void {
    const { node, pg, claimedAtStart } = segment;
    const { scl, epoch, mayBeOld } = told;
    if (scl === segment.claimed) return;
    if (this.#history.mayStartOver(pg, node) && !this.#hasChain(segment, scl)) {
      this.#history.startsOver(pg, node);
      return this.#claim(this.#segment(node, pg), told);
    }
    this.#demandChain(segment, scl);
    demand(!segment.truncation.covers(scl), 'I2', () => {
      return `${node}, group ${pg} counts ${scl} and knows the range that annuls it`;
    });
    const isAnnulled = segment.truncation.covers(segment.claimed);
    if (mayBeOld && !isAnnulled && scl < segment.claimed && scl >= claimedAtStart) return;
    if (scl < segment.claimed) this.#demandTruncated(segment, scl, epoch);
    segment.claimed = scl;
    if (scl < claimedAtStart) segment.claimedAtStart = scl;
  }

  #hasChain({ pg, delivered, complete, base }: Seen, scl: Lsn): boolean {
    for (let lsn = scl; lsn > base && !complete.has(lsn);) {
      const record = this.#history.records.get(lsn);
      if (record?.pg !== pg || !delivered.has(lsn)) return false;
      lsn = record.previousPgLsn;
    }
    return true;
  }

  #demandChain(segment: Seen, scl: Lsn): void {
    const { node, pg, delivered, complete, base } = segment;
    const walked: Lsn[] = [];
    for (let lsn = scl; lsn > base && !complete.has(lsn);) {
      const record = this.#history.records.get(lsn);
      demand(
        record?.pg === pg,
        'I5',
        () => `${node} claims SCL ${scl} in group ${pg}, which has no record ${lsn}`,
      );
      demand(
        delivered.has(lsn),
        'I5',
        () => `${node} claims SCL ${scl} in group ${pg}, and never got ${lsn}`,
      );
      walked.push(lsn);
      lsn = must(record).previousPgLsn;
    }
    for (const lsn of walked) complete.add(lsn);
  }

  /** The claim fell: a range of its epoch or below must have annulled the old one, and only what it annulled may be missing. */
  #demandTruncated(segment: Seen, scl: Lsn, epoch: Epoch): void {
    const { node, pg, claimed } = segment;
    // Of a later epoch than it obeys it may have heard from a peer, and says so.
    const known: readonly TruncationRange[] = this.#history.ranges.filter(
      ({ volumeEpoch, after }) => volumeEpoch <= epoch || segment.truncation.covers((after + 1) as Lsn),
    );
    const range = known.findLast(({ after, through }) => claimed > after && claimed <= through);
    demand(
      range !== undefined,
      'I5',
      () => `${node}, group ${pg} had claimed ${claimed}, now it claims ${scl}`,
    );
    const kept = this.#history.branch(range.volumeEpoch).lastOf(pg, claimed);
    demand(
      scl >= kept,
      'I5',
      () =>
        `${node}, group ${pg} had ${claimed}; the range of epoch ${range.volumeEpoch} leaves it ${kept}, it claims ${scl}`,
    );
  }
}
