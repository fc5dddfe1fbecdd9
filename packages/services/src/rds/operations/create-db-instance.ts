import type { CreateDBInstanceCommand } from '@aws-sdk/client-rds';
import type { Operation } from '@rokka/gateway';
import { demandClusterStatus, settledInstance } from '../cluster-changes.ts';
import { isInstanceClass } from '../instance-sizes.ts';
import { rdsArn } from '../rds-arns.ts';
import type { RdsServices } from '../rds-context.ts';
import { rdsFailures } from '../rds-failures.ts';
import { resourceId } from '../rds-ids.ts';
import { checked, demandBuilt, demandEngine, tagRules } from '../rds-inputs.ts';
import { checkedTags } from '../../tags.ts';
import { findCluster } from '../rds-lookup.ts';
import { knownName, newName, scopeOf } from '../rds-names.ts';
import { type ClusterRecord, type InstanceRecord, recordKeys } from '../rds-records.ts';
import { drawMaintenanceWindow } from '../windows.ts';

/**
 * The writer of a cluster: its database shall run. Where it has one: its standby.
 * @throws DBInstanceAlreadyExistsFault, DBClusterNotFoundFault, InvalidDBClusterStateFault, InstanceQuotaExceeded for a third
 * one, and what inputs may not say
 */
export const createDBInstance = (services: RdsServices): Operation<typeof CreateDBInstanceCommand> => ({
  resources: (input, call) => [
    rdsArn(call, 'db', newName('db', input.DBInstanceIdentifier, 'DBInstanceIdentifier')),
    ...(input.DBClusterIdentifier === undefined
      ? []
      : [rdsArn(call, 'cluster', knownName('cluster', input.DBClusterIdentifier, call))]),
  ],
  conditions: ({ Engine = '', DBInstanceClass = '' }) => ({
    'rds:DatabaseEngine': Engine,
    'rds:DatabaseClass': DBInstanceClass,
  }),
  async handle(input, call) {
    const scope = scopeOf(call);
    const { store, clock, random } = services;
    const id = newName('db', input.DBInstanceIdentifier, 'DBInstanceIdentifier');
    demandBuilt(input, [
      'DBInstanceIdentifier',
      'DBClusterIdentifier',
      'DBInstanceClass',
      'Engine',
      'EngineVersion',
      'PreferredMaintenanceWindow',
      'PromotionTier',
      'Tags',
    ]);
    demandEngine(input);
    const instanceClass = demandClass(input.DBInstanceClass ?? '');
    if (input.DBClusterIdentifier === undefined)
      throw rdsFailures.combination('DBClusterIdentifier is required: there are instances of clusters only.');
    const facts = await findCluster(services, scope, input.DBClusterIdentifier);
    const { cluster } = facts;
    const record: InstanceRecord = {
      id,
      resourceId: resourceId(random, 'db'),
      cluster: cluster.id,
      clusterResourceId: cluster.resourceId,
      createdAtMs: clock.wallMs(),
      instanceClass,
      promotionTier: checked.promotionTier(input.PromotionTier ?? 1),
      maintenanceWindow: checked.maintenanceWindow(
        input.PreferredMaintenanceWindow ?? drawMaintenanceWindow(random),
      ),
      tags: checkedTags(input.Tags, tagRules),
    };
    if (await store.get(recordKeys.instance(scope, id))) throw rdsFailures.alreadyExists('db', id);
    const demandRoom = ({ instance, standby }: ClusterRecord) => {
      if (instance === undefined || standby === undefined || [instance, standby].includes(id)) return;
      throw rdsFailures.twoInstances(cluster.id, instance, standby);
    };
    demandRoom(cluster);
    demandClusterStatus(facts, ['available', 'backing-up', 'creating']);
    if (!(await store.create(recordKeys.instance(scope, id), record)))
      throw rdsFailures.alreadyExists('db', id);
    try {
      return { DBInstance: await settledInstance(services, scope, { facts, instance: record }) };
    } catch (error) {
      // Where it was not let in, others were, or the cluster goes.
      demandRoom((await findCluster(services, scope, cluster.id)).cluster);
      throw error;
    }
  },
});

/** @throws InvalidParameterValue */
export function demandClass(text: string): string {
  if (!isInstanceClass(text))
    throw rdsFailures.parameter(`Invalid DB Instance class: ${text.slice(0, 64)}. One is like db.r8g.large.`);
  return text;
}
