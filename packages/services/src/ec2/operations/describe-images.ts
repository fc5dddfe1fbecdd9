import type { BlockDeviceMapping, DescribeImagesCommand, Image } from '@aws-sdk/client-ec2';
import type { Operation } from '@rokka/gateway';
import type { Ec2Services } from '../ec2-context.ts';
import { demandBuilt, scopeOf } from '../ec2-inputs.ts';
import { filtered, type FilterTable, ofNothing, pageOf, tagsShown } from '../ec2-lists.ts';
import { named, seenImages } from '../ec2-lookup.ts';
import { imageShape } from '../image-shapes.ts';

/** All are of the caller's account, and nobody else may use one. @throws InvalidAMIID.NotFound, and what lists may not be asked */
export const describeImages =
  (services: Ec2Services): Operation<typeof DescribeImagesCommand> =>
  async (input, call) => {
    const scope = scopeOf(call);
    const { ImageIds: ids, Owners = [], ExecutableUsers = [] } = input;
    demandBuilt(input, [
      'ExecutableUsers',
      'Filters',
      'ImageIds',
      // None is deprecated or disabled: all are in the list.
      'IncludeDeprecated',
      'IncludeDisabled',
      'MaxResults',
      'NextToken',
      'Owners',
    ]);
    const isOwn = Owners.length === 0 || Owners.includes('self') || Owners.includes(scope.account);
    // Permissions that an owner gives; his own are none.
    const isAsked = isOwn && ExecutableUsers.length === 0;
    const all = (await seenImages(services, scope)).map((facts) => imageShape(scope, facts));
    const asked = named(all, ids, { kind: 'image', idOf }).filter(() => isAsked);
    const { items, NextToken } = pageOf(services, {
      items: filtered(asked, input.Filters, { table: FILTERS, tagsOf: tagsShown }),
      keyOf: idOf,
      input,
      scope,
      asked: ['images', Owners, ExecutableUsers],
      ids,
    });
    return { Images: items, ...(NextToken !== undefined && { NextToken }) };
  };

const idOf = ({ ImageId = '' }: Image) => ImageId;
const ebs = ({ BlockDeviceMappings = [] }: Image) =>
  BlockDeviceMappings.map(({ Ebs }: BlockDeviceMapping) => Ebs);

/** Those of https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeImages.html */
const FILTERS: FilterTable<Image> = {
  ...ofNothing(
    'ena-support',
    'free-tier-eligible',
    'hypervisor',
    'image-allowed',
    'kernel-id',
    'owner-alias',
    'platform',
    'product-code',
    'product-code.type',
    'ramdisk-id',
    'source-image-id',
    'source-image-region',
    'sriov-net-support',
    'virtualization-type',
  ),
  architecture: ({ Architecture }) => [Architecture],
  'block-device-mapping.delete-on-termination': (of) => ebs(of).map((each) => each?.DeleteOnTermination),
  'block-device-mapping.device-name': ({ BlockDeviceMappings = [] }) =>
    BlockDeviceMappings.map(({ DeviceName }) => DeviceName),
  'block-device-mapping.encrypted': (of) => ebs(of).map((each) => each?.Encrypted),
  'block-device-mapping.snapshot-id': (of) => ebs(of).map((each) => each?.SnapshotId),
  'block-device-mapping.volume-size': (of) => ebs(of).map((each) => each?.VolumeSize),
  'block-device-mapping.volume-type': (of) => ebs(of).map((each) => each?.VolumeType),
  'creation-date': ({ CreationDate }) => [CreationDate],
  description: ({ Description }) => [Description],
  'image-id': ({ ImageId }) => [ImageId],
  'image-type': ({ ImageType }) => [ImageType],
  'is-public': ({ Public }) => [Public],
  'manifest-location': ({ ImageLocation }) => [ImageLocation],
  name: ({ Name }) => [Name],
  'owner-id': ({ OwnerId }) => [OwnerId],
  'root-device-name': ({ RootDeviceName }) => [RootDeviceName],
  'root-device-type': ({ RootDeviceType }) => [RootDeviceType],
  'source-instance-id': ({ SourceInstanceId }) => [SourceInstanceId],
  state: ({ State }) => [State],
  'state-reason-code': ({ StateReason }) => [StateReason?.Code],
  'state-reason-message': ({ StateReason }) => [StateReason?.Message],
};
