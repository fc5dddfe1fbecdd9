/**
 * Who the members are, and what that rests on: I9 one list for each membership epoch, decided by the registry before anybody
 * hears of it; I10 overlap, judged by who really holds what is durable; I11 hydration; segments go only when they are not
 * needed; I8 for membership epochs, which no node takes back and on which it insists.
 */
import { must, type Epoch, type Lsn, type NodeId, type PgIndex } from '@rokka/kernel';
import { allMembers, type Membership, type PlacedMember } from '@rokka/quorum';
import type { SegmentState } from '@rokka/storage';
import type { GroupRecord, VolumeRecord } from '@rokka/volume';
import { demand } from '../broken-invariant.ts';
import type { Listeners } from '../event-log.ts';
import type { EventOf } from '../events.ts';
import type { History } from './history.ts';
import { isReadQuorum, isSeenByReads, isWriteQuorum } from './quorums.ts';

const PG_COUNT_MAX = 2 ** 16;

/** What is known of one member of a group, in its present life there. */
interface Standing {
  /** The SCL of its last word. */
  claimed: Lsn;
  /** It said that it is damaged or hydrates: whoever reads cannot use it. */
  unknown: boolean;
  /** The highest membership epoch that it said it obeys. */
  membershipEpoch: Epoch;
  /** What was durable in the group when it joined; 0 for the first six. */
  since: Lsn;
  /** Pages that were copied to it. */
  readonly pages: Set<number>;
  /** Those of them that came while it was not known whether it had begun anew. */
  readonly pagesIfAnew: Set<number>;
}

export interface MembershipOracleOptions {
  hasWholeLog(node: NodeId, pg: PgIndex, scl: Lsn): boolean;
}

export class MembershipOracle {
  readonly #history: History;
  readonly #options: MembershipOracleOptions;
  /** By data directory, then by group and life. */
  readonly #standings = new Map<string, Map<number, Standing>>();
  readonly #lists = new Map<string, string>();
  /** The volume epoch at which each group came into the registry. */
  readonly #grownAt = new Map<PgIndex, Epoch>();
  /** The data directory that each node runs on. */
  readonly #stores = new Map<NodeId, string>();
  /** Who has answered the fences of each recovery and is to be believed, by epoch and group. */
  readonly #known = new Map<string, Set<NodeId>>();
  /** What was durable in each group when each membership came into force. */
  readonly #durableAtChange = new Map<string, Lsn>();
  /** Which membership a node obeyed when a request reached it. */
  readonly #obeyedWhenAsked = new Map<number, Epoch>();
  /** Nodes whose disks lied or rotted. */
  readonly #spoilt = new Set<string>();
  /** The highest promise, and whose it was. */
  #promised = { epoch: 0 as Epoch, lsn: 0 as Lsn };
  #volume: VolumeRecord | undefined;

  /** @param options.hasWholeLog whether a member got every record of the group up to there */
  constructor(history: History, options: MembershipOracleOptions) {
    this.#history = history;
    this.#options = options;
  }

  readonly listeners: Listeners = {
    registry: ({ record }) => this.#registry(record),
    acked: ({ epoch, lsn }) => this.#promise(epoch, lsn),
    announced: ({ epoch, vdl }) => this.#promise(epoch, vdl),
    ack: ({ node, pg, epoch, membershipEpoch, scl }) =>
      this.#claim(node, pg, { volumeEpoch: epoch, membershipEpoch, scl }),
    state: ({ node, of, state }) => {
      const { pg, volumeEpoch, damaged, hydrating } = state;
      // What a peer is told need not be on the disk yet, but who says that it holds everything does.
      if (of === 'peer' && !damaged && !hydrating) this.#standing(node, pg).unknown = false;
      if (of === 'peer') return;
      if (damaged || hydrating) {
        const standing = this.#standing(node, pg);
        standing.unknown = true;
        this.#obeys(standing, state.membershipEpoch);
        return;
      }
      // Whoever says that it neither hydrates nor is damaged has what it says, and be it nothing.
      this.#standing(node, pg).unknown = false;
      if (!this.#isAnother(node)) this.#knownTo(volumeEpoch, pg).add(node);
      this.#demandKind(node, state);
      this.#claim(node, pg, state);
    },
    'membership-told': (event) => this.#told(event),
    'gave-pages': ({ to, pg, from, next }) => {
      const { pages, pagesIfAnew } = this.#standing(to as NodeId, pg);
      const mayBeAnew = this.#history.mayStartOver(pg, to as NodeId);
      for (let page = from as number; page < next; page++) {
        pages.add(page);
        if (mayBeAnew) pagesIfAnew.add(page);
      }
    },
    fate: ({ who, what }) => {
      if (what === 'spoilt') this.#spoilt.add(who);
    },
    asked: ({ node, pg, membershipEpoch }) => {
      const { membershipEpoch: own } = this.#standing(node, pg);
      // Whose record of it was destroyed asks to have its log repaired. That promises nothing, and the refusal tells it more.
      const mayBeOld = this.#isAnother(node) || this.#spoilt.has(node);
      demand(mayBeOld || membershipEpoch >= own, 'I8', () => {
        return `${node}, group ${pg} obeyed membership ${own}, and asks at ${membershipEpoch}`;
      });
    },
    reached: ({ node, pg, request }) => {
      this.#obeyedWhenAsked.set(request, this.#standing(node, pg).membershipEpoch);
    },
    served: ({ node, to, pg, membershipEpoch, request }) => {
      // An answer may wait for room on its connection, and the node obey another membership meanwhile.
      const own = this.#obeyedWhenAsked.get(request) ?? 0;
      this.#obeyedWhenAsked.delete(request);
      demand(this.#isAnother(node) || membershipEpoch >= own, 'I8', () => {
        return `${node}, group ${pg} obeys membership ${own}, and served ${to} who asked at ${membershipEpoch}`;
      });
    },
    store: ({ node, store }) => void this.#stores.set(node, store),
  };

