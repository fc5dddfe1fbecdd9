import type { RebootDBInstanceCommand } from '@aws-sdk/client-rds';
import type { Operation } from '@rokka/gateway';
import { demandInstanceStatus, restart, settledInstance } from '../cluster-changes.ts';
import { rdsArn } from '../rds-arns.ts';
import type { RdsServices } from '../rds-context.ts';
import { rdsFailures } from '../rds-failures.ts';
import { demandBuilt } from '../rds-inputs.ts';
import { findInstance } from '../rds-lookup.ts';
import { knownName, scopeOf } from '../rds-names.ts';

/** Of the standby nothing runs that clients would see: it stays as it is. @throws DBInstanceNotFoundFault, InvalidDBInstanceStateFault, InvalidParameterCombination */
export const rebootDBInstance = (services: RdsServices): Operation<typeof RebootDBInstanceCommand> => ({
  resources: (input, call) => [rdsArn(call, 'db', knownName('db', input.DBInstanceIdentifier, call))],
  async handle(input, call) {
    const scope = scopeOf(call);
    if (input.ForceFailover)
      throw rdsFailures.combination(
        'ForceFailover cannot be specified for an instance of a cluster: FailoverDBCluster does that.',
      );
    demandBuilt(input, ['DBInstanceIdentifier']);
    const found = await findInstance(services, scope, input.DBInstanceIdentifier);
    demandInstanceStatus(found.facts, found.instance, ['available']);
    if (found.facts.cluster.standby !== found.instance.id) await restart(services, found.facts);
    return { DBInstance: await settledInstance(services, scope, found) };
  },
});
