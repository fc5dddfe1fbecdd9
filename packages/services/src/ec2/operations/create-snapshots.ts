import type { CreateSnapshotsCommand } from '@aws-sdk/client-ec2';
import type { InputOf, Operation } from '@rokka/gateway';
import type { Scope } from '../../scope.ts';
import { type Tag, withTags } from '../../tags.ts';
import type { Ec2Services } from '../ec2-context.ts';
import { ec2Failures } from '../ec2-failures.ts';
import { newSetId } from '../ec2-ids.ts';
import {
  checkedDescription,
  checkedId,
  demandBuilt,
  given,
  scopeOf,
  tagRules,
  tagsAtCreation,
} from '../ec2-inputs.ts';
import { askFor, askForNew } from '../ec2-permissions.ts';
import { snapshotInfo } from '../snapshot-shapes.ts';
import { findInstance } from '../instances.ts';
import { madeSet, newSnapshot } from '../snapshot-making.ts';
import { demandState } from '../volume-changes.ts';
import { readScope, type VolumeFacts } from '../volume-facts.ts';

type Input = InputOf<typeof CreateSnapshotsCommand>;

/**
 * Of every volume that is attached to an instance, all of one moment: there will be all of them, or none.
 * @throws InvalidInstanceID.NotFound, InvalidParameterValue, IncorrectState, OperationNotPermitted for a boot volume
 */
export const createSnapshots = (services: Ec2Services): Operation<typeof CreateSnapshotsCommand> => ({
  async resources(input, call) {
    const { InstanceSpecification, TagSpecifications: tags } = input;
    const volumes = await attachedTo(services, call, InstanceSpecification);
    return [
      await askFor(services, call, ['instance', InstanceSpecification?.InstanceId]),
      ...(await Promise.all(volumes.map(({ volume }) => askFor(services, call, ['volume', volume.id])))),
      ...askForNew(call, 'snapshot', { operation: 'CreateSnapshots', tags }),
    ];
  },
  async handle(input, call) {
    const scope = scopeOf(call);
    demandBuilt(input, ['CopyTagsFromSource', 'Description', 'InstanceSpecification', 'TagSpecifications']);
    const { InstanceSpecification, CopyTagsFromSource } = input;
    demandBuilt(given(InstanceSpecification, 'InstanceSpecification'), [
      'ExcludeBootVolume',
      'ExcludeDataVolumeIds',
      'InstanceId',
    ]);
    if (CopyTagsFromSource !== undefined && CopyTagsFromSource !== 'volume')
      throw ec2Failures.parameter(`CopyTagsFromSource may be volume.`);
    const description = checkedDescription(input.Description);
    const own = tagsAtCreation('snapshot', input.TagSpecifications);
    const { id: instance } = await findInstance(services, scope, InstanceSpecification?.InstanceId);
    if (InstanceSpecification?.ExcludeBootVolume !== true)
      throw ec2Failures.notPermitted(
        `The boot volume of ${instance} is the disk that the cluster itself stands on, of which no snapshot can be made: say ExcludeBootVolume.`,
      );
    const volumes = await attachedTo(services, scope, InstanceSpecification);
    if (volumes.length === 0)
      throw ec2Failures.parameter(`No volume is attached to ${instance} that is not excluded.`);
    for (const facts of volumes) demandState(facts, ['in-use']);
    const members = volumes.map(({ volume: { id, sizeGiB, tags } }) =>
      newSnapshot(services, {
        volume: { id, sizeGiB },
        description,
        tags: CopyTagsFromSource ? inherited(tags, own) : own,
      }),
    );
    const set = { id: newSetId(services.random), size: members.length, members };
    const made = await madeSet(services, scope, set);
    return { Snapshots: made.map((facts) => snapshotInfo(scope, facts)) };
  },
});

const inherited = (tags: readonly Tag[], own: readonly Tag[]) => withTags(tags, own, tagRules);

/** @throws InvalidParameterValue for an excluded one that is not attached */
async function attachedTo(
  services: Ec2Services,
  scope: Scope,
  specification: Input['InstanceSpecification'],
): Promise<VolumeFacts[]> {
  const id = checkedId('instance', specification?.InstanceId);
  const { volumes } = await readScope(services, scope);
  const attached = volumes.filter(({ volume }) => volume.attachment?.instance === id);
  const excluded = (specification?.ExcludeDataVolumeIds ?? []).map((text) => checkedId('volume', text));
  const stranger = excluded.find((one) => !attached.some(({ volume }) => volume.id === one));
  if (stranger !== undefined)
    throw ec2Failures.parameter(`Volume ${stranger} of ExcludeDataVolumeIds is not attached to ${id}.`);
  return attached.filter(({ volume }) => !excluded.includes(volume.id));
}
