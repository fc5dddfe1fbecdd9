/**
 * I6 PGCL truth and monotony, I14 back-pressure: a writer says that something is durable only when a write quorum of every
 * group has said so at the writer's own epoch, never takes it back, and never runs further ahead than the next recovery
 * allows for. An opening counts as such a statement: what it kept must be on a write quorum before it serves (trap 3).
 */
import type { Epoch, Lsn, NodeId, PgIndex } from '@rokka/kernel';
import { allMembers } from '@rokka/quorum';
import type { GroupRecord } from '@rokka/volume';
import { demand } from '../broken-invariant.ts';
import type { Listeners } from '../event-log.ts';
import type { EventOf } from '../events.ts';
import type { History } from './history.ts';
import { isWriteQuorum } from './quorums.ts';

const QUORUM_MIN = 3;

interface Report {
  epoch: Epoch;
  scl: Lsn;
}

export class ProgressOracle {
  readonly #history: History;
  /** What each member said last, by group. */
  readonly #reports = new Map<PgIndex, Map<string, Report>>();
  /**
   * Up to where each group has ever been on a write quorum, by epoch and group. A change of members takes nothing back, though
   * the new sets may not hold it as a write yet: I10 demands at every change that no read can miss it.
   */
  readonly #held = new Map<string, Lsn>();
  /** The latest membership that the writer of each epoch told of each group. */
  readonly #told = new Map<string, Epoch>();
  readonly #announced = new Map<Epoch, Lsn>();
  /** The data directory of each node: what it says on another one than the registry knows must not count. */
  readonly #stores = new Map<NodeId, string>();
  readonly #appendedFirst = new Map<Epoch, Lsn>();
  readonly #appendedLast = new Map<Epoch, Lsn>();
  #rangesSeen = 0;

  constructor(history: History) {
    this.#history = history;
  }

  readonly listeners: Listeners = {
    ack: ({ pg, node, epoch, scl }) => this.#report(pg, node, epoch, scl),
    store: ({ node, store }) => void this.#stores.set(node, store),
    // A writer that waits asks members that are behind for their state, and counts what they say there as well.
    state: ({ node, state }) => {
      if (!state.damaged && !state.hydrating) this.#report(state.pg, node, state.volumeEpoch, state.scl);
    },
    announced: (event) => this.#announce(event),
    opened: ({ epoch, vdl }) => this.#demandQuorum(epoch, vdl, 'opened'),
    acked: ({ epoch, lsn }) => this.#demandQuorum(epoch, lsn, 'acknowledged'),
    appended: (event) => this.#appended(event),
    'membership-told': ({ pg, epoch, membershipEpoch }) => {
      const key = `${epoch}/${pg}`;
      if (membershipEpoch > (this.#told.get(key) ?? 0)) this.#told.set(key, membershipEpoch);
    },
    registry: () => this.#decided(),
  };

  #report(pg: PgIndex, node: NodeId, epoch: Epoch, scl: Lsn): void {
    const known = this.#history.volume?.stores[node];
    if (known !== undefined && known !== this.#stores.get(node)) return;
    let group = this.#reports.get(pg);
    if (!group) this.#reports.set(pg, (group = new Map()));
    const member = this.#member(pg, node);
    const report = group.get(member);
    if (!report) group.set(member, { epoch, scl });
    else if (epoch === report.epoch) report.scl = scl > report.scl ? scl : report.scl;
    else if (epoch > report.epoch) Object.assign(report, { epoch, scl });
    this.#raise(pg, epoch);
  }

  /** What somebody said may put more on a write quorum, by the rules of now. */
  #raise(pg: PgIndex, epoch: Epoch): void {
    const group = this.#history.volume?.groups[pg];
    if (!group) return;
    const key = `${epoch}/${pg}`;
    const held = this.#held.get(key) ?? 0;
    const scls: Lsn[] = [];
    for (const report of this.#reports.get(pg)?.values() ?? [])
      if (report.epoch >= epoch && report.scl > held) scls.push(report.scl);
    scls.sort((a, b) => b - a);
    // No quorum is smaller than three.
    const next = scls.slice(QUORUM_MIN - 1).find((scl) => this.#isHeld(group, epoch, scl));
    if (next !== undefined) this.#held.set(key, next);
  }

  #isHeld(group: GroupRecord, epoch: Epoch, lsn: Lsn): boolean {
    const has = (node: NodeId) => this.#has(group.pg, node, epoch, lsn);
    // By the membership before only while it has not told the one in force.
    const told = this.#told.get(`${epoch}/${group.pg}`) ?? 0;
    return this.#history
      .countedBy(group.pg, epoch)
      .some((membership) => membership.epoch >= told && isWriteQuorum(membership, has));
  }

  #has(pg: PgIndex, node: NodeId, epoch: Epoch, lsn: Lsn): boolean {
    const report = this.#reports.get(pg)?.get(this.#member(pg, node));
    // One that a newer writer has fenced since may have said it before.
    return report !== undefined && report.epoch >= epoch && report.scl >= lsn;
  }

  #member(pg: PgIndex, node: NodeId): string {
    return `${node}/${this.#history.arrivalsOf(pg, node)}`;
  }

