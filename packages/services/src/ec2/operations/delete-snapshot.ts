import type { DeleteSnapshotCommand } from '@aws-sdk/client-ec2';
import type { Operation } from '@rokka/gateway';
import type { Ec2Services } from '../ec2-context.ts';
import { demandBuilt, scopeOf } from '../ec2-inputs.ts';
import { findSnapshot } from '../ec2-lookup.ts';
import { askFor } from '../ec2-permissions.ts';
import { removeSnapshot } from '../volume-snapshots.ts';

/**
 * Volumes that were made from it stay. One that is pending may be deleted too: where it is of a set, the others are finished.
 * @throws InvalidSnapshot.NotFound; InvalidSnapshot.InUse while a volume is being made of it, or an image names it
 */
export const deleteSnapshot = (services: Ec2Services): Operation<typeof DeleteSnapshotCommand> => ({
  resources: async ({ SnapshotId }, call) => [await askFor(services, call, ['snapshot', SnapshotId])],
  async handle(input, call) {
    const scope = scopeOf(call);
    demandBuilt(input, ['SnapshotId']);
    await removeSnapshot(services, scope, await findSnapshot(services, scope, input.SnapshotId));
    return {};
  },
});
