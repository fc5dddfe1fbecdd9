/** A cluster is made: by one write, which says all of it, and then by whoever carries that out. */
import type { DBCluster } from '@aws-sdk/client-rds';
import type { ClusterFacts } from './cluster-facts.ts';
import { ENGINE_VERSION } from './engine-versions.ts';
import type { RdsServices } from './rds-context.ts';
import type { Scope } from '../scope.ts';
import { asRdsFailure, rdsFailures } from './rds-failures.ts';
import { databaseName, resourceId } from './rds-ids.ts';
import { checked, tagRules } from './rds-inputs.ts';
import { checkedTags, type GivenTag } from '../tags.ts';
import { type ClusterRecord, type DatabaseWish, recordKeys, type RestoredFrom } from './rds-records.ts';
import { clusterShape } from './rds-shapes.ts';
import { drawBackupWindow, drawMaintenanceWindow } from './windows.ts';

/** What CreateDBCluster and both ways of restoring have in common. */
export interface ClusterInput {
  readonly BackupRetentionPeriod?: number | undefined;
  readonly PreferredBackupWindow?: string | undefined;
  readonly PreferredMaintenanceWindow?: string | undefined;
  readonly DeletionProtection?: boolean | undefined;
  readonly CopyTagsToSnapshot?: boolean | undefined;
  readonly Port?: number | undefined;
  readonly Tags?: GivenTag[] | undefined;
}

export const CLUSTER_MEMBERS = [
  'BackupRetentionPeriod',
  'PreferredBackupWindow',
  'DeletionProtection',
  'CopyTagsToSnapshot',
  'Port',
  'Tags',
] as const;

export interface NewCluster {
  readonly id: string;
  readonly userName: string;
  readonly databaseName: string | undefined;
  readonly wish: DatabaseWish;
  readonly restoredFrom?: RestoredFrom;
  /** Of what it is restored from, unless the input says otherwise. */
  readonly inherited?: Partial<Pick<ClusterRecord, 'retentionDays' | 'backupWindow' | 'maintenanceWindow'>>;
}

const RETENTION_DAYS = 1;

/** @throws DBClusterAlreadyExistsFault, InvalidParameterValue, InvalidParameterCombination */
export async function makeCluster(
  services: RdsServices,
  scope: Scope,
  { input, cluster }: { input: ClusterInput; cluster: NewCluster },
): Promise<DBCluster> {
  const { store, keeper } = services;
  const record = recordOf(services, input, cluster);
  await store.enter(scope);
  if (!(await store.create(recordKeys.cluster(scope, record.id), record)))
    throw rdsFailures.alreadyExists('cluster', record.id);
  let facts: ClusterFacts | undefined;
  try {
    facts = await keeper.settleCluster(scope, record.id);
  } catch (error) {
    throw asRdsFailure(error);
  }
  if (facts?.cluster.resourceId !== record.resourceId) throw rdsFailures.notFound('cluster', record.id);
  return clusterShape(services, scope, facts);
}

function recordOf(
  { random, clock }: RdsServices,
  input: ClusterInput,
  { id, userName, databaseName: asked, wish, restoredFrom, inherited = {} }: NewCluster,
): ClusterRecord {
  const port = input.Port === undefined ? undefined : checked.port(input.Port);
  return {
    id,
    resourceId: resourceId(random, 'cluster'),
    database: databaseName(random),
    createdAtMs: clock.wallMs(),
    engineVersion: ENGINE_VERSION,
    userName,
    ...(asked !== undefined && { databaseName: asked }),
    retentionDays: checked.retentionDays(
      input.BackupRetentionPeriod ?? inherited.retentionDays ?? RETENTION_DAYS,
    ),
    backupWindow: checked.backupWindow(
      input.PreferredBackupWindow ?? inherited.backupWindow ?? drawBackupWindow(random),
    ),
    maintenanceWindow: checked.maintenanceWindow(
      input.PreferredMaintenanceWindow ?? inherited.maintenanceWindow ?? drawMaintenanceWindow(random),
    ),
    deletionProtection: input.DeletionProtection === true,
    copyTagsToSnapshot: input.CopyTagsToSnapshot === true,
    tags: checkedTags(input.Tags, tagRules),
    ...(restoredFrom && { restoredFrom }),
    wish: { ...wish, ...(port !== undefined && { port }) },
  };
}
