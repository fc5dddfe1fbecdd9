/**
 * What the volume is, reconstructed from what writers made and what recoveries decided: the model that the oracles compare
 * with. Kept as dumb as it can be.
 *
 * A branch is the log as one writer sees it: the records that its recovery kept, found by following the volume chain down
 * from the recovered VDL, and its own above them.
 */
import {
  must,
  PAGE_SIZE,
  type Epoch,
  type Lsn,
  type NodeId,
  type PageNumber,
  type PgIndex,
} from '@rokka/kernel';
import {
  allMembers,
  applyRecord,
  formulasOf,
  type MemberKind,
  type Membership,
  type QuorumFormulas,
  type TruncationRange,
} from '@rokka/quorum';
import type { GroupRecord, VolumeRecord } from '@rokka/volume';
import { demand } from '../broken-invariant.ts';
import type { Listeners } from '../event-log.ts';
import type { SeenRecord } from '../events.ts';

export class Branch {
  readonly epoch: Epoch;
  /** Where the writer began: its recovery's VDL. */
  readonly vdl: Lsn;
  readonly #lsns: Lsn[] = [];
  readonly #byPg = new Map<PgIndex, Lsn[]>();
  readonly #byPage = new Map<PageNumber, SeenRecord[]>();
  readonly #members = new Set<Lsn>();
  /** The page as of an LSN, the latest that was asked for; reads mostly go forward. */
  readonly #pages = new Map<PageNumber, { lsn: Lsn; through: number; content: Uint8Array }>();

  constructor(epoch: Epoch, kept: readonly SeenRecord[]) {
    this.epoch = epoch;
    this.vdl = (kept.at(-1)?.lsn ?? 0) as Lsn;
    for (const record of kept) this.add(record);
  }

