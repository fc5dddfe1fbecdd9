import type { DescribeDBClustersCommand } from '@aws-sdk/client-rds';
import type { Operation } from '@rokka/gateway';
import { type ClusterFacts, readScope } from '../cluster-facts.ts';
import { ENGINE } from '../engine-versions.ts';
import { rdsArn } from '../rds-arns.ts';
import type { RdsServices } from '../rds-context.ts';
import type { Scope } from '../../scope.ts';
import { filtered, type FilterTable, pageOf } from '../rds-lists.ts';
import { findCluster } from '../rds-lookup.ts';
import { knownName, scopeOf } from '../rds-names.ts';
import { clusterShape } from '../rds-shapes.ts';

/** @throws DBClusterNotFoundFault */
export const describeDBClusters = (services: RdsServices): Operation<typeof DescribeDBClustersCommand> => ({
  resources: ({ DBClusterIdentifier: name }, call) => [
    rdsArn(call, 'cluster', name ? knownName('cluster', name, call) : '*'),
  ],
  async handle(input, call) {
    const scope = scopeOf(call);
    const { DBClusterIdentifier: name } = input;
    const all = name
      ? [await findCluster(services, scope, name)]
      : (await readScope(services, scope)).clusters;
    const { items, Marker } = pageOf(services, {
      items: filtered(all, input.Filters, filtersIn(scope)),
      keyOf: ({ cluster }) => cluster.id,
      input,
      scope,
      asked: ['clusters', name],
    });
    const DBClusters = await Promise.all(items.map((facts) => clusterShape(services, scope, facts)));
    return { DBClusters, ...(Marker !== undefined && { Marker }) };
  },
});

const filtersIn = (scope: Scope): FilterTable<ClusterFacts> => ({
  'db-cluster-id': ({ cluster }) => [cluster.id, rdsArn(scope, 'cluster', cluster.id)],
  'db-cluster-resource-id': ({ cluster }) => [cluster.resourceId],
  engine: () => [ENGINE],
  // What nobody has.
  'clone-group-id': () => [],
  domain: () => [],
});
