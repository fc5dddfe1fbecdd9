/** What answers show of clusters, instances and snapshots. A member that is not here is not so here (docs/rds.md). */
import type { DBCluster, DBClusterSnapshot, DBInstance } from '@aws-sdk/client-rds';
import { isCoded } from '@rokka/kernel';
import { type ClusterFacts, type SnapshotFacts, standbyOf, writerOf } from './cluster-facts.ts';
import { DEFAULT_PARAMETER_GROUP, ENGINE } from './engine-versions.ts';
import { rdsArn } from './rds-arns.ts';
import { type Scope, zonesOf } from '../scope.ts';
import type { Tag } from '../tags.ts';
import type { RdsContext } from './rds-context.ts';
import type { InstanceRecord } from './rds-records.ts';
import { clusterStatus, instanceStatus, isPasswordNew, snapshotStatus } from './status.ts';

const DAY_MS = 86_400_000;
/** In GiB. As in Aurora: it grows by itself, and no size is set aside. */
const ALLOCATED_STORAGE = 1;

/** Times between which a cluster can be restored. */
export interface Restorable {
  readonly earliestMs: number;
  readonly latestMs: number;
}

export async function restorable(
  { points }: Pick<RdsContext, 'points'>,
  { database, cluster, nowMs }: ClusterFacts,
): Promise<Restorable | undefined> {
  if (!database) return undefined;
  try {
    const span = await points.span(database.volumeId);
    const firstMs = nowMs - cluster.retentionDays * DAY_MS;
    if (!span || span.lastMs < firstMs) return undefined;
    return { earliestMs: Math.max(span.firstMs, firstMs), latestMs: span.lastMs };
  } catch (error) {
    // An archive that cannot be read promises nothing; it does not hide the cluster.
    if (isCoded(error)) return undefined;
    throw error;
  }
}

/** With its times, which are in the archive. */
export async function clusterShape(
  of: Pick<RdsContext, 'points'>,
  scope: Scope,
  facts: ClusterFacts,
): Promise<DBCluster> {
  const { cluster, database, state } = facts;
  const times = await restorable(of, facts);
  const endpoint = state?.endpoint;
  const members = [writerOf(facts), standbyOf(facts)].filter((member) => member !== undefined);
  const isNew = database && isPasswordNew(database, state);
  return {
    DBClusterIdentifier: cluster.id,
    DBClusterArn: rdsArn(scope, 'cluster', cluster.id),
    DbClusterResourceId: cluster.resourceId,
    Status: clusterStatus(facts),
    Engine: ENGINE,
    EngineVersion: cluster.engineVersion,
    EngineMode: 'provisioned',
    ...(cluster.databaseName !== undefined && { DatabaseName: cluster.databaseName }),
    MasterUsername: cluster.userName,
    ClusterCreateTime: new Date(cluster.createdAtMs),
    ...(endpoint && { Endpoint: endpoint.host, ReaderEndpoint: endpoint.host }),
    ...(database && { Port: database.port }),
    DBClusterMembers: members.map(({ id, promotionTier }) => ({
      DBInstanceIdentifier: id,
      IsClusterWriter: id === cluster.instance,
      DBClusterParameterGroupStatus: 'in-sync',
      PromotionTier: promotionTier,
    })),
    AvailabilityZones: zonesOf(scope),
    MultiAZ: false,
    AllocatedStorage: ALLOCATED_STORAGE,
    StorageEncrypted: false,
    DBClusterParameterGroup: DEFAULT_PARAMETER_GROUP,
    BackupRetentionPeriod: cluster.retentionDays,
    PreferredBackupWindow: cluster.backupWindow,
    PreferredMaintenanceWindow: cluster.maintenanceWindow,
    ...(times && {
      EarliestRestorableTime: new Date(times.earliestMs),
      LatestRestorableTime: new Date(times.latestMs),
    }),
    ...(isNew && { PendingModifiedValues: { MasterUserPassword: '****' } }),
    DeletionProtection: cluster.deletionProtection,
    CopyTagsToSnapshot: cluster.copyTagsToSnapshot,
    IAMDatabaseAuthenticationEnabled: false,
    HttpEndpointEnabled: false,
    AutoMinorVersionUpgrade: false,
    CrossAccountClone: false,
    ReadReplicaIdentifiers: [],
    AssociatedRoles: [],
    VpcSecurityGroups: [],
    TagList: tagShapes(cluster.tags),
  };
}

