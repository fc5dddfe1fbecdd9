/**
 * Who may hold something of a volume that is deleted, and what each of them is told. Pure.
 *
 * A node lets a segment go only where a later membership is without it (storage/store.ts, `dropSegment`). The deletion, decided
 * in the registry, is that membership: it comes after every other one of the group, and nobody is in it. A node is told of
 * it by an epoch above the group's, and by the list of all others, whom it has nothing to do with any more.
 */
import type { Epoch, NodeId, PgIndex } from '@rokka/kernel';
import { allMembers, type PlacedMember } from '@rokka/quorum';
import { placeMembers } from './geometry.ts';
import { nextGroupEpoch, type VolumeRecord } from './volume-record.ts';

export interface Dismissal {
  readonly pg: PgIndex;
  /** What was decided last of the group. */
  readonly epoch: Epoch;
  readonly members: readonly PlacedMember[];
  /** Above it, and so above every membership epoch that the group has had. */
  readonly nextEpoch: Epoch;
  /** The members without the node that is told. */
  readonly others: readonly PlacedMember[];
}

/** Every node that may have a segment: members, those who were, and those on whom the next group was perhaps being made. */
export function nodesToAsk(record: VolumeRecord): NodeId[] {
  const { groups, nodes, stores } = record;
  const inGroups = groups.flatMap(({ membership, retired }) => [
    ...allMembers(membership).map(({ node }) => node),
    ...retired,
  ]);
  return [...new Set([...nodes.map(({ node }) => node), ...inGroups, ...(Object.keys(stores) as NodeId[])])];
}

/**
 * What a node is told to drop: its segment of every group, and of one more, which a writer may have been making when it
 * died (growth.ts). Where it has none the node says so, and all is well.
 */
export function dismissalsFor(record: VolumeRecord, node: NodeId): Dismissal[] {
  const { groups, nodes, allFull } = record;
  const next = groups.length as PgIndex;
  const known = groups.map(({ pg, membership }) => ({
    pg,
    epoch: membership.epoch,
    members: allMembers(membership),
  }));
  const unborn = { pg: next, epoch: nextGroupEpoch(record), members: placeMembers(nodes, next, { allFull }) };
  return [...known, unborn].map(({ pg, epoch, members }) => ({
    pg,
    epoch,
    members,
    nextEpoch: (epoch + 1) as Epoch,
    others: members.filter((member) => member.node !== node),
  }));
}
