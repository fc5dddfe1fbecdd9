import type { StartDBClusterCommand } from '@aws-sdk/client-rds';
import type { Operation } from '@rokka/gateway';
import { changeCluster, demandClusterStatus, settledCluster } from '../cluster-changes.ts';
import { rdsArn } from '../rds-arns.ts';
import type { RdsServices } from '../rds-context.ts';
import { findCluster } from '../rds-lookup.ts';
import { knownName, scopeOf } from '../rds-names.ts';

/** @throws DBClusterNotFoundFault, InvalidDBClusterStateFault where it is not stopped */
export const startDBCluster = (services: RdsServices): Operation<typeof StartDBClusterCommand> => ({
  resources: (input, call) => [
    rdsArn(call, 'cluster', knownName('cluster', input.DBClusterIdentifier, call)),
  ],
  async handle(input, call) {
    const scope = scopeOf(call);
    const facts = await findCluster(services, scope, input.DBClusterIdentifier);
    demandClusterStatus(facts, ['stopped']);
    await changeCluster(services, scope, facts, (found) => {
      const { stopped, ...rest } = found;
      return stopped ? rest : found;
    });
    return { DBCluster: await settledCluster(services, scope, facts) };
  },
});
