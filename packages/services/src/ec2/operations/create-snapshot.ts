import type { CreateSnapshotCommand } from '@aws-sdk/client-ec2';
import type { Operation } from '@rokka/gateway';
import type { Ec2Services } from '../ec2-context.ts';
import { checkedDescription, demandBuilt, scopeOf, tagsAtCreation } from '../ec2-inputs.ts';
import { findVolume } from '../ec2-lookup.ts';
import { askFor, askForNew } from '../ec2-permissions.ts';
import { snapshotShape } from '../snapshot-shapes.ts';
import { madeSnapshot, newSnapshot } from '../snapshot-making.ts';
import { demandState } from '../volume-changes.ts';

/**
 * Of what is on the volume when this is answered, or a moment later.
 * @throws InvalidVolume.NotFound, IncorrectState, OperationNotPermitted, and what inputs may not say
 */
export const createSnapshot = (services: Ec2Services): Operation<typeof CreateSnapshotCommand> => ({
  resources: async ({ VolumeId, TagSpecifications: tags }, call) => [
    await askFor(services, call, ['volume', VolumeId]),
    ...askForNew(call, 'snapshot', { operation: 'CreateSnapshot', tags }),
  ],
  async handle(input, call) {
    const scope = scopeOf(call);
    demandBuilt(input, ['Description', 'TagSpecifications', 'VolumeId']);
    const description = checkedDescription(input.Description);
    const tags = tagsAtCreation('snapshot', input.TagSpecifications);
    const facts = await findVolume(services, scope, input.VolumeId);
    demandState(facts, ['available', 'in-use']);
    const { id, sizeGiB } = facts.volume;
    const record = newSnapshot(services, { volume: { id, sizeGiB }, description, tags });
    return snapshotShape(scope, await madeSnapshot(services, scope, record));
  },
});
