import type { CreateSnapshotCommand } from '@aws-sdk/client-ec2';
import type { Operation } from '@rokka/gateway';
import type { Ec2Services } from '../ec2-context.ts';
import { checkedDescription, demandBuilt, scopeOf, tagsAtCreation } from '../ec2-inputs.ts';
import { snapshotShape } from '../snapshot-shapes.ts';
import { askForVolumeSnapshot, makeVolumeSnapshot } from '../volume-snapshots.ts';

/**
 * Of what is on the volume when this is answered, or a moment later.
 * @throws InvalidVolume.NotFound, IncorrectState, OperationNotPermitted, and what inputs may not say
 */
export const createSnapshot = (services: Ec2Services): Operation<typeof CreateSnapshotCommand> => ({
  resources: ({ VolumeId: volume, TagSpecifications: tags }, call) =>
    askForVolumeSnapshot(services, call, { volume, tags }),
  async handle(input, call) {
    const scope = scopeOf(call);
    demandBuilt(input, ['Description', 'TagSpecifications', 'VolumeId']);
    const made = await makeVolumeSnapshot(services, scope, {
      volume: input.VolumeId,
      description: checkedDescription(input.Description),
      tags: tagsAtCreation('snapshot', input.TagSpecifications),
      copiesTags: false,
    });
    return snapshotShape(scope, made);
  },
});
