/** What the writer tells people of its volume: plain JSON. */
import type { NodeId } from '@rokka/kernel';
import type { ProgressTracker } from '@rokka/quorum';
import type { Group } from './group.ts';
import type { NodeLink } from './node-link.ts';

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
  members: {
    /** Whether the member obeys this writer and takes part. */
    fenced: boolean;
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

export function describeGroup(
  group: Group,
  links: ReadonlyMap<NodeId, NodeLink>,
  tracker: ProgressTracker,
): GroupStatus {
  const members = group.members.map(({ node, zone, kind }, place) => {
    const link = links.get(node);
    const fenced = group.isFenced(node);
    const scl = tracker.scl(group.pg, place);
    const reason = link?.up && !fenced ? group.unfencedReasons.get(node) : link?.lastError?.code;
    return {
      fenced,
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
  return { pg: group.pg, pgcl: tracker.pgcl(group.pg), members };
}
