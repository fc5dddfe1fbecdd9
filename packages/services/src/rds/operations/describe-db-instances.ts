import type { DescribeDBInstancesCommand } from '@aws-sdk/client-rds';
import type { Operation } from '@rokka/gateway';
import { type ClusterFacts, readScope } from '../cluster-facts.ts';
import { ENGINE } from '../engine-versions.ts';
import { rdsArn } from '../rds-arns.ts';
import type { RdsServices } from '../rds-context.ts';
import type { Scope } from '../../scope.ts';
import { filtered, type FilterTable, pageOf } from '../rds-lists.ts';
import { findInstance } from '../rds-lookup.ts';
import { knownName, scopeOf } from '../rds-names.ts';
import type { InstanceRecord } from '../rds-records.ts';
import { instanceShape } from '../rds-shapes.ts';

interface Found {
  readonly facts: ClusterFacts;
  readonly instance: InstanceRecord;
}

/** @throws DBInstanceNotFoundFault */
export const describeDBInstances = (services: RdsServices): Operation<typeof DescribeDBInstancesCommand> => ({
  resources: ({ DBInstanceIdentifier: name }, call) => [
    rdsArn(call, 'db', name ? knownName('db', name, call) : '*'),
  ],
  async handle(input, call) {
    const scope = scopeOf(call);
    const { DBInstanceIdentifier: name } = input;
    const all = name ? [await findInstance(services, scope, name)] : await everyInstance(services, scope);
    const { items, Marker } = pageOf(services, {
      items: filtered(all, input.Filters, filtersIn(scope)),
      keyOf: ({ instance }) => instance.id,
      input,
      scope,
      asked: ['instances', name],
    });
    const DBInstances = items.map(({ facts, instance }) => instanceShape(scope, facts, instance));
    return { DBInstances, ...(Marker !== undefined && { Marker }) };
  },
});

/** In the order of their names. */
async function everyInstance(services: RdsServices, scope: Scope): Promise<Found[]> {
  const { clusters } = await readScope(services, scope);
  return clusters
    .flatMap((facts) => facts.instances.map((instance) => ({ facts, instance })))
    .sort((a, b) => (a.instance.id < b.instance.id ? -1 : 1));
}

const filtersIn = (scope: Scope): FilterTable<Found> => ({
  'db-cluster-id': ({ instance }) => [instance.cluster, rdsArn(scope, 'cluster', instance.cluster)],
  'db-instance-id': ({ instance }) => [instance.id, rdsArn(scope, 'db', instance.id)],
  'dbi-resource-id': ({ instance }) => [instance.resourceId],
  engine: () => [ENGINE],
  // What nobody has.
  domain: () => [],
});
