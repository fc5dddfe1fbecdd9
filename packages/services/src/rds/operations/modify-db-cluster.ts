import type { ModifyDBClusterCommand } from '@aws-sdk/client-rds';
import type { InputOf, Operation } from '@rokka/gateway';
import { changeCluster, demandClusterStatus, SETTLED, settledCluster } from '../cluster-changes.ts';
import { rdsArn } from '../rds-arns.ts';
import type { RdsServices } from '../rds-context.ts';
import { asRdsFailure } from '../rds-failures.ts';
import { tell } from '../rds-events.ts';
import { checked, demandBuilt, demandEngine } from '../rds-inputs.ts';
import { findCluster } from '../rds-lookup.ts';
import { knownName, scopeOf } from '../rds-names.ts';
import type { ClusterRecord } from '../rds-records.ts';

/**
 * Everything counts at once, as most of it does in RDS; another port with a restart.
 * @throws DBClusterNotFoundFault, InvalidDBClusterStateFault, and what inputs may not say
 */
export const modifyDBCluster = (services: RdsServices): Operation<typeof ModifyDBClusterCommand> => ({
  resources: (input, call) => [
    rdsArn(call, 'cluster', knownName('cluster', input.DBClusterIdentifier, call)),
  ],
  async handle(input, call) {
    const scope = scopeOf(call);
    const { databases } = services;
    demandBuilt(input, [
      'DBClusterIdentifier',
      'ApplyImmediately',
      'BackupRetentionPeriod',
      'CopyTagsToSnapshot',
      'DeletionProtection',
      'EngineVersion',
      'MasterUserPassword',
      'Port',
      'PreferredBackupWindow',
      'PreferredMaintenanceWindow',
    ]);
    demandEngine({ EngineVersion: input.EngineVersion });
    const { Port, MasterUserPassword } = input;
    const port = Port === undefined ? undefined : checked.port(Port);
    const password = MasterUserPassword === undefined ? undefined : checked.password(MasterUserPassword);
    const part = changesOf(input);
    const facts = await findCluster(services, scope, input.DBClusterIdentifier);
    const { database } = facts.cluster;
    demandClusterStatus(facts, SETTLED);
    try {
      // First what may be refused.
      if (port !== undefined) await databases.change(database, { port }, { restart: true });
      await changeCluster(services, scope, facts, (found) => ({ ...found, ...part }));
      if (password !== undefined) await databases.setPassword(database, password);
    } catch (error) {
      throw asRdsFailure(error);
    }
    if (password !== undefined)
      await tell(
        { ...services, scope },
        ['db-cluster', facts.cluster.id],
        ['Resetting the master password', 'configuration change'],
      );
    return { DBCluster: await settledCluster(services, scope, facts) };
  },
});

/** Of the record. */
function changesOf(input: InputOf<typeof ModifyDBClusterCommand>): Partial<ClusterRecord> {
  const { BackupRetentionPeriod, PreferredBackupWindow, PreferredMaintenanceWindow } = input;
  const { DeletionProtection, CopyTagsToSnapshot } = input;
  return {
    ...(BackupRetentionPeriod !== undefined && {
      retentionDays: checked.retentionDays(BackupRetentionPeriod),
    }),
    ...(PreferredBackupWindow !== undefined && { backupWindow: checked.backupWindow(PreferredBackupWindow) }),
    ...(PreferredMaintenanceWindow !== undefined && {
      maintenanceWindow: checked.maintenanceWindow(PreferredMaintenanceWindow),
    }),
    ...(DeletionProtection !== undefined && { deletionProtection: DeletionProtection }),
    ...(CopyTagsToSnapshot !== undefined && { copyTagsToSnapshot: CopyTagsToSnapshot }),
  };
}
