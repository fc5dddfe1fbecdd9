import type { DeleteDBClusterCommand } from '@aws-sdk/client-rds';
import { newSnapshotName } from '@rokka/databases';
import type { InputOf, Operation } from '@rokka/gateway';
import { changeCluster, settled } from '../cluster-changes.ts';
import { rdsArn } from '../rds-arns.ts';
import type { RdsServices } from '../rds-context.ts';
import type { Scope } from '../../scope.ts';
import { rdsFailures } from '../rds-failures.ts';
import { demandBuilt } from '../rds-inputs.ts';
import { findCluster } from '../rds-lookup.ts';
import { knownName, newName, scopeOf } from '../rds-names.ts';
import { type Deleting, recordKeys } from '../rds-records.ts';
import { clusterShape } from '../rds-shapes.ts';
import { demandBucket } from '../snapshot-making.ts';

/**
 * With everything in it, once its final snapshot is there, where one is wanted. If that fails, the cluster stays.
 * @throws DBClusterNotFoundFault, DBClusterSnapshotAlreadyExistsFault, InvalidDBClusterStateFault, InvalidParameterCombination
 */
export const deleteDBCluster = (services: RdsServices): Operation<typeof DeleteDBClusterCommand> => ({
  resources: ({ DBClusterIdentifier, FinalDBSnapshotIdentifier: final }, call) => [
    rdsArn(call, 'cluster', knownName('cluster', DBClusterIdentifier, call)),
    ...(final === undefined
      ? []
      : [rdsArn(call, 'cluster-snapshot', newName('cluster-snapshot', final, 'FinalDBSnapshotIdentifier'))]),
  ],
  async handle(input, call) {
    const scope = scopeOf(call);
    demandBuilt(input, [
      'DBClusterIdentifier',
      'SkipFinalSnapshot',
      'FinalDBSnapshotIdentifier',
      'DeleteAutomatedBackups',
    ]);
    const deleting = await deletingOf(services, scope, input);
    const facts = await findCluster(services, scope, input.DBClusterIdentifier);
    const leaving = facts.instances.filter((instance) => instance.deleting).map(({ id }) => id);
    await changeCluster(services, scope, facts, (found) => {
      if (found.deletionProtection)
        throw rdsFailures.combination(
          'Cannot delete protected Cluster, please disable deletion protection and try again.',
        );
      if (found.deleting || found.wish)
        throw rdsFailures.clusterState(
          `Cluster ${found.id} is ${found.deleting ? 'already being deleted' : 'still being created'}.`,
        );
      if ([found.instance, found.standby].some((named) => named !== undefined && !leaving.includes(named)))
        throw rdsFailures.clusterState(
          'Cluster cannot be deleted, it still contains DB instances in non-deleting state.',
        );
      return { ...found, deleting };
    });
    const now = await settled(services, scope, facts.cluster);
    const final = deleting.finalSnapshot;
    if (final && now && !now.cluster.deleting) throw rdsFailures.alreadyExists('cluster-snapshot', final.id);
    if (now?.finalSnapshot) await services.keeper.settleSnapshot(scope, now.finalSnapshot);
    const shown = now ?? { ...facts, cluster: { ...facts.cluster, deleting } };
    return { DBCluster: await clusterShape(services, scope, shown) };
  },
});

/** @throws DBClusterSnapshotAlreadyExistsFault, InvalidParameterCombination */
async function deletingOf(
  services: RdsServices,
  scope: Scope,
  input: InputOf<typeof DeleteDBClusterCommand>,
): Promise<Deleting> {
  const { store, clock, random } = services;
  const { SkipFinalSnapshot, FinalDBSnapshotIdentifier } = input;
  const sinceMs = clock.wallMs();
  if (SkipFinalSnapshot) {
    if (FinalDBSnapshotIdentifier !== undefined)
      throw rdsFailures.combination(
        'FinalDBSnapshotIdentifier cannot be specified when SkipFinalSnapshot is true.',
      );
    return { sinceMs };
  }
  if (FinalDBSnapshotIdentifier === undefined)
    throw rdsFailures.combination(
      'FinalDBSnapshotIdentifier is required unless SkipFinalSnapshot is specified.',
    );
  demandBucket(services, 'There can be no final snapshot');
  const id = newName('cluster-snapshot', FinalDBSnapshotIdentifier, 'FinalDBSnapshotIdentifier');
  if (await store.get(recordKeys.snapshot(scope, id)))
    throw rdsFailures.alreadyExists('cluster-snapshot', id);
  return { sinceMs, finalSnapshot: { id, kept: newSnapshotName(random) } };
}
