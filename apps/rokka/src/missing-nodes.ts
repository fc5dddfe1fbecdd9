/**
 * What becomes of storage nodes whose data is not there, decided from the members of all protection groups. A disk that was
 * not mounted looks like one that is gone for good, and may be back in a minute, so nobody who holds a member is written off:
 *
 * - As long as those who are there can be read from, a spare is seen to, and the healer replaces the member. If the data is
 *   back first, its node starts as if nothing had been. Only who is a member of nothing any more is written off.
 * - Where they can't, nobody could copy from anybody: nothing happens before the data is back, or a person gives it up.
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
}

/** As many as a zone has members in a group. */
const NODES_PER_ZONE = 2;

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
 * Zones that want another node, once for each: for members that are not there and find no spare, and so that a zone whose
 * nodes miss their data has two. None for groups that cannot be read.
 */
export function zonesInWant(facts: NodeFacts): Zone[] {
  const { records, missing, groups } = facts;
  const unreadable = unreadableGroups(facts);
  const there = thereOf(facts);
  const zones = new Set(records.filter(({ node }) => missing.has(node)).map(({ zone }) => zone));
  return [...zones].flatMap((zone) => {
    const able = records.filter((one) => one.zone === zone && there.has(one.node) && !one.leaving);
    const wants = groups
      .filter((group) => !unreadable.includes(group))
      .map((group) => {
        const vacant = group.membership.slots.filter(
          (slot) => slot.member.zone === zone && isVacant(slot, there),
        );
        return vacant.length - able.length + membersAmong(able, [group]).length;
      });
    const short = unreadable.length > 0 ? 0 : NODES_PER_ZONE - able.length;
    return Array.from({ length: Math.max(0, short, ...wants) }, () => zone);
  });
}

function thereOf({ records, missing }: Pick<NodeFacts, 'records' | 'missing'>): ReadonlySet<string> {
  return new Set(records.filter(({ node, gone }) => !gone && !missing.has(node)).map(({ node }) => node));
}

/** Its member is not there, and nobody who is there comes for it. */
function isVacant({ member, candidate }: Slot, there: ReadonlySet<string>): boolean {
  return !there.has(member.node) && !(candidate && there.has(candidate.node));
}
