import type { DescribeVolumesCommand, Volume } from '@aws-sdk/client-ec2';
import type { Operation } from '@rokka/gateway';
import type { Scope } from '../../scope.ts';
import type { Ec2Services } from '../ec2-context.ts';
import { demandBuilt, scopeOf } from '../ec2-inputs.ts';
import { filtered, type FilterTable, ofNothing, pageOf, tagsShown } from '../ec2-lists.ts';
import { isSeen, named } from '../ec2-lookup.ts';
import { bootVolumeShape, volumeShape } from '../volume-shapes.ts';
import { listInstances } from '../instances.ts';
import { readScope } from '../volume-facts.ts';

/** With the disks of the machines. @throws InvalidVolume.NotFound, and what lists may not be asked */
export const describeVolumes =
  (services: Ec2Services): Operation<typeof DescribeVolumesCommand> =>
  async (input, call) => {
    const scope = scopeOf(call);
    const { VolumeIds: ids } = input;
    demandBuilt(input, ['Filters', 'MaxResults', 'NextToken', 'VolumeIds']);
    const all = await volumeShapes(services, scope);
    const { items, NextToken } = pageOf(services, {
      items: filtered(named(all, ids, { kind: 'volume', idOf: idOfVolume }), input.Filters, {
        table: FILTERS,
        tagsOf: tagsShown,
      }),
      keyOf: idOfVolume,
      input,
      scope,
      asked: ['volumes'],
      ids,
    });
    return { Volumes: items, ...(NextToken !== undefined && { NextToken }) };
  };

const idOfVolume = ({ VolumeId = '' }: Volume) => VolumeId;

/** In the order of their ids. */
async function volumeShapes(services: Ec2Services, scope: Scope): Promise<Volume[]> {
  const { volumes } = await readScope(services, scope);
  const instances = await listInstances(services, scope);
  return [
    ...volumes.filter(isSeen).map((facts) => volumeShape(scope, facts)),
    ...instances.flatMap((instance) =>
      instance.boot ? [bootVolumeShape(scope, instance, instance.boot)] : [],
    ),
  ].sort((a, b) => (idOfVolume(a) < idOfVolume(b) ? -1 : 1));
}

/** Those of https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeVolumes.html */
const FILTERS: FilterTable<Volume> = {
  ...ofNothing('availability-zone-id', 'operator.principal'),
  'attachment.attach-time': ({ Attachments = [] }) => Attachments.map(({ AttachTime }) => AttachTime),
  'attachment.delete-on-termination': ({ Attachments = [] }) =>
    Attachments.map(({ DeleteOnTermination }) => DeleteOnTermination),
  'attachment.device': ({ Attachments = [] }) => Attachments.map(({ Device }) => Device),
  'attachment.instance-id': ({ Attachments = [] }) => Attachments.map(({ InstanceId }) => InstanceId),
  'attachment.status': ({ Attachments = [] }) => Attachments.map(({ State }) => State),
  'availability-zone': ({ AvailabilityZone }) => [AvailabilityZone],
  'create-time': ({ CreateTime }) => [CreateTime],
  encrypted: ({ Encrypted }) => [Encrypted],
  'fast-restored': () => [false],
  'multi-attach-enabled': ({ MultiAttachEnabled }) => [MultiAttachEnabled],
  'operator.managed': () => [false],
  size: ({ Size }) => [Size],
  'snapshot-id': ({ SnapshotId }) => [SnapshotId === '' ? undefined : SnapshotId],
  status: ({ State }) => [State],
  'volume-id': ({ VolumeId }) => [VolumeId],
  'volume-type': ({ VolumeType }) => [VolumeType],
};
