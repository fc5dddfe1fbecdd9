/**
 * All that is known of a cluster, read at one time and in this order: clusters, instances, databases. A cluster's instance and
 * its database have been there before it named them, so one that is missing then is not made yet, or gone.
 */
import type { DatabaseRecord, DatabaseState, SnapshotRecord } from '@rokka/databases';
import type { RdsContext } from './rds-context.ts';
import { findDatabase } from '../find-database.ts';
import type { Scope } from '../scope.ts';
import {
  type ClusterRecord,
  type ClusterSnapshotRecord,
  type InstanceRecord,
  recordKeys,
  recordPrefixes,
} from './rds-records.ts';
import type { RecordStore } from '../record-store.ts';

export interface SnapshotFacts {
  readonly record: ClusterSnapshotRecord;
  readonly kept: SnapshotRecord | undefined;
}

export interface ClusterFacts {
  readonly cluster: ClusterRecord;
  /** Those that name this cluster, whether it names them or not. */
  readonly instances: readonly InstanceRecord[];
  readonly database: DatabaseRecord | undefined;
  readonly state: DatabaseState | undefined;
  /** Those that were made of it. */
  readonly snapshots: readonly SnapshotFacts[];
  /** Whatever has the name of its final snapshot. */
  readonly finalSnapshot: SnapshotFacts | undefined;
  readonly nowMs: number;
}

/** Everything in an account and region. */
export interface ScopeFacts {
  readonly clusters: readonly ClusterFacts[];
  readonly snapshots: readonly SnapshotFacts[];
  /** Of clusters that are gone. */
  readonly strays: readonly InstanceRecord[];
}

type Read = Pick<RdsContext, 'databases' | 'snapshots' | 'clock'> & { readonly store: RecordStore };

export async function readScope(of: Read, scope: Scope): Promise<ScopeFacts> {
  const { store, databases, clock } = of;
  // A cluster that is not in the second list has been there before an instance in the first one, and is gone.
  const instancesBefore = await store.list<InstanceRecord>(recordPrefixes.instances(scope));
  const clusters = await store.list<ClusterRecord>(recordPrefixes.clusters(scope));
  const instances = await store.list<InstanceRecord>(recordPrefixes.instances(scope));
  const snapshots = await readSnapshots(of, scope);
  const entries = new Map((await databases.entries()).map((entry) => [entry.record.name, entry]));
  const facts = clusters.map((cluster) => {
    const entry = entries.get(cluster.database);
    return factsOf({
      cluster,
      instances,
      snapshots,
      database: entry?.record,
      state: entry?.state,
      nowMs: clock.wallMs(),
    });
  });
  const known = new Set(clusters.map(({ resourceId }) => resourceId));
  const strays = instancesBefore.filter(({ clusterResourceId }) => !known.has(clusterResourceId));
  return { clusters: facts, snapshots, strays };
}

/** Undefined where there is none of the name. */
export async function readCluster(of: Read, scope: Scope, id: string): Promise<ClusterFacts | undefined> {
  const { store, databases, clock } = of;
  const cluster = await store.get<ClusterRecord>(recordKeys.cluster(scope, id));
  if (!cluster) return undefined;
  const instances = await store.list<InstanceRecord>(recordPrefixes.instances(scope));
  const snapshots = await readSnapshots(of, scope);
  const database = await findDatabase(databases, cluster.database);
  const state = await databases.state(cluster.database);
  return factsOf({ cluster, instances, snapshots, database, state, nowMs: clock.wallMs() });
}

async function readSnapshots({ store, snapshots }: Read, scope: Scope): Promise<SnapshotFacts[]> {
  const records = await store.list<ClusterSnapshotRecord>(recordPrefixes.snapshots(scope));
  if (records.length === 0) return [];
  const kept = new Map((await snapshots.list()).map((snapshot) => [snapshot.name, snapshot]));
  return records.map((record) => ({ record, kept: kept.get(record.kept) }));
}

function factsOf(read: Omit<ClusterFacts, 'finalSnapshot'>): ClusterFacts {
  const { cluster } = read;
  const finalId = cluster.deleting?.finalSnapshot?.id;
  return {
    ...read,
    instances: read.instances.filter(({ clusterResourceId }) => clusterResourceId === cluster.resourceId),
    snapshots: read.snapshots.filter(({ record }) => record.cluster.resourceId === cluster.resourceId),
    finalSnapshot: read.snapshots.find(({ record }) => record.id === finalId),
  };
}

export function writerOf({ cluster, instances }: ClusterFacts): InstanceRecord | undefined {
  return instances.find(({ id }) => id === cluster.instance);
}

export function standbyOf({ cluster, instances }: ClusterFacts): InstanceRecord | undefined {
  return instances.find(({ id }) => id === cluster.standby);
}
