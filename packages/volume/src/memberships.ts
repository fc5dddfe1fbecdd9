/** Who is a member of what, over all volumes of a cluster, as the registry has decided it: whether a volume is open or not. */
import type { NodeId, PgIndex, VolumeId } from '@rokka/kernel';
import { allMembers, settledMembership, type Membership } from '@rokka/quorum';
import type { Registry } from '@rokka/registry';
import { placeMembers } from './geometry.ts';
import { nextGroupEpoch, upgradeRecord, type VolumeRecord } from './volume-record.ts';
import { VOLUMES } from './volume-state.ts';

export interface GroupMembership {
  readonly volumeId: VolumeId;
  /** Of the volume. */
  readonly name: string;
  readonly pg: PgIndex;
}

/** The protection groups in which each node is a member, newcomers included. Those of deleted volumes have none any more. */
export async function membershipsByNode(registry: Registry): Promise<ReadonlyMap<NodeId, GroupMembership[]>> {
  const byNode = new Map<NodeId, GroupMembership[]>();
  for (const { value } of await registry.list<VolumeRecord>(VOLUMES)) {
    const { volumeId, name, groups, deletion } = upgradeRecord(value);
    if (deletion) continue;
    for (const { pg, membership } of groups)
      for (const { node } of allMembers(membership)) {
        const known = byNode.get(node) ?? [];
        known.push({ volumeId, name, pg });
        byNode.set(node, known);
      }
  }
  return byNode;
}

export interface PlacedGroup extends GroupMembership {
  readonly membership: Membership;
}

/**
 * Every protection group of every volume that is not deleted. One that was never opened has the group that its first opening
 * makes: without those nodes it can't be opened.
 */
export async function placedGroups(registry: Registry): Promise<PlacedGroup[]> {
  const entries = await registry.list<VolumeRecord>(VOLUMES);
  return entries.flatMap(({ value }) => {
    const record = upgradeRecord(value);
    const { volumeId, name, groups, deletion } = record;
    if (deletion) return [];
    const placed = groups.length > 0 ? groups : [firstGroup(record)];
    return placed.map(({ pg, membership }) => ({ volumeId, name, pg, membership }));
  });
}

function firstGroup(record: VolumeRecord): { pg: PgIndex; membership: Membership } {
  const pg = 0 as PgIndex;
  return {
    pg,
    membership: settledMembership(nextGroupEpoch(record), placeMembers(record.nodes, pg, record)),
  };
}