export function instanceShape(scope: Scope, facts: ClusterFacts, instance: InstanceRecord): DBInstance {
  const { cluster, database, state } = facts;
  const endpoint = cluster.instance === instance.id ? state?.endpoint : undefined;
  return {
    DBInstanceIdentifier: instance.id,
    DBInstanceArn: rdsArn(scope, 'db', instance.id),
    DbiResourceId: instance.resourceId,
    DBClusterIdentifier: cluster.id,
    DBInstanceClass: instance.instanceClass,
    DBInstanceStatus: instanceStatus(facts, instance),
    Engine: ENGINE,
    EngineVersion: cluster.engineVersion,
    LicenseModel: 'postgresql-license',
    ...(cluster.databaseName !== undefined && { DBName: cluster.databaseName }),
    MasterUsername: cluster.userName,
    InstanceCreateTime: new Date(instance.createdAtMs),
    ...(endpoint && { Endpoint: { Address: endpoint.host, Port: endpoint.port } }),
    ...(database && { DbInstancePort: database.port }),
    PendingModifiedValues:
      instance.pendingClass === undefined ? {} : { DBInstanceClass: instance.pendingClass },
    AllocatedStorage: ALLOCATED_STORAGE,
    StorageType: 'aurora',
    StorageEncrypted: false,
    MultiAZ: false,
    PubliclyAccessible: false,
    PromotionTier: instance.promotionTier,
    BackupRetentionPeriod: cluster.retentionDays,
    PreferredBackupWindow: cluster.backupWindow,
    PreferredMaintenanceWindow: instance.maintenanceWindow,
    AutoMinorVersionUpgrade: false,
    CopyTagsToSnapshot: false,
    DeletionProtection: false,
    IAMDatabaseAuthenticationEnabled: false,
    PerformanceInsightsEnabled: false,
    MonitoringInterval: 0,
    DBParameterGroups: [{ DBParameterGroupName: DEFAULT_PARAMETER_GROUP, ParameterApplyStatus: 'in-sync' }],
    DBSecurityGroups: [],
    VpcSecurityGroups: [],
    ReadReplicaDBInstanceIdentifiers: [],
    TagList: tagShapes(instance.tags),
  };
}

export function snapshotShape(scope: Scope, facts: SnapshotFacts): DBClusterSnapshot {
  const { record } = facts;
  const { cluster } = record;
  const status = snapshotStatus(facts);
  return {
    DBClusterSnapshotIdentifier: record.id,
    DBClusterSnapshotArn: rdsArn(scope, 'cluster-snapshot', record.id),
    DBClusterIdentifier: cluster.id,
    DbClusterResourceId: cluster.resourceId,
    Status: status,
    PercentProgress: status === 'available' ? 100 : 0,
    SnapshotType: 'manual',
    SnapshotCreateTime: new Date(record.createdAtMs),
    ClusterCreateTime: new Date(cluster.createdAtMs),
    Engine: ENGINE,
    EngineVersion: cluster.engineVersion,
    EngineMode: 'provisioned',
    LicenseModel: 'postgresql-license',
    MasterUsername: cluster.userName,
    Port: cluster.port,
    AllocatedStorage: ALLOCATED_STORAGE,
    AvailabilityZones: zonesOf(scope),
    StorageType: 'aurora',
    StorageEncrypted: false,
    BackupRetentionPeriod: cluster.retentionDays,
    PreferredBackupWindow: cluster.backupWindow,
    IAMDatabaseAuthenticationEnabled: false,
    ...(record.copyOf && { SourceDBClusterSnapshotArn: record.copyOf.arn }),
    TagList: tagShapes(record.tags),
  };
}

const tagShapes = (tags: readonly Tag[]) => tags.map(({ Key, Value }) => ({ Key, Value }));
