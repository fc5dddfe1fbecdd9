import type { DeleteDBClusterSnapshotCommand } from '@aws-sdk/client-rds';
import type { Operation } from '@rokka/gateway';
import { rdsArn } from '../rds-arns.ts';
import type { RdsServices } from '../rds-context.ts';
import { tell } from '../rds-events.ts';
import { rdsFailures } from '../rds-failures.ts';
import { findSnapshot } from '../rds-lookup.ts';
import { knownName, scopeOf } from '../rds-names.ts';
import {
  type ClusterRecord,
  type ClusterSnapshotRecord,
  recordKeys,
  recordPrefixes,
} from '../rds-records.ts';
import { snapshotShape } from '../rds-shapes.ts';

/**
 * Clusters that were restored from it stay. One that is being created may be deleted too.
 * @throws DBClusterSnapshotNotFoundFault; InvalidDBClusterSnapshotStateFault while a cluster is being made of it
 */
export const deleteDBClusterSnapshot = (
  services: RdsServices,
): Operation<typeof DeleteDBClusterSnapshotCommand> => ({
  resources: (input, call) => [
    rdsArn(call, 'cluster-snapshot', knownName('cluster-snapshot', input.DBClusterSnapshotIdentifier, call)),
  ],
  async handle(input, call) {
    const scope = scopeOf(call);
    const { store, snapshots } = services;
    const found = await findSnapshot(services, scope, input.DBClusterSnapshotIdentifier);
    const { id, kept } = found.record;
    const arn = rdsArn(scope, 'cluster-snapshot', id);
    const clusters = await store.list<ClusterRecord>(recordPrefixes.clusters(scope));
    const made = clusters.find(
      ({ wish, restoredFrom }) => wish && restoredFrom?.kind === 'snapshot' && restoredFrom.arn === arn,
    );
    if (made) throw rdsFailures.snapshotState(`DB cluster ${made.id} is being restored from ${id}.`);
    const { changed } = await store.change<ClusterSnapshotRecord>(recordKeys.snapshot(scope, id), (record) =>
      record?.kept === kept ? undefined : record,
    );
    if (!changed) throw rdsFailures.notFound('cluster-snapshot', id);
    // No record names it any more: were this cut short here, the keeper would remove it.
    await snapshots.remove(kept);
    await tell(
      { ...services, scope },
      ['db-cluster-snapshot', id],
      ['Deleted manual cluster snapshot', 'notification'],
    );
    return { DBClusterSnapshot: snapshotShape(scope, found) };
  },
});
