/** What the writer tells people of its volume: plain JSON. */
import { changesOf, type ProgressTracker } from '@rokka/quorum';
import type { Group } from './group.ts';
import type { NodeLinks } from './node-links.ts';

export interface VolumeStatus {
  volumeId: string;
  volumeEpoch: number;
  vcl: number;
  vdl: number;
  lastLsn: number;
  outstandingBytes: number;
  shipped: { shippedBytes: number; shippedWrites: number };
  groups: GroupStatus[];
}

export interface GroupStatus {
  pg: number;
  pgcl: number;
  membershipEpoch: number;
  /** Replacements under way. */
  changes: { leaves: string; joins: string; forced: boolean }[];
  members: {
    /** Whether the member obeys this writer and takes part. */
    fenced: boolean;
    /** A newcomer that does not hold everything yet. */
    hydrating: boolean;
    bufferedBytes: number;
    node: string;
    zone: string;
    kind: string;
    up: boolean;
    scl: number | undefined;
    lagLsn: number | undefined;
    /** Why it does not take part: the code of an error, or `damaged`. */
    error: string | undefined;
  }[];
}

export function describeGroup(group: Group, links: NodeLinks, tracker: ProgressTracker): GroupStatus {
  const members = group.members.map(({ node, zone, kind }, place) => {
    const link = links.get(node);
    const fenced = group.isFenced(node);
    const scl = tracker.scl(group.pg, place);
    const reason = link?.up && !fenced ? group.unfencedReasons.get(node) : link?.lastError?.code;
    return {
      fenced,
      hydrating: group.isHydrating(node),
      bufferedBytes: link?.bufferedBytes ?? 0,
      node,
      zone,
      kind,
      up: link?.up ?? false,
      scl,
      lagLsn: scl === undefined ? undefined : Math.max(0, tracker.lastLsnOf(group.pg) - scl),
      error: reason || undefined,
    };
  });
  const { membership } = group.roster;
  const changes = changesOf(membership).map(({ leaves, joins }) => ({
    leaves: leaves.node,
    joins: joins.node,
    forced: joins.forced === true,
  }));
  const { pg } = group;
  return { pg, pgcl: tracker.pgcl(pg), membershipEpoch: membership.epoch, changes, members };
}
