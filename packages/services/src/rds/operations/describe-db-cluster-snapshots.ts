import type { DescribeDBClusterSnapshotsCommand } from '@aws-sdk/client-rds';
import type { Operation } from '@rokka/gateway';
import { readScope, type SnapshotFacts } from '../cluster-facts.ts';
import { ENGINE } from '../engine-versions.ts';
import { rdsArn } from '../rds-arns.ts';
import type { RdsServices } from '../rds-context.ts';
import type { Scope } from '../../scope.ts';
import { rdsFailures } from '../rds-failures.ts';
import { filtered, type FilterTable, pageOf } from '../rds-lists.ts';
import { findSnapshot } from '../rds-lookup.ts';
import { knownName, scopeOf } from '../rds-names.ts';
import { snapshotShape } from '../rds-shapes.ts';

/** Those that there may be; all here are manual. */
const TYPES = ['automated', 'manual', 'shared', 'public', 'awsbackup'];

/** @throws DBClusterSnapshotNotFoundFault */
export const describeDBClusterSnapshots = (
  services: RdsServices,
): Operation<typeof DescribeDBClusterSnapshotsCommand> => ({
  resources: ({ DBClusterSnapshotIdentifier: name }, call) => [
    rdsArn(call, 'cluster-snapshot', name ? knownName('cluster-snapshot', name, call) : '*'),
  ],
  async handle(input, call) {
    const scope = scopeOf(call);
    const {
      DBClusterSnapshotIdentifier: name,
      DBClusterIdentifier,
      DbClusterResourceId,
      SnapshotType,
    } = input;
    if (SnapshotType !== undefined && !TYPES.includes(SnapshotType))
      throw rdsFailures.parameter(`Invalid snapshot type: ${SnapshotType.slice(0, 64)}`);
    const cluster = DBClusterIdentifier && knownName('cluster', DBClusterIdentifier, scope);
    const all = name
      ? [await findSnapshot(services, scope, name)]
      : (await readScope(services, scope)).snapshots;
    const asked = all.filter(
      ({ record }) =>
        (SnapshotType ?? 'manual') === 'manual' &&
        (!cluster || record.cluster.id === cluster) &&
        (!DbClusterResourceId || record.cluster.resourceId === DbClusterResourceId),
    );
    const { items, Marker } = pageOf(services, {
      items: filtered(asked, input.Filters, filtersIn(scope)),
      keyOf: ({ record }) => record.id,
      input,
      scope,
      asked: ['cluster-snapshots', name, cluster, DbClusterResourceId, SnapshotType],
    });
    const DBClusterSnapshots = items.map((facts) => snapshotShape(scope, facts));
    return { DBClusterSnapshots, ...(Marker !== undefined && { Marker }) };
  },
});

const filtersIn = (scope: Scope): FilterTable<SnapshotFacts> => ({
  'db-cluster-id': ({ record: { cluster } }) => [cluster.id, rdsArn(scope, 'cluster', cluster.id)],
  'db-cluster-snapshot-id': ({ record }) => [record.id, rdsArn(scope, 'cluster-snapshot', record.id)],
  'snapshot-type': () => ['manual'],
  engine: () => [ENGINE],
});
