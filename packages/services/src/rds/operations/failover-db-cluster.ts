import type { FailoverDBClusterCommand } from '@aws-sdk/client-rds';
import type { Operation } from '@rokka/gateway';
import {
  changeCluster,
  demandClusterStatus,
  demandInstanceStatus,
  settledCluster,
} from '../cluster-changes.ts';
import { type ClusterFacts, standbyOf } from '../cluster-facts.ts';
import { failingOver } from '../cluster-members.ts';
import { rdsArn } from '../rds-arns.ts';
import type { RdsServices } from '../rds-context.ts';
import { rdsFailures } from '../rds-failures.ts';
import { findCluster } from '../rds-lookup.ts';
import { knownName, scopeOf } from '../rds-names.ts';
import type { InstanceRecord } from '../rds-records.ts';
import type { Scope } from '../../scope.ts';
import { isStandbyThere } from '../status.ts';

/**
 * The standby becomes the writer, and the writer the standby; the database is started again for it.
 * @throws DBClusterNotFoundFault, InvalidDBClusterStateFault also where there is no standby that waits,
 * DBInstanceNotFoundFault and InvalidDBInstanceStateFault for a target that is none
 */
export const failoverDBCluster = (services: RdsServices): Operation<typeof FailoverDBClusterCommand> => ({
  resources: (input, call) => [
    rdsArn(call, 'cluster', knownName('cluster', input.DBClusterIdentifier, call)),
  ],
  async handle(input, call) {
    const scope = scopeOf(call);
    const facts = await findCluster(services, scope, input.DBClusterIdentifier);
    const { cluster } = facts;
    demandTarget(facts, input.TargetDBInstanceIdentifier, scope);
    demandClusterStatus(facts, ['available', 'backing-up']);
    const standby = standbyOf(facts);
    if (!standby || !isStandbyThere(facts))
      throw rdsFailures.clusterState(
        `DB cluster ${cluster.id} has no standby that ${standby ? 'waits yet' : 'could take over'}. Its writer is started again by itself when it fails; RebootDBInstance does so on purpose.`,
      );
    const places = { writer: cluster.instance ?? '', standby: standby.id };
    const sinceMs = services.clock.wallMs();
    await changeCluster(services, scope, facts, (found) => {
      const next = found.failover || found.stopped ? undefined : failingOver(found, places, sinceMs);
      if (!next) throw rdsFailures.clusterState(`DbCluster ${found.id} has changed meanwhile: ask again.`);
      return next;
    });
    return { DBCluster: await settledCluster(services, scope, facts) };
  },
});

/** @throws DBInstanceNotFoundFault, InvalidDBInstanceStateFault where it is not the standby, or does not wait */
function demandTarget(facts: ClusterFacts, name: string | undefined, scope: Scope): void {
  if (name === undefined) return;
  const id = knownName('db', name, scope);
  const target: InstanceRecord | undefined = facts.instances.find((instance) => instance.id === id);
  if (!target) throw rdsFailures.notFound('db', id);
  if (id === facts.cluster.instance)
    throw rdsFailures.instanceState(
      `DB instance ${id} is the writer of DB cluster ${facts.cluster.id} already.`,
    );
  demandInstanceStatus(facts, target, ['available']);
}
