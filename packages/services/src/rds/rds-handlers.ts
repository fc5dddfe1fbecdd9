/** Every operation of RDS that Rokka has, by the name that callers use. The others answer that they are not built. */
import type * as rds from '@aws-sdk/client-rds';
import { type Operations, Pages } from '@rokka/gateway';
import { addTagsToResource } from './operations/add-tags-to-resource.ts';
import { copyDBClusterSnapshot } from './operations/copy-db-cluster-snapshot.ts';
import { createDBCluster } from './operations/create-db-cluster.ts';
import { createDBClusterSnapshot } from './operations/create-db-cluster-snapshot.ts';
import { createDBInstance } from './operations/create-db-instance.ts';
import { deleteDBCluster } from './operations/delete-db-cluster.ts';
import { deleteDBClusterSnapshot } from './operations/delete-db-cluster-snapshot.ts';
import { deleteDBInstance } from './operations/delete-db-instance.ts';
import { describeDBClusters } from './operations/describe-db-clusters.ts';
import { describeDBClusterSnapshots } from './operations/describe-db-cluster-snapshots.ts';
import { describeDBEngineVersions } from './operations/describe-db-engine-versions.ts';
import { describeDBInstances } from './operations/describe-db-instances.ts';
import { describeEvents } from './operations/describe-events.ts';
import { describeOrderableDBInstanceOptions } from './operations/describe-orderable-db-instance-options.ts';
import { failoverDBCluster } from './operations/failover-db-cluster.ts';
import { listTagsForResource } from './operations/list-tags-for-resource.ts';
import { modifyDBCluster } from './operations/modify-db-cluster.ts';
import { modifyDBInstance } from './operations/modify-db-instance.ts';
import { rebootDBCluster } from './operations/reboot-db-cluster.ts';
import { rebootDBInstance } from './operations/reboot-db-instance.ts';
import { removeTagsFromResource } from './operations/remove-tags-from-resource.ts';
import { restoreDBClusterFromSnapshot } from './operations/restore-db-cluster-from-snapshot.ts';
import { restoreDBClusterToPointInTime } from './operations/restore-db-cluster-to-point-in-time.ts';
import { startDBCluster } from './operations/start-db-cluster.ts';
import { stopDBCluster } from './operations/stop-db-cluster.ts';
import type { RdsContext, RdsServices } from './rds-context.ts';
import { RdsKeeper } from './rds-keeper.ts';
import { RecordStore } from '../record-store.ts';

const SECRET_BYTES = 32;

/** The table for `defineService`. Markers of lists count as long as the process runs that gave them. */
export function rdsOperations(context: RdsContext) {
  const services: RdsServices = {
    ...context,
    store: new RecordStore({ ...context, service: 'rds' }),
    keeper: new RdsKeeper(context),
    pages: new Pages({ secret: Buffer.from(context.random.hex(SECRET_BYTES), 'hex') }),
  };
  return {
    AddTagsToResource: addTagsToResource(services),
    CopyDBClusterSnapshot: copyDBClusterSnapshot(services),
    CreateDBCluster: createDBCluster(services),
    CreateDBClusterSnapshot: createDBClusterSnapshot(services),
    CreateDBInstance: createDBInstance(services),
    DeleteDBCluster: deleteDBCluster(services),
    DeleteDBClusterSnapshot: deleteDBClusterSnapshot(services),
    DeleteDBInstance: deleteDBInstance(services),
    DescribeDBClusters: describeDBClusters(services),
    DescribeDBClusterSnapshots: describeDBClusterSnapshots(services),
    DescribeDBEngineVersions: describeDBEngineVersions(services),
    DescribeDBInstances: describeDBInstances(services),
    DescribeEvents: describeEvents(services),
    DescribeOrderableDBInstanceOptions: describeOrderableDBInstanceOptions(services),
    FailoverDBCluster: failoverDBCluster(services),
    ListTagsForResource: listTagsForResource(services),
    ModifyDBCluster: modifyDBCluster(services),
    ModifyDBInstance: modifyDBInstance(services),
    RebootDBCluster: rebootDBCluster(services),
    RebootDBInstance: rebootDBInstance(services),
    RemoveTagsFromResource: removeTagsFromResource(services),
    RestoreDBClusterFromSnapshot: restoreDBClusterFromSnapshot(services),
    RestoreDBClusterToPointInTime: restoreDBClusterToPointInTime(services),
    StartDBCluster: startDBCluster(services),
    StopDBCluster: stopDBCluster(services),
  } satisfies Operations<typeof rds>;
}
