import type { DeleteVolumeCommand } from '@aws-sdk/client-ec2';
import type { Operation } from '@rokka/gateway';
import type { Ec2Services } from '../ec2-context.ts';
import { ec2Failures } from '../ec2-failures.ts';
import { demandBuilt, scopeOf } from '../ec2-inputs.ts';
import { findVolume } from '../ec2-lookup.ts';
import { askFor } from '../ec2-permissions.ts';
import { changeVolume, demandState, settled } from '../volume-changes.ts';

/**
 * With everything on it; its snapshots stay.
 * @throws InvalidVolume.NotFound, VolumeInUse, IncorrectState, OperationNotPermitted
 */
export const deleteVolume = (services: Ec2Services): Operation<typeof DeleteVolumeCommand> => ({
  resources: async ({ VolumeId }, call) => [await askFor(services, call, ['volume', VolumeId])],
  async handle(input, call) {
    const scope = scopeOf(call);
    const sinceMs = services.clock.wallMs();
    demandBuilt(input, ['VolumeId']);
    const facts = await findVolume(services, scope, input.VolumeId);
    if (!facts.volume.attachment) demandState(facts, ['available', 'error']);
    await changeVolume(services, scope, {
      facts,
      change(found) {
        if (found.attachment)
          throw ec2Failures.volumeInUse(
            `Volume ${found.id} is currently attached to ${found.attachment.instance}`,
          );
        return found.deleting ? found : { ...found, deleting: { sinceMs } };
      },
    });
    await settled(services, scope, facts.volume);
    return {};
  },
});
