/** What the registry knows of a volume. Its changes are in volume-state.ts. */
import type { VolumeBase } from './inheritance.ts';
import type { Epoch, NodeId, PgIndex, VolumeId, Zone } from '@rokka/kernel';
import { settledMembership, type Membership, type PlacedMember, type TruncationRange } from '@rokka/quorum';

export interface GroupRecord {
  readonly pg: PgIndex;
  readonly membership: Membership;
  /** Members that have no segment yet: only they may be given an empty one later. */
  readonly missing: readonly NodeId[];
  /** Nodes that were replaced and may still hold a segment: it goes when the group is whole without them. */
  readonly retired: readonly NodeId[];
}

export interface VolumeRecord {
  readonly volumeId: VolumeId;
  readonly name: string;
  readonly volumeEpoch: Epoch;
  /** Drawn by whoever raised the epoch last, so that it knows its own change again. */
  readonly opening?: string;
  /** The largest that was ever in force: how far above the VDL a record may exist. */
  readonly lsnAllocationLimitMax: number;
  readonly pagesPerGroup: number;
  readonly groupsMax: number;
  readonly allFull: boolean;
  /** The six nodes that a new group is placed on, in the order of the members A to F. */
  readonly nodes: readonly { node: NodeId; zone: Zone }[];
  /**
   * The data directory of each node that was ever given a segment. Under the same name another one holds nothing that was
   * acknowledged, whatever it says (aurora.md trap 13).
   */
  readonly stores: Readonly<Record<NodeId, string>>;
  readonly groups: readonly GroupRecord[];
  /** The membership epoch with which the next group begins; 1 where absent. Nodes may have segments of it from the ones before. */
  readonly nextGroupEpoch?: Epoch | undefined;
  readonly truncationRanges: readonly TruncationRange[];
  /** Where pages come from that the volume never wrote, while there may be any. */
  readonly base?: VolumeBase | undefined;
  /** The volume is deleted: nobody opens it any more, and nobody is a member of its groups (volume-deletion.ts). */
  readonly deletion?: DeletionRecord;
}

export interface DeletionRecord {
  /** Nodes that may still hold something of it. The record goes with the last of them. */
  readonly left: readonly NodeId[];
}

/** Groups as 0.1.0 wrote them before membership could change. */
interface FixedGroupRecord {
  readonly pg: PgIndex;
  readonly membershipEpoch: Epoch;
  readonly members: readonly PlacedMember[];
  readonly missing: readonly NodeId[];
}

export const nextGroupEpoch = (record: VolumeRecord): Epoch => record.nextGroupEpoch ?? (1 as Epoch);

/** A record as it is written now, whichever version wrote it. */
export function upgradeRecord(record: VolumeRecord): VolumeRecord {
  const groups = record.groups.map((group: GroupRecord | FixedGroupRecord) => {
    if (!('members' in group)) return group;
    const { pg, missing, membershipEpoch, members } = group;
    return { pg, missing, membership: settledMembership(membershipEpoch, members), retired: [] };
  });
  // 0.1.0 did not know of stores; they are learnt when their nodes are first met.
  return { ...record, groups, stores: record.stores ?? {} };
}