  #announce({ epoch, vdl, pg, pgmrpl, logFloor }: EventOf<'announced'>): void {
    const before = this.#announced.get(epoch) ?? (0 as Lsn);
    demand(vdl >= before, 'I6', () => `the VDL of epoch ${epoch} fell from ${before} to ${vdl}`);
    demand(pgmrpl <= vdl && logFloor <= vdl, 'I13', () => {
      return `epoch ${epoch}, group ${pg}: PGMRPL ${pgmrpl}, log floor ${logFloor}, VDL ${vdl}`;
    });
    if (vdl === before) return;
    this.#announced.set(epoch, vdl);
    this.#demandQuorum(epoch, vdl, 'announced');
  }

  #demandQuorum(epoch: Epoch, vdl: Lsn, what: string): void {
    const branch = this.#history.branch(epoch);
    demand(branch.has(vdl), 'I6', () => `epoch ${epoch} ${what} ${vdl}, which is not in its log`);
    demand(this.#history.isEnd(vdl), 'I3', () => `${vdl} was ${what}, and is no end of a mini-transaction`);
    for (const group of this.#history.volume?.groups ?? []) {
      const { pg } = group;
      const needed = branch.lastOf(pg, vdl);
      const key = `${epoch}/${pg}`;
      if (needed <= (this.#held.get(key) ?? 0)) continue;
      demand(this.#isHeld(group, epoch, needed), 'I6', () => {
        const holders = allMembers(group.membership)
          .filter(({ node }) => this.#has(pg, node, epoch, needed))
          .map(({ node }) => node);
        return `epoch ${epoch} ${what} ${vdl}, but ${needed} of group ${pg} is only on ${holders.join(' ') || 'nobody'}`;
      });
    }
  }

  /** A range reaches as far as any writer before it has come. */
  #decided(): void {
    for (const { volumeEpoch, through } of this.#history.ranges.slice(this.#rangesSeen)) {
      this.#rangesSeen++;
      for (const [epoch, last] of this.#appendedLast)
        demand(epoch > volumeEpoch || last <= through, 'I14', () => {
          return `the range of epoch ${volumeEpoch} ends at ${through}, epoch ${epoch} gave out ${last}`;
        });
    }
  }

  #appended({ records, vdl }: EventOf<'appended'>): void {
    const first = records[0];
    const last = records.at(-1);
    if (!first || !last) return;
    const epoch = first.volumeEpoch;
    if (!this.#appendedFirst.has(epoch)) this.#appendedFirst.set(epoch, first.lsn);
    this.#appendedLast.set(epoch, last.lsn);
    const limit = this.#history.volume?.lsnAllocationLimitMax ?? Infinity;
    for (const range of this.#history.ranges) {
      if (range.volumeEpoch === epoch)
        demand(
          first.lsn > range.through,
          'I14',
          () => `epoch ${epoch} gave out ${first.lsn}, inside its own range`,
        );
      if (range.volumeEpoch > epoch)
        demand(last.lsn <= range.through, 'I14', () => {
          return `epoch ${epoch} gave out ${last.lsn}, beyond the range of epoch ${range.volumeEpoch}, which ends at ${range.through}`;
        });
    }
    const durable = Math.max((this.#appendedFirst.get(epoch) ?? first.lsn) - 1, vdl);
    demand(last.lsn <= durable + limit, 'I14', () => {
      return `epoch ${epoch} gave out ${last.lsn}, more than ${limit} above ${durable}`;
    });
  }
}
