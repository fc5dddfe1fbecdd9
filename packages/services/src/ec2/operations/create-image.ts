import type { CreateImageCommand, TagSpecification } from '@aws-sdk/client-ec2';
import type { Operation } from '@rokka/gateway';
import type { Ec2Services } from '../ec2-context.ts';
import { ec2Failures } from '../ec2-failures.ts';
import { BOOT_DEVICE, checkedDescription, demandBuilt, scopeOf, tagsAtCreation } from '../ec2-inputs.ts';
import { askForNew } from '../ec2-permissions.ts';
import { checkedImageName } from '../image-inputs.ts';
import { madeImageOfSet, newImage } from '../image-making.ts';
import { askForImagedInstance, newInstanceSet } from '../instance-snapshots.ts';

/**
 * The input names its instance as the specification of CreateSnapshots does, and nothing of it can be left out.
 *
 * Of all volumes that are attached to an instance, with its boot volume, at one moment: as CreateSnapshots makes them. Nothing is rebooted.
 * @throws InvalidInstanceID.NotFound, InvalidAMIName.Malformed, InvalidAMIName.Duplicate, UnsupportedOperation, and what CreateSnapshots throws
 */
export const createImage = (services: Ec2Services): Operation<typeof CreateImageCommand> => ({
  async resources(input, call) {
    const { ofSnapshots, ofImage } = divided(input.TagSpecifications);
    return [
      ...askForNew(call, 'image', { operation: 'CreateImage', tags: ofImage }),
      ...(await askForImagedInstance(services, call, { specification: input, tags: ofSnapshots })),
    ];
  },
  async handle(input, call) {
    const scope = scopeOf(call);
    demandBuilt(input, ['Description', 'InstanceId', 'Name', 'NoReboot', 'TagSpecifications']);
    const { InstanceId, NoReboot, TagSpecifications } = input;
    if (NoReboot === false)
      throw ec2Failures.unsupported(
        'NoReboot may only be true: an instance is a machine that runs the cluster, and is not rebooted for an image.',
      );
    const name = checkedImageName(input.Name);
    const description = checkedDescription(input.Description);
    const { ofSnapshots, ofImage } = divided(TagSpecifications);
    const tags = tagsAtCreation('image', ofImage);
    const { set, devices } = await newInstanceSet(services, scope, {
      specification: input,
      description: `Created by CreateImage(${InstanceId}) for ${name}`,
      tags: tagsAtCreation('snapshot', ofSnapshots),
      copiesTags: false,
    });
    const image = newImage(services, {
      name,
      description,
      tags,
      rootDevice: BOOT_DEVICE,
      ...(InstanceId !== undefined && { instance: InstanceId }),
      devices: set.members.map(({ id, volume }, at) => ({
        device: devices[at],
        snapshot: id,
        sizeGiB: volume.sizeGiB,
        type: 'gp3',
        deleteOnTermination: devices[at] === BOOT_DEVICE,
      })),
    });
    const { record } = await madeImageOfSet(services, scope, { set, image });
    return { ImageId: record.id };
  },
});

/** What is neither for the snapshots nor for the image is refused with those of the image. */
function divided(given: readonly TagSpecification[] = []) {
  const isOfSnapshots = ({ ResourceType }: TagSpecification) => ResourceType === 'snapshot';
  return {
    ofSnapshots: given.filter(isOfSnapshots),
    ofImage: given.filter((each) => !isOfSnapshots(each)),
  };
}
