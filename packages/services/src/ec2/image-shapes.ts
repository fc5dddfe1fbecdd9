/** What answers show of images. A member that is not here is not so here (docs/ec2.md). */
import type { BlockDeviceMapping, Image } from '@aws-sdk/client-ec2';
import type { Scope } from '../scope.ts';
import type { ImageDevice } from './ec2-records.ts';
import type { ImageFacts } from './image-facts.ts';
import { imageState, snapshotState } from './status.ts';
import { whySnapshotFailed } from './snapshot-shapes.ts';
import { tagShapes } from './volume-shapes.ts';

export function imageShape({ account }: Scope, facts: ImageFacts): Image {
  const { record } = facts;
  const State = imageState(facts);
  return {
    ImageId: record.id,
    Name: record.name,
    ImageLocation: `${account}/${record.name}`,
    ImageType: 'machine',
    OwnerId: account,
    Public: false,
    State,
    ...(State === 'failed' && { StateReason: { Code: 'Client.InvalidSnapshot', Message: whyFailed(facts) } }),
    CreationDate: new Date(record.createdAtMs).toISOString(),
    Description: record.description,
    RootDeviceName: record.rootDevice,
    RootDeviceType: 'ebs',
    BlockDeviceMappings: record.devices.map(mappingShape),
    ...(record.architecture !== undefined && { Architecture: record.architecture as Image['Architecture'] }),
    ...(record.instance !== undefined && { SourceInstanceId: record.instance }),
    Tags: tagShapes(record.tags),
  };
}

const mappingShape = ({
  device,
  snapshot,
  sizeGiB,
  type,
  deleteOnTermination,
}: ImageDevice): BlockDeviceMapping => ({
  DeviceName: device,
  Ebs: {
    SnapshotId: snapshot,
    VolumeSize: sizeGiB,
    VolumeType: type,
    DeleteOnTermination: deleteOnTermination,
    Encrypted: false,
  },
});

/** Which of its snapshots are not what they should be. */
function whyFailed({ record, snapshots }: ImageFacts): string {
  const gone = record.devices.filter((_, at) => !snapshots[at]).map(({ snapshot }) => `${snapshot} is gone`);
  const failed = snapshots.flatMap((facts) =>
    facts && snapshotState(facts) === 'error'
      ? [`${facts.record.id} has failed: ${whySnapshotFailed(facts)}`]
      : [],
  );
  return [...gone, ...failed].join(', ');
}
