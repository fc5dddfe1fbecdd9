import type { DeleteSnapshotCommand } from '@aws-sdk/client-ec2';
import type { Operation } from '@rokka/gateway';
import type { Ec2Services } from '../ec2-context.ts';
import { ec2Failures } from '../ec2-failures.ts';
import { demandBuilt, scopeOf } from '../ec2-inputs.ts';
import { findSnapshot } from '../ec2-lookup.ts';
import { askFor } from '../ec2-permissions.ts';
import { recordPrefixes, type VolumeRecord } from '../ec2-records.ts';
import { changeSnapshot } from '../snapshot-facts.ts';
import { forget } from '../snapshot-steps.ts';

/**
 * Volumes that were made from it stay. One that is pending may be deleted too: where it is of a set, the others are finished.
 * @throws InvalidSnapshot.NotFound; InvalidSnapshot.InUse while a volume is being made of it
 */
export const deleteSnapshot = (services: Ec2Services): Operation<typeof DeleteSnapshotCommand> => ({
  resources: async ({ SnapshotId }, call) => [await askFor(services, call, ['snapshot', SnapshotId])],
  async handle(input, call) {
    const scope = scopeOf(call);
    const { store } = services;
    demandBuilt(input, ['SnapshotId']);
    const facts = await findSnapshot(services, scope, input.SnapshotId);
    const { id, kept } = facts.record;
    const volumes = await store.list<VolumeRecord>(recordPrefixes.volumes(scope));
    const made = volumes.find(({ wish }) => wish?.kept === kept);
    if (made)
      throw ec2Failures.snapshotInUse(
        `The snapshot ${id} is currently in use: volume ${made.id} is being made of it.`,
      );
    const isRemoved =
      facts.set && !facts.set.isFinished
        ? await changeSnapshot(store, scope, {
            facts,
            change: (found) => (found.deleted ? found : { ...found, deleted: true }),
          })
        : await forget({ ...services, scope }, facts);
    if (!isRemoved) throw ec2Failures.notFound('snapshot', [id]);
    return {};
  },
});
