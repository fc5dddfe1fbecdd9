/** What answers show of snapshots. A member that is not here is not so here (docs/ec2.md). */
import type { Snapshot, SnapshotInfo } from '@aws-sdk/client-ec2';
import type { Scope } from '../scope.ts';
import type { SnapshotFacts } from './snapshot-facts.ts';
import { snapshotState } from './status.ts';
import { tagShapes } from './volume-shapes.ts';

/** As AWS calls the volume of a snapshot that is a copy. */
const NO_VOLUME = 'vol-ffffffff';

export function snapshotShape(scope: Scope, facts: SnapshotFacts): Snapshot {
  const { kept } = facts;
  const state = snapshotState(facts);
  return {
    ...snapshotInfo(scope, facts),
    StorageTier: 'standard',
    ...(state === 'error' && { StateMessage: whySnapshotFailed(facts) }),
    ...(state === 'completed' &&
      kept?.takenAtMs !== undefined && { CompletionTime: new Date(kept.takenAtMs) }),
  };
}

/** Of one whose state is `error`. */
export const whySnapshotFailed = ({ record, set, kept }: SnapshotFacts): string =>
  record.failure ?? set?.failure ?? kept?.reason ?? 'what it kept was removed';

/** As CreateSnapshots shows it. */
export function snapshotInfo(scope: Scope, facts: SnapshotFacts): SnapshotInfo {
  const { record } = facts;
  const state = snapshotState(facts);
  return {
    SnapshotId: record.id,
    OwnerId: scope.account,
    VolumeId: record.copyOf ? NO_VOLUME : record.volume.id,
    VolumeSize: record.volume.sizeGiB,
    State: state,
    Progress: state === 'completed' ? '100%' : '0%',
    StartTime: new Date(record.createdAtMs),
    Description: record.description,
    Encrypted: false,
    Tags: tagShapes(record.tags),
  };
}
