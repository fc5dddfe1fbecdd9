import type { DeleteDBInstanceCommand } from '@aws-sdk/client-rds';
import type { Operation } from '@rokka/gateway';
import { changeInstance, settled } from '../cluster-changes.ts';
import { readCluster } from '../cluster-facts.ts';
import { rdsArn } from '../rds-arns.ts';
import type { RdsServices } from '../rds-context.ts';
import { rdsFailures } from '../rds-failures.ts';
import { demandBuilt } from '../rds-inputs.ts';
import { findInstance } from '../rds-lookup.ts';
import { knownName, scopeOf } from '../rds-names.ts';
import { instanceShape } from '../rds-shapes.ts';

/**
 * Of the writer: the standby takes over where there is one. Else the database stands still; the data stays: it is the cluster's.
 * @throws DBInstanceNotFoundFault, InvalidDBInstanceStateFault, InvalidParameterCombination
 */
export const deleteDBInstance = (services: RdsServices): Operation<typeof DeleteDBInstanceCommand> => ({
  resources: (input, call) => [rdsArn(call, 'db', knownName('db', input.DBInstanceIdentifier, call))],
  async handle(input, call) {
    const scope = scopeOf(call);
    if (input.FinalDBSnapshotIdentifier !== undefined)
      throw rdsFailures.combination(
        'FinalDBSnapshotIdentifier cannot be specified for an instance of a cluster: the cluster keeps the data.',
      );
    demandBuilt(input, ['DBInstanceIdentifier', 'SkipFinalSnapshot', 'DeleteAutomatedBackups']);
    const { facts, instance } = await findInstance(services, scope, input.DBInstanceIdentifier);
    const deleting = { sinceMs: services.clock.wallMs() };
    await changeInstance(services, scope, instance, (found) => {
      if (found.deleting) throw rdsFailures.instanceState(`Instance ${found.id} is already being deleted.`);
      return { ...found, deleting };
    });
    await settled(services, scope, facts.cluster);
    const now = (await readCluster(services, scope, facts.cluster.id)) ?? facts;
    return { DBInstance: instanceShape(scope, now, { ...instance, deleting }) };
  },
});