  /** Whether the newcomer has said that it holds everything. */
  isComplete(pg: PgIndex, node: NodeId): boolean {
    return this.#history.arrivalsOf(pg, node) === 0 || this.#standing(node, pg).claimed > 0;
  }

  /** An empty disk was put in under its name: what it says is not about what it is counted for. */
  #isAnother(node: NodeId): boolean {
    const known = this.#volume?.stores[node];
    return known !== undefined && known !== this.#stores.get(node);
  }

  /** Whoever counts is of the kind that it is counted as: a tail never gets the pages for which a full one counts. */
  #demandKind(node: NodeId, { pg, kind, volumeEpoch, membershipEpoch }: SegmentState): void {
    const group = this.#volume?.groups[pg];
    const isNow = volumeEpoch === this.#volume?.volumeEpoch && membershipEpoch === group?.membership.epoch;
    if (!group || !isNow || group.missing.includes(node) || this.#isAnother(node)) return;
    const wanted = this.#history.kindOf(pg, node);
    demand(
      wanted === undefined || wanted === kind,
      'I11',
      () => `${node} is ${kind} in group ${pg}, not ${wanted}`,
    );
  }

  #standing(node: NodeId, pg: PgIndex): Standing {
    const store = this.#volume?.stores[node] ?? this.#stores.get(node);
    const life = this.#history.arrivalsOf(pg, node);
    const directory = `${node}/${store}`;
    const keyOf = (of: number) => of * PG_COUNT_MAX + pg;
    let standings = this.#standings.get(directory);
    if (!standings) this.#standings.set(directory, (standings = new Map()));
    let standing = standings.get(keyOf(life));
    if (!standing) {
      const zero = 0 as Lsn & Epoch;
      const before = this.#history.hasBegunAnew(pg, node) ? standings.get(keyOf(life - 1)) : undefined;
      standing = {
        claimed: zero,
        unknown: false,
        membershipEpoch: zero,
        since: zero,
        pages: new Set(before?.pagesIfAnew),
        pagesIfAnew: new Set(),
      };
      standings.set(keyOf(life), standing);
    }
    return standing;
  }

  #knownTo(epoch: Epoch, pg: PgIndex): Set<NodeId> {
    const key = `${epoch}/${pg}`;
    let known = this.#known.get(key);
    if (!known) this.#known.set(key, (known = new Set()));
    return known;
  }

  #promise(epoch: Epoch, lsn: Lsn): void {
    if (lsn > this.#promised.lsn) this.#promised = { epoch, lsn };
  }

  /** The group's last record that is durable by anybody's word. */
  #durableIn(pg: PgIndex): Lsn {
    return this.#history.branch(this.#promised.epoch).lastOf(pg, this.#promised.lsn);
  }

  #claim(node: NodeId, pg: PgIndex, said: { volumeEpoch: Epoch; membershipEpoch: Epoch; scl: Lsn }): void {
    if (this.#isAnother(node)) return;
    const { hasWholeLog } = this.#options;
    const standing = this.#standing(node, pg);
    this.#obeys(standing, said.membershipEpoch);
    const isFirst = standing.claimed === 0 && said.scl > 0;
    const isNewcomer = this.#history.arrivalsOf(pg, node) > 0;
    // Who has had the whole log needs no pages: an empty segment that was left there, and that gossip fills before it gives way.
    if (
      isFirst &&
      isNewcomer &&
      this.#history.kindOf(pg, node) === 'full' &&
      !hasWholeLog(node, pg, said.scl)
    )
      this.#demandPages(node, pg, standing);
    // An answer may have waited for room and be older than what was said since; only a range takes a claim back.
    const { claimed } = standing;
    const annulled = this.#history.ranges.some(
      ({ volumeEpoch, after, through }) =>
        volumeEpoch <= said.volumeEpoch && claimed > after && claimed <= through,
    );
    if (said.scl > claimed || annulled) standing.claimed = said.scl;
    if (said.scl > 0 || this.#history.arrivalsOf(pg, node) === 0) standing.unknown = false;
  }

  #obeys(standing: Standing, membershipEpoch: Epoch): void {
    if (membershipEpoch > standing.membershipEpoch) standing.membershipEpoch = membershipEpoch;
  }

  #demandPages(node: NodeId, pg: PgIndex, { pages }: Standing): void {
    const count = this.#volume?.pagesPerGroup ?? 0;
    for (let page = pg * count; page < (pg + 1) * count; page++)
      demand(
        pages.has(page),
        'I11',
        () => `${node} claims to be complete in group ${pg}, and never got page ${page}`,
      );
  }

  #registry(record: VolumeRecord): void {
    const before = this.#volume;
    this.#volume = record;
    for (const group of record.groups) {
      const { pg, membership } = group;
      const old = before?.groups[pg]?.membership;
      if (before && !old) this.#demandMade(group, record.volumeEpoch);
      this.#lists.set(`${pg}/${membership.epoch}`, listOf(allMembers(membership)));
      if (!this.#grownAt.has(pg)) this.#grownAt.set(pg, record.volumeEpoch);
      if (old && JSON.stringify(old) !== JSON.stringify(membership)) this.#changed(pg, old, membership);
    }
    const isKnown = (epoch: Epoch) =>
      before?.truncationRanges.some(({ volumeEpoch }) => volumeEpoch === epoch) === true;
    for (const { volumeEpoch } of record.truncationRanges.filter((range) => !isKnown(range.volumeEpoch)))
      for (const { pg, membership } of record.groups) {
        const known = this.#knownTo(volumeEpoch, pg);
        demand(
          isReadQuorum(membership, (node) => known.has(node)),
          'I10',
          () => {
            return `the recovery of epoch ${volumeEpoch} decided from ${[...known].join(' ')} of group ${pg}, which are no read quorum of ${listOf(allMembers(membership))}`;
          },
        );
      }
  }

  /** A group that comes has its segments on a write quorum already, by their own word: nothing may go there before (trap 22). */
  #demandMade({ pg, membership, missing }: GroupRecord, epoch: Epoch): void {
    const known = this.#knownTo(epoch, pg);
    const made = (node: NodeId) => known.has(node) && !missing.includes(node);
    demand(isWriteQuorum(membership, made), 'I10', () => {
      const makers = allMembers(membership).map(({ node }) => node);
      return `group ${pg} begins with segments on ${makers.filter(made).join(' ') || 'nobody'}`;
    });
  }

  #changed(pg: PgIndex, old: Membership, next: Membership): void {
    const what = `group ${pg}, membership ${next.epoch}`;
    demand(next.epoch === old.epoch + 1, 'I9', () => `${what} follows ${old.epoch}`);
    const changed = next.slots.filter((slot, at) => JSON.stringify(slot) !== JSON.stringify(old.slots[at]));
    demand(changed.length === 1, 'I9', () => `${what} changes ${changed.length} slots at once`);
    const durable = this.#durableIn(pg);
    this.#durableAtChange.set(`${pg}/${next.epoch}`, durable);
    const at = next.slots.indexOf(changed[0]);
    const { member, candidate } = next.slots[at];
    const was = old.slots[at];
    if (candidate) {
      const fits = candidate.zone === member.zone && candidate.kind === member.kind;
      demand(fits, 'I10', () => `${what}: ${candidate.node} is another kind of member than ${member.node}`);
      if (was.candidate?.node !== candidate.node) this.#standing(candidate.node, pg).since = durable;
    } else {
      if (member.node !== was.member.node) this.#demandHydrated(pg, member.node);
      const holds = (node: NodeId) => this.#standing(node, pg).claimed >= durable;
      // A newcomer that is given up may leave another one behind that has nothing yet, and its set without a quorum.
      const stays = member.node === was.member.node;
      demand(stays ? isSeenByReads(next, holds) : isWriteQuorum(next, holds), 'I10', () => {
        const holders = next.slots.map((slot) => slot.member.node).filter(holds);
        return `${what}: ${durable} is durable, and of those that remain only ${holders.join(' ')} have it`;
      });
    }
    this.#demandSeen(pg, next, durable);
  }

  #demandHydrated(pg: PgIndex, node: NodeId): void {
    const { claimed, since } = this.#standing(node, pg);
    demand(claimed >= since, 'I11', () => {
      return `${node} stays in group ${pg} with SCL ${claimed}; ${since} was durable when it joined`;
    });
  }

  /** Those who lack what is durable must not be enough to read with. */
  #demandSeen(pg: PgIndex, membership: Membership, durable: Lsn): void {
    const lacks = (node: NodeId) => {
      const { claimed, unknown } = this.#standing(node, pg);
      const hydrates = this.#history.arrivalsOf(pg, node) > 0 && claimed === 0;
      return !unknown && !hydrates && !this.#isAnother(node) && claimed < durable;
    };
    demand(!isReadQuorum(membership, lacks), 'I10', () => {
      const nodes = allMembers(membership).map(({ node }) => node);
      return `group ${pg}: ${nodes.filter(lacks).join(' ')} are a read quorum and lack ${durable}, which is durable`;
    });
  }

  #told(event: EventOf<'membership-told'>): void {
    const { pg, membershipEpoch, members, writer, node, by, epoch } = event;
    const group = this.#volume?.groups[pg];
    // A group comes into the registry when its segments are there.
    if (!group) return;
    // A writer that was replaced may be making a group that its successor has made with others.
    if (epoch < must(this.#grownAt.get(pg))) return;
    const list = this.#lists.get(`${pg}/${membershipEpoch}`);
    demand(list === listOf(members), 'I9', () => {
      return `${writer} tells ${node} that membership ${membershipEpoch} of group ${pg} is ${listOf(members)}; the registry decided ${list}`;
    });
    // Its next change may be decided already, and a writer that doesn't know it yet goes by what it was told last.
    const counted = this.#history.countedBy(pg, epoch);
    const membership = counted.find((one) => one.epoch === membershipEpoch);
    if (by === 'drop') this.#demandWhole({ pg, node, epoch, membership: membership ?? group.membership });
    if (by === 'start over') this.#demandSpared({ pg, node, epoch, membership: group.membership });
  }

  /** What is durable lies with a read quorum of the others. */
  #demandSpared(of: { pg: PgIndex; node: NodeId; epoch: Epoch; membership: Membership }): void {
    const { pg, node, epoch, membership } = of;
    if (epoch !== this.#volume?.volumeEpoch) return;
    const durable = this.#durableIn(pg);
    const has = (member: NodeId) => {
      const { claimed, unknown } = this.#standing(member, pg);
      return member !== node && claimed >= durable && !unknown;
    };
    demand(isReadQuorum(membership, has), 'I11', () => {
      return `${node} is to give up what it has of group ${pg}; too few others have all up to ${durable}`;
    });
  }

  /** Nobody needs what the node holds: the six are there and have all that was durable when they became the six. */
  #demandWhole(of: { pg: PgIndex; node: NodeId; epoch: Epoch; membership: Membership }): void {
    const { pg, node, epoch, membership } = of;
    // A writer that was replaced is refused: a node obeys the epoch of whoever came after it.
    if (epoch !== this.#volume?.volumeEpoch) return;
    const durable = this.#durableAtChange.get(`${pg}/${membership.epoch}`) ?? (0 as Lsn);
    for (const { member, candidate } of membership.slots) {
      demand(!candidate, 'I11', () => `${node} is to drop group ${pg} while ${candidate?.node} joins`);
      const { claimed, unknown } = this.#standing(member.node, pg);
      demand(claimed >= durable && !unknown, 'I11', () => {
        return `${node} is to drop group ${pg}, in which ${member.node} has ${unknown ? 'nothing to rely on' : claimed} of ${durable}`;
      });
    }
  }
}

function listOf(members: readonly PlacedMember[]): string {
  return members.map(({ node, kind, zone }) => `${node}:${kind}:${zone}`).join(' ');
}
