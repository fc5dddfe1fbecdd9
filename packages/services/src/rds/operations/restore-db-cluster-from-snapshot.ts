import type { RestoreDBClusterFromSnapshotCommand } from '@aws-sdk/client-rds';
import { must } from '@rokka/kernel';
import type { Operation } from '@rokka/gateway';
import { CLUSTER_MEMBERS, makeCluster } from '../cluster-making.ts';
import { rdsArn } from '../rds-arns.ts';
import type { RdsServices } from '../rds-context.ts';
import { rdsFailures } from '../rds-failures.ts';
import { demandBuilt, demandEngine } from '../rds-inputs.ts';
import { findSnapshot } from '../rds-lookup.ts';
import { knownName, newName, scopeOf } from '../rds-names.ts';
import { snapshotStatus } from '../status.ts';

/**
 * A new cluster with the data, the user and the password of the snapshot, and without an instance.
 * @throws DBClusterAlreadyExistsFault, DBClusterSnapshotNotFoundFault, InvalidDBClusterSnapshotStateFault, InvalidRestoreFault,
 * and what inputs may not say
 */
export const restoreDBClusterFromSnapshot = (
  services: RdsServices,
): Operation<typeof RestoreDBClusterFromSnapshotCommand> => ({
  resources: (input, call) => [
    rdsArn(call, 'cluster', newName('cluster', input.DBClusterIdentifier, 'DBClusterIdentifier')),
    rdsArn(call, 'cluster-snapshot', knownName('cluster-snapshot', input.SnapshotIdentifier, call)),
  ],
  conditions: ({ Engine = '' }) => ({ 'rds:DatabaseEngine': Engine }),
  async handle(input, call) {
    const scope = scopeOf(call);
    const id = newName('cluster', input.DBClusterIdentifier, 'DBClusterIdentifier');
    demandBuilt(input, [
      ...CLUSTER_MEMBERS,
      'DBClusterIdentifier',
      'SnapshotIdentifier',
      'Engine',
      'EngineVersion',
    ]);
    demandEngine(input);
    const source = await findSnapshot(services, scope, input.SnapshotIdentifier);
    const { record, kept } = source;
    if (snapshotStatus(source) !== 'available' || !kept)
      throw rdsFailures.snapshotState(
        `The snapshot ${record.id} is ${snapshotStatus(source)}, not available.`,
      );
    const password = await services.snapshots.password(kept.name);
    if (password === undefined)
      throw rdsFailures.restore(`The password in the snapshot ${record.id} is not known here.`);
    const { userName, databaseName, retentionDays, backupWindow } = record.cluster;
    const cluster = {
      id,
      userName,
      databaseName,
      inherited: { retentionDays, backupWindow },
      restoredFrom: { kind: 'snapshot', arn: rdsArn(scope, 'cluster-snapshot', record.id) } as const,
      wish: {
        password,
        source: { archive: kept.volumeId, lsn: must(kept.lsn), materialise: true },
        kept: kept.name,
      },
    };
    return { DBCluster: await makeCluster(services, scope, { input, cluster }) };
  },
});
