import type { FailoverDBClusterCommand } from '@aws-sdk/client-rds';
import type { Operation } from '@rokka/gateway';
import { rdsArn } from '../rds-arns.ts';
import type { RdsServices } from '../rds-context.ts';
import { rdsFailures } from '../rds-failures.ts';
import { findCluster } from '../rds-lookup.ts';
import { knownName, scopeOf } from '../rds-names.ts';

/**
 * Promotes a reader, and there are none: refused, as for a cluster of one instance in Aurora.
 * @throws DBClusterNotFoundFault, InvalidDBClusterStateFault
 */
export const failoverDBCluster = (services: RdsServices): Operation<typeof FailoverDBClusterCommand> => ({
  resources: (input, call) => [
    rdsArn(call, 'cluster', knownName('cluster', input.DBClusterIdentifier, call)),
  ],
  async handle(input, call) {
    const { cluster } = await findCluster(services, scopeOf(call), input.DBClusterIdentifier);
    throw rdsFailures.clusterState(
      `DB cluster ${cluster.id} has no reader that could take over. Its writer is started again by itself when it fails; RebootDBInstance does so on purpose.`,
    );
  },
});
