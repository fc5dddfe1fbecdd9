/** What answers show of volumes. A member that is not here is not so here (docs/ec2.md). */
import type { Volume, VolumeAttachment, VolumeModification } from '@aws-sdk/client-ec2';
import type { Scope } from '../scope.ts';
import type { Tag } from '../tags.ts';
import { ec2Arn } from './ec2-arns.ts';
import { BASELINE, BOOT_DEVICE } from './ec2-inputs.ts';
import type { VolumeKind, VolumeRecord } from './ec2-records.ts';
import type { BootVolume, InstanceFacts } from './instances.ts';
import { attachmentState, volumeState } from './status.ts';
import type { VolumeFacts } from './volume-facts.ts';

/** gp2 has by its size what gp3 has by its price. */
const IOPS_PER_GIB = 3;
const IOPS_MIN = 100;
const IOPS_MAX = 16_000;

export function volumeShape(scope: Scope, facts: VolumeFacts): Volume {
  const { volume } = facts;
  const attachment = attachmentShape(facts);
  return {
    VolumeId: volume.id,
    VolumeArn: ec2Arn(scope, 'volume', volume.id),
    OwnerId: scope.account,
    State: volumeState(facts),
    Size: sizeNow(volume),
    VolumeType: volume.type,
    ...performance(volume.type, sizeNow(volume)),
    AvailabilityZone: volume.zone,
    CreateTime: new Date(volume.createdAtMs),
    SnapshotId: volume.snapshot ?? '',
    Attachments: attachment ? [attachment] : [],
    Encrypted: false,
    FastRestored: false,
    MultiAttachEnabled: false,
    Tags: tagShapes(volume.tags),
  };
}

/** The disk of a machine. Its kind is not known. */
export function bootVolumeShape(scope: Scope, instance: InstanceFacts, boot: BootVolume): Volume {
  const { id, zone } = instance;
  const sinceWhen = boot.sinceMs === undefined ? undefined : new Date(boot.sinceMs);
  return {
    VolumeId: boot.id,
    VolumeArn: ec2Arn(scope, 'volume', boot.id),
    OwnerId: scope.account,
    State: 'in-use',
    Size: boot.sizeGiB,
    AvailabilityZone: zone,
    CreateTime: sinceWhen,
    SnapshotId: '',
    Attachments: [
      {
        VolumeId: boot.id,
        InstanceId: id,
        Device: BOOT_DEVICE,
        State: 'attached',
        AttachTime: sinceWhen,
        DeleteOnTermination: true,
      },
    ],
    Encrypted: false,
    MultiAttachEnabled: false,
    Tags: [],
  };
}

export function attachmentShape(facts: VolumeFacts): VolumeAttachment | undefined {
  const { id, attachment } = facts.volume;
  if (!attachment) return undefined;
  return {
    VolumeId: id,
    InstanceId: attachment.instance,
    Device: attachment.device,
    State: attachmentState(facts),
    AttachTime: new Date(attachment.sinceMs),
    DeleteOnTermination: false,
  };
}

/** Undefined for a volume that never was modified. */
export function modificationShape({ volume }: VolumeFacts): VolumeModification | undefined {
  const { modification } = volume;
  if (!modification) return undefined;
  const { original, target, startedAtMs, endedAtMs } = modification;
  const [before, after] = [original, target].map(({ type, sizeGiB }) => performance(type, sizeGiB));
  return {
    VolumeId: volume.id,
    ModificationState: endedAtMs === undefined ? 'modifying' : 'completed',
    OriginalSize: original.sizeGiB,
    OriginalVolumeType: original.type,
    OriginalIops: before.Iops,
    ...(before.Throughput !== undefined && { OriginalThroughput: before.Throughput }),
    OriginalMultiAttachEnabled: false,
    TargetSize: target.sizeGiB,
    TargetVolumeType: target.type,
    TargetIops: after.Iops,
    ...(after.Throughput !== undefined && { TargetThroughput: after.Throughput }),
    TargetMultiAttachEnabled: false,
    Progress: endedAtMs === undefined ? 0 : 100,
    StartTime: new Date(startedAtMs),
    ...(endedAtMs !== undefined && { EndTime: new Date(endedAtMs) }),
  };
}

/** The files may take more from the end of a modification on. */
function sizeNow({ sizeGiB, modification }: VolumeRecord): number {
  return modification && modification.endedAtMs === undefined ? modification.original.sizeGiB : sizeGiB;
}

/** Words: every volume is as quick as its machine. */
function performance(kind: VolumeKind, sizeGiB: number): { Iops: number; Throughput?: number } {
  if (kind === 'gp3') return { Iops: BASELINE.iops, Throughput: BASELINE.throughputMiB };
  return { Iops: Math.min(IOPS_MAX, Math.max(IOPS_MIN, IOPS_PER_GIB * sizeGiB)) };
}

/** As answers have them. */
export const tagShapes = (tags: readonly Tag[]) => tags.map(({ Key, Value }) => ({ Key, Value }));
