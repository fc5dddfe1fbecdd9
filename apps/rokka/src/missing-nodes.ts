/**
 * What becomes of storage nodes whose data is not there, decided from the members of all protection groups. A disk that was
 * not mounted looks like one that is gone for good, and may be back in a minute, so nobody who holds a member is written off:
 *
 * - As long as those who are there can be read from, a spare is seen to, and the healer replaces the member. If the data is
 *   back first, its node starts as if nothing had been. Only who is a member of nothing any more is written off.
 * - Where they can't, nobody could copy from anybody: nothing happens before the data is back, or a person gives it up.
 *
 * And what spares a zone lacks, where a person wants them kept: one that is used up has a successor when it has come to stay.
 */
import type { NodeId, Zone } from '@rokka/kernel';
import { allMembers, formulasOf, satisfied, type Slot } from '@rokka/quorum';
import type { PlacedGroup } from '@rokka/volume';
import type { NodeRecord } from './cluster.ts';

export interface NodeFacts {
  /** Every node that the cluster ever had. */
  readonly records: readonly NodeRecord[];
  /** Those of this machine that had data and are without it. What others have is not known here: they count as there. */
  readonly missing: ReadonlySet<NodeId>;
  readonly groups: readonly PlacedGroup[];
  /** Absent where this machine starts none. */
  readonly spares?: SpareWish;
}

export interface SpareWish {
  /** How many each zone is to have. */
  readonly perZone: number;
  /** Zones of which this machine has nodes: a node that is started here is on this machine, whatever zone its name says. */
  readonly zones: ReadonlySet<Zone>;
  /** Nodes of this machine that are down: they come for nobody. */
  readonly down: ReadonlySet<NodeId>;
}

/** As many as a zone has members in a group. */
const NODES_PER_ZONE = 2;
const NO_SPARES: SpareWish = { perZone: 0, zones: new Set(), down: new Set() };

/** Groups that cannot be read, and so neither be opened nor repaired, from the nodes that are there. */
export function unreadableGroups({ records, missing, groups }: NodeFacts): PlacedGroup[] {
  const there = thereOf({ records, missing });
  return groups.filter(
    ({ membership }) => !satisfied(formulasOf(membership).read, (node) => there.has(node)),
  );
}

/** Nodes of `candidates` that are members of one of the groups. */
export function membersAmong(
  candidates: readonly NodeRecord[],
  groups: readonly PlacedGroup[],
): NodeRecord[] {
  const members = new Set(groups.flatMap(({ membership }) => allMembers(membership).map(({ node }) => node)));
  return candidates.filter(({ node }) => members.has(node));
}

/** Nodes that miss their data and are members of nothing: nothing is lost with them. */
export function idleNodes({ records, missing, groups }: NodeFacts): NodeRecord[] {
  const lost = records.filter(({ node }) => missing.has(node));
  const needed = membersAmong(lost, groups);
  return lost.filter((record) => !needed.includes(record));
}

/**
 * Zones that want another node, once for each: for members that are not there and find no spare, so that a zone whose
 * nodes miss their data has two, and for the spares that are wished for. None for groups that cannot be read.
 */
export function zonesInWant(facts: NodeFacts): Zone[] {
  const { records, missing, groups } = facts;
  const unreadable = unreadableGroups(facts);
  const there = thereOf(facts);
  const readable = groups.filter((group) => !unreadable.includes(group));
  const { perZone, zones: kept, down } = facts.spares ?? NO_SPARES;
  const lacking = new Set(records.filter(({ node }) => missing.has(node)).map(({ zone }) => zone));
  return [...new Set([...lacking, ...(perZone > 0 ? kept : [])])].flatMap((zone) => {
    const able = records.filter((one) => one.zone === zone && there.has(one.node) && !one.leaving);
    const wants = readable.map((group) => {
      const vacant = group.membership.slots.filter(
        (slot) => slot.member.zone === zone && isVacant(slot, there),
      );
      return vacant.length - able.length + membersAmong(able, [group]).length;
    });
    const short = unreadable.length > 0 || !lacking.has(zone) ? 0 : NODES_PER_ZONE - able.length;
    const usable = able.filter(({ node }) => !down.has(node));
    const spares = kept.has(zone) ? perZone - sparesAmong(usable, readable) : 0;
    return Array.from({ length: Math.max(0, short, spares, ...wants) }, () => zone);
  });
}

/**
 * How many of a zone's usable nodes could come for a member of each group. A newcomer counts until it has come to stay: if the
 * old member is back first, it is a spare again.
 */
export function sparesAmong(usable: readonly NodeRecord[], groups: readonly PlacedGroup[]): number {
  const counts = groups.map(({ membership }) => {
    const members = new Set(membership.slots.map(({ member }) => member.node));
    return usable.filter(({ node }) => !members.has(node)).length;
  });
  return Math.min(usable.length, ...counts);
}

function thereOf({ records, missing }: Pick<NodeFacts, 'records' | 'missing'>): ReadonlySet<string> {
  return new Set(records.filter(({ node, gone }) => !gone && !missing.has(node)).map(({ node }) => node));
}

/** Its member is not there, and nobody who is there comes for it. */
function isVacant({ member, candidate }: Slot, there: ReadonlySet<string>): boolean {
  return !there.has(member.node) && !(candidate && there.has(candidate.node));
}
