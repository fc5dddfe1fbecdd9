/** Snapshots of clusters: their records, and the steps that carry them out. */
import { unreachable } from '@rokka/kernel';
import { isKept, isUnkept } from '../database-making.ts';
import type { ClusterFacts, SnapshotFacts } from './cluster-facts.ts';
import type { StepContext } from './cluster-steps.ts';
import { decideSnapshot } from './keeping.ts';
import { tell, type Told } from './rds-events.ts';
import { type ClusterSnapshotRecord, OWNER, recordKeys } from './rds-records.ts';
import type { Tag } from '../tags.ts';

/** Of the cluster as it is. Its tags go along where the cluster says so. */
export function snapshotRecord(
  { cluster, database }: ClusterFacts,
  of: { id: string; kept: string; atMs: number; tags?: readonly Tag[] },
): ClusterSnapshotRecord {
  const { id, resourceId, createdAtMs, engineVersion, userName, databaseName } = cluster;
  const own = of.tags ?? [];
  const inherited = cluster.copyTagsToSnapshot
    ? cluster.tags.filter(({ Key }) => !own.some((tag) => tag.Key === Key))
    : [];
  return {
    id: of.id,
    createdAtMs: of.atMs,
    kept: of.kept,
    tags: [...inherited, ...own],
    cluster: {
      id,
      resourceId,
      database: cluster.database,
      createdAtMs,
      engineVersion,
      userName,
      ...(databaseName !== undefined && { databaseName }),
      retentionDays: cluster.retentionDays,
      backupWindow: cluster.backupWindow,
      port: database?.port ?? 0,
    },
  };
}

/** Does for it what can be done now. */
export async function carryOutSnapshot(of: StepContext, facts: SnapshotFacts): Promise<void> {
  const step = decideSnapshot(facts);
  const { record, kept } = facts;
  switch (step) {
    case 'none':
      return;
    case 'keep':
      return keep(of, record);
    case 'tell-available':
      return change(of, record, { told: 'available' }, ['Manual cluster snapshot created', 'backup']);
    case 'tell-failed': {
      const why = record.failure ?? kept?.reason ?? 'unknown';
      return change(of, record, { told: 'failed' }, [`Manual cluster snapshot failed: ${why}`, 'failure']);
    }
    default:
      return unreachable(step);
  }
}

async function keep(of: StepContext, record: ClusterSnapshotRecord): Promise<void> {
  const { snapshots, databases } = of;
  const wish = { name: record.kept, owner: OWNER };
  try {
    if (record.copyOf) await snapshots.copy(record.copyOf.kept, wish);
    else {
      const database = await databases.get(record.cluster.database);
      if (database.desired === 'deleted') return await fail(of, record, 'its cluster is being deleted');
      await snapshots.request(database, wish);
    }
  } catch (error) {
    if (!isUnkept(error)) throw error;
    await fail(of, record, (error as Error).message);
  }
}

/** For good, unless it is kept after all. */
async function fail(of: StepContext, record: ClusterSnapshotRecord, failure: string): Promise<void> {
  if (!(await isKept(of, record.kept))) await change(of, record, { failure });
}

async function change(
  of: StepContext,
  record: ClusterSnapshotRecord,
  part: Partial<ClusterSnapshotRecord>,
  told?: Told,
): Promise<void> {
  const { changed } = await of.store.change<ClusterSnapshotRecord>(
    recordKeys.snapshot(of.scope, record.id),
    (found) =>
      // One that has taken the name meanwhile keeps another point.
      found && found.kept === record.kept && found.told === undefined ? { ...found, ...part } : found,
  );
  if (changed && told) await tell(of, ['db-cluster-snapshot', record.id], told);
}
