import type { RebootDBClusterCommand } from '@aws-sdk/client-rds';
import type { Operation } from '@rokka/gateway';
import { demandClusterStatus, restart, settledCluster } from '../cluster-changes.ts';
import { rdsArn } from '../rds-arns.ts';
import type { RdsServices } from '../rds-context.ts';
import { rdsFailures } from '../rds-failures.ts';
import { findCluster } from '../rds-lookup.ts';
import { knownName, scopeOf } from '../rds-names.ts';

/** Its writer, which its standby goes with. @throws DBClusterNotFoundFault, InvalidDBClusterStateFault */
export const rebootDBCluster = (services: RdsServices): Operation<typeof RebootDBClusterCommand> => ({
  resources: (input, call) => [
    rdsArn(call, 'cluster', knownName('cluster', input.DBClusterIdentifier, call)),
  ],
  async handle(input, call) {
    const scope = scopeOf(call);
    const facts = await findCluster(services, scope, input.DBClusterIdentifier);
    demandClusterStatus(facts, ['available', 'backing-up']);
    if (facts.cluster.instance === undefined || facts.state?.phase !== 'available')
      throw rdsFailures.clusterState(`DbCluster ${facts.cluster.id} has no instance that runs.`);
    await restart(services, facts);
    return { DBCluster: await settledCluster(services, scope, facts) };
  },
});
