import type { StopDBClusterCommand } from '@aws-sdk/client-rds';
import type { Operation } from '@rokka/gateway';
import { changeCluster, demandClusterStatus, settledCluster } from '../cluster-changes.ts';
import { rdsArn } from '../rds-arns.ts';
import type { RdsServices } from '../rds-context.ts';
import { rdsFailures } from '../rds-failures.ts';
import { findCluster } from '../rds-lookup.ts';
import { knownName, scopeOf } from '../rds-names.ts';

/** It stands still until StartDBCluster. @throws DBClusterNotFoundFault, InvalidDBClusterStateFault */
export const stopDBCluster = (services: RdsServices): Operation<typeof StopDBClusterCommand> => ({
  resources: (input, call) => [
    rdsArn(call, 'cluster', knownName('cluster', input.DBClusterIdentifier, call)),
  ],
  async handle(input, call) {
    const scope = scopeOf(call);
    const facts = await findCluster(services, scope, input.DBClusterIdentifier);
    demandClusterStatus(facts, ['available']);
    await changeCluster(services, scope, facts, (found) => {
      if (found.instance === undefined)
        throw rdsFailures.clusterState(
          `DbCluster ${found.id} has no instance: nothing runs that could stop.`,
        );
      if (found.failover) throw rdsFailures.clusterState(`DbCluster ${found.id} is in failing-over state.`);
      return { ...found, stopped: true };
    });
    return { DBCluster: await settledCluster(services, scope, facts) };
  },
});
