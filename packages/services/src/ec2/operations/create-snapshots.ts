import type { CreateSnapshotsCommand } from '@aws-sdk/client-ec2';
import type { Operation } from '@rokka/gateway';
import type { Ec2Services } from '../ec2-context.ts';
import { ec2Failures } from '../ec2-failures.ts';
import { checkedDescription, demandBuilt, given, scopeOf, tagsAtCreation } from '../ec2-inputs.ts';
import { askForInstanceSnapshots, makeInstanceSnapshots } from '../instance-snapshots.ts';
import { snapshotInfo } from '../snapshot-shapes.ts';

/**
 * Of every volume that is attached to an instance, all of one moment: there will be all of them, or none. The boot volume's shows a little before it.
 * @throws InvalidInstanceID.NotFound, InvalidParameterValue, IncorrectState, OperationNotPermitted for the boot volume of
 * another machine
 */
export const createSnapshots = (services: Ec2Services): Operation<typeof CreateSnapshotsCommand> => ({
  resources: ({ InstanceSpecification: specification, TagSpecifications: tags }, call) =>
    askForInstanceSnapshots(services, call, { specification, tags }),
  async handle(input, call) {
    const scope = scopeOf(call);
    demandBuilt(input, ['CopyTagsFromSource', 'Description', 'InstanceSpecification', 'TagSpecifications']);
    const { InstanceSpecification: specification, CopyTagsFromSource } = input;
    demandBuilt(given(specification, 'InstanceSpecification'), [
      'ExcludeBootVolume',
      'ExcludeDataVolumeIds',
      'InstanceId',
    ]);
    if (CopyTagsFromSource !== undefined && CopyTagsFromSource !== 'volume')
      throw ec2Failures.parameter(`CopyTagsFromSource may be volume.`);
    const made = await makeInstanceSnapshots(services, scope, {
      specification,
      description: checkedDescription(input.Description),
      tags: tagsAtCreation('snapshot', input.TagSpecifications),
      copiesTags: CopyTagsFromSource !== undefined,
    });
    return { Snapshots: made.map((facts) => snapshotInfo(scope, facts)) };
  },
});
