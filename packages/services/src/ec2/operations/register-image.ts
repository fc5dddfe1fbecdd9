import type { RegisterImageCommand } from '@aws-sdk/client-ec2';
import type { Operation } from '@rokka/gateway';
import type { Ec2Services } from '../ec2-context.ts';
import { ec2Failures } from '../ec2-failures.ts';
import { checkedDescription, demandBuilt, scopeOf, tagsAtCreation } from '../ec2-inputs.ts';
import { askFor, askForNew } from '../ec2-permissions.ts';
import { checkedArchitecture, checkedImageName, checkedMappings, checkedRoot } from '../image-inputs.ts';
import { madeImage, newImage } from '../image-making.ts';

/** What CreateImage makes is of the same kind: who may make that of an instance may make it of snapshots too. */
const OF_INSTANCES = 'ec2:CreateImage';

/**
 * Of snapshots of the account that are completed.
 * @throws InvalidAMIName.Malformed, InvalidAMIName.Duplicate, InvalidBlockDeviceMapping, InvalidSnapshot.NotFound, IncorrectState, UnsupportedOperation
 */
export const registerImage = (services: Ec2Services): Operation<typeof RegisterImageCommand> => ({
  async resources({ BlockDeviceMappings: mappings = [], TagSpecifications: tags }, call) {
    const ids = mappings.flatMap(({ Ebs }) => Ebs?.SnapshotId ?? []);
    const asks = [
      ...askForNew(call, 'image', { operation: 'RegisterImage', tags }),
      ...(await Promise.all(ids.map((id) => askFor(services, call, ['snapshot', id])))),
    ];
    return asks.map((ask) => (ask.action === undefined ? { ...ask, alternatives: [OF_INSTANCES] } : ask));
  },
  async handle(input, call) {
    const scope = scopeOf(call);
    demandBuilt(input, [
      'Architecture',
      'BlockDeviceMappings',
      'Description',
      'Name',
      'RootDeviceName',
      'TagSpecifications',
      'VirtualizationType',
    ]);
    const { Architecture, VirtualizationType = 'hvm' } = input;
    if (VirtualizationType !== 'hvm')
      throw ec2Failures.unsupported('VirtualizationType may only be hvm: nothing is started from an image.');
    const name = checkedImageName(input.Name);
    const description = checkedDescription(input.Description);
    const architecture = checkedArchitecture(Architecture);
    const tags = tagsAtCreation('image', input.TagSpecifications);
    const devices = await checkedMappings(services, scope, input.BlockDeviceMappings);
    const rootDevice = checkedRoot(input.RootDeviceName, devices);
    const image = newImage(services, {
      name,
      description,
      tags,
      rootDevice,
      devices,
      ...(architecture !== undefined && { architecture }),
    });
    const { record } = await madeImage(services, scope, image);
    return { ImageId: record.id };
  },
});