  get last(): Lsn {
    return (this.#lsns.at(-1) ?? 0) as Lsn;
  }

  add(record: SeenRecord): void {
    this.#lsns.push(record.lsn);
    this.#members.add(record.lsn);
    pushTo(this.#byPg, record.pg, record.lsn);
    pushTo(this.#byPage, record.page, record);
  }

  has(lsn: Lsn): boolean {
    return lsn === 0 || this.#members.has(lsn);
  }

  /** The group's last record at or below `lsn`; 0 where there is none. */
  lastOf(pg: PgIndex, lsn: Lsn): Lsn {
    const lsns = this.#byPg.get(pg) ?? [];
    let low = 0;
    for (let high = lsns.length; low < high;) {
      const middle = (low + high) >> 1;
      if (lsns[middle] <= lsn) low = middle + 1;
      else high = middle;
    }
    return low === 0 ? (0 as Lsn) : lsns[low - 1];
  }

  /** The page as of `readPoint`, and the LSN of its last record; no content for a page never written. A view. */
  page(page: PageNumber, readPoint: Lsn): { lsn: Lsn; content: Uint8Array | undefined } {
    const records = this.#byPage.get(page) ?? [];
    let known = this.#pages.get(page);
    if (!known || known.lsn > readPoint) {
      known = { lsn: 0 as Lsn, through: 0, content: new Uint8Array(PAGE_SIZE) };
      this.#pages.set(page, known);
    }
    for (; known.through < records.length; known.through++) {
      const record = must(records[known.through]);
      if (record.lsn > readPoint) break;
      applyRecord(record.bytes, known.content);
      known.lsn = record.lsn;
    }
    return { lsn: known.lsn, content: known.lsn === 0 ? undefined : known.content };
  }
}

export class History {
  /** Every record that any writer ever made. */
  readonly records = new Map<Lsn, SeenRecord>();
  readonly branches = new Map<Epoch, Branch>();
  /** What the registry says of the volume. */
  volume: VolumeRecord | undefined;
  readonly #ranges: TruncationRange[] = [];
  /** The last record of each mini-transaction. */
  readonly #ends = new Set<Lsn>();
  /** By membership: making them checks every overlap. */
  readonly #formulas = new Map<string, QuorumFormulas>();
  /** What was ever in force in each group, in its order, and at which volume epoch it was decided. */
  readonly #memberships = new Map<PgIndex, { membership: Membership; decidedAt: Epoch }[]>();
  /** How often each node came to each group as a newcomer, or began anew there; one of the first six has come no time. */
  readonly #arrivals = new Map<NodeId, Map<PgIndex, number>>();
  /** Members that were told to begin anew, and have not shown yet that they do. */
  readonly #toldToStartOver = new Set<string>();
  readonly #anew = new Set<string>();
  /** Nodes that were told to make their segment of a group that is not in the registry yet. */
  readonly #growing = new Set<NodeId>();

  readonly listeners: Listeners = {
    appended: ({ records }) => this.#appended(records),
    registry: ({ record }) => this.#registry(record),
    'membership-told': ({ by, node, pg }) => {
      if (by === 'start over') this.#toldToStartOver.add(`${node}/${pg}`);
      if (pg >= (this.volume?.groups.length ?? 0)) this.#growing.add(node);
    },
    state: ({ node, state, anew }) => {
      if (state.hydrating) this.startsOver(state.pg, node);
      // It had healed meanwhile, and goes on.
      else if (anew) this.#toldToStartOver.delete(`${node}/${state.pg}`);
    },
    ack: ({ node, pg, scl }) => {
      if (scl === 0) this.startsOver(pg, node);
    },
  };

  /** Every range that the registry ever decided. */
  get ranges(): readonly TruncationRange[] {
    return this.#ranges;
  }

  /** A mini-transaction ends there, by what its writer was given to append, whatever the record itself says. */
  isEnd(lsn: Lsn): boolean {
    return lsn === 0 || this.#ends.has(lsn);
  }

  /** Those that the next group may be going to stand on. */
  get growing(): ReadonlySet<NodeId> {
    return this.#growing;
  }

  /** The quorum formulas that are in force in a group. */
  formulasOf(group: GroupRecord): QuorumFormulas {
    const key = JSON.stringify(group.membership.slots);
    let formulas = this.#formulas.get(key);
    if (!formulas) this.#formulas.set(key, (formulas = formulasOf(group.membership)));
    return formulas;
  }

  /**
   * What the writer of an epoch may count by: the membership in force, and where it has decided that itself the one before it, for
   * the registry knows of a change before its writer does. What a newer one has decided since, it never hears of.
   */
  countedBy(pg: PgIndex, epoch: Epoch): Membership[] {
    const all = this.#memberships.get(pg) ?? [];
    const at = all.findLastIndex(({ decidedAt }) => decidedAt <= epoch);
    const first = all[at]?.decidedAt === epoch ? at - 1 : at;
    return all.slice(Math.max(0, first), at + 1).map(({ membership }) => membership);
  }

  /** It was told to begin anew, and it is not known whether it has. */
  mayStartOver(pg: PgIndex, node: NodeId): boolean {
    return this.#toldToStartOver.size > 0 && this.#toldToStartOver.has(`${node}/${pg}`);
  }

  /** What it says now it says as one that has begun anew, if it was told to. */
  startsOver(pg: PgIndex, node: NodeId): void {
    if (!this.mayStartOver(pg, node)) return;
    this.#arrived(pg, node);
    this.#anew.add(`${node}/${pg}`);
  }

  #arrived(pg: PgIndex, node: NodeId): void {
    const key = `${node}/${pg}`;
    const arrivals = this.#arrivals.get(node) ?? new Map<PgIndex, number>();
    this.#arrivals.set(node, arrivals.set(pg, this.arrivalsOf(pg, node) + 1));
    this.#toldToStartOver.delete(key);
    this.#anew.delete(key);
  }

  /** It began its present life in the group on what it had in the one before, of which it no longer knew what counts. */
  hasBegunAnew(pg: PgIndex, node: NodeId): boolean {
    return this.#anew.has(`${node}/${pg}`);
  }

  /** A node that leaves and comes again is another member: nothing that it said before is about what it holds now. */
  arrivalsOf(pg: PgIndex, node: NodeId): number {
    return this.#arrivals.get(node)?.get(pg) ?? 0;
  }

  /** What kind of member the node is; undefined where it is none. */
  kindOf(pg: PgIndex, node: NodeId): MemberKind | undefined {
    const group = this.volume?.groups[pg];
    return group && allMembers(group.membership).find((member) => member.node === node)?.kind;
  }

  branch(epoch: Epoch): Branch {
    let branch = this.branches.get(epoch);
    // The first writer finds an empty volume and decides nothing.
    if (!branch) this.branches.set(epoch, (branch = new Branch(epoch, [])));
    return branch;
  }

  #appended(records: readonly SeenRecord[]): void {
    for (const record of records) {
      const twin = this.records.get(record.lsn);
      demand(twin === undefined, 'I14', () => `LSN ${record.lsn} was given to two records`);
      this.records.set(record.lsn, record);
      this.branch(record.volumeEpoch).add(record);
    }
    const last = records.at(-1);
    if (last) this.#ends.add(last.lsn);
  }

  #registry(record: VolumeRecord): void {
    for (const { pg, membership } of record.groups) {
      const group = this.volume?.groups[pg];
      if (group && membership.epoch <= group.membership.epoch) continue;
      pushTo(this.#memberships, pg, { membership, decidedAt: record.volumeEpoch });
      if (!group) continue;
      const known = new Set(allMembers(group.membership).map(({ node }) => node));
      for (const { node } of allMembers(membership)) if (!known.has(node)) this.#arrived(pg, node);
    }
    const isGrown = record.groups.length > (this.volume?.groups.length ?? 0);
    if (isGrown || record.volumeEpoch !== this.volume?.volumeEpoch) this.#growing.clear();
    this.volume = record;
    // Whoever opens the volume next tells a member that was away what the list says, and nothing else.
    for (const { volumeEpoch } of this.#ranges)
      demand(
        record.truncationRanges.some((range) => range.volumeEpoch === volumeEpoch),
        'I2',
        () => `the range of epoch ${volumeEpoch} is gone from the registry`,
      );
    for (const range of record.truncationRanges) {
      if (this.#ranges.some(({ volumeEpoch }) => volumeEpoch === range.volumeEpoch)) continue;
      this.#ranges.push(range);
      const kept = this.#chainDown(range.after);
      this.branches.set(range.volumeEpoch, new Branch(range.volumeEpoch, kept));
    }
  }

  #chainDown(from: Lsn): SeenRecord[] {
    const kept: SeenRecord[] = [];
    for (let lsn = from; lsn > 0;) {
      const record = this.records.get(lsn);
      demand(record !== undefined, 'I4', () => `a recovery stands on LSN ${lsn}, which no writer made`);
      kept.push(record);
      lsn = record.previousVolumeLsn;
    }
    return kept.reverse();
  }
}

function pushTo<K, V>(map: Map<K, V[]>, key: K, value: V): void {
  const list = map.get(key);
  if (list) list.push(value);
  else map.set(key, [value]);
}
