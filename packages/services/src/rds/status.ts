/**
 * What a status is: said anew each time, from the records and from the database's state, and kept nowhere. So none can be
 * stuck, and none is told that is not so.
 */
import type { DatabaseRecord, DatabaseState } from '@rokka/databases';
import { type ClusterFacts, type SnapshotFacts, writerOf } from './cluster-facts.ts';
import { isSizedFor } from './instance-sizes.ts';
import type { InstanceRecord } from './rds-records.ts';

/** https://docs.aws.amazon.com/AmazonRDS/latest/AuroraUserGuide/accessing-monitoring.html */
export type RdsStatus =
  | 'available'
  | 'backing-up'
  | 'creating'
  | 'deleting'
  | 'failed'
  | 'failing-over'
  | 'modifying'
  | 'rebooting'
  | 'resetting-master-credentials'
  | 'starting'
  | 'stopped'
  | 'stopping';

export function clusterStatus(facts: ClusterFacts): RdsStatus {
  const { cluster, database, state, snapshots } = facts;
  if (cluster.deleting || isGoing(facts)) return 'deleting';
  if (!database || !state) return 'creating';
  if (cluster.stopped) return state.phase === 'stopped' ? 'stopped' : 'stopping';
  const writer = writerOf(facts);
  // Without an instance nothing runs, and nothing has to: its data is there.
  const status = writer && !writer.deleting ? serverStatus(facts, writer) : undefined;
  if (status !== undefined && status !== 'failed' && cluster.failover) return 'failing-over';
  if (status !== undefined && status !== 'available' && status !== 'creating') return status;
  return snapshots.some((snapshot) => snapshotStatus(snapshot) === 'creating') ? 'backing-up' : 'available';
}

export function instanceStatus(facts: ClusterFacts, instance: InstanceRecord): RdsStatus {
  const { cluster, database, state } = facts;
  if (instance.deleting || cluster.deleting || isGoing(facts)) return 'deleting';
  const isStandby = cluster.standby === instance.id;
  if (!database || !state || !(isStandby || cluster.instance === instance.id)) return 'creating';
  if (cluster.stopped) return state.phase === 'stopped' ? 'stopped' : 'stopping';
  if (!isStandby) return serverStatus(facts, instance);
  if (isStandbyThere(facts)) return 'available';
  return instance.told?.generation === undefined ? 'creating' : 'starting';
}

/** Whether the database serves whom it shall serve: after a failover, the new writer. */
export function serves({ cluster: { failover }, database, state }: ClusterFacts): boolean {
  if (!database || state?.phase !== 'available') return false;
  const isBehind = state.generation !== undefined && state.generation !== database.generation;
  const isFailing =
    failover && (failover.generation === undefined || failover.generation > database.generation);
  return !isBehind && !isFailing;
}

/** Whether the process waits that takes the place of the writer's. */
export const isStandbyThere = (facts: ClusterFacts) => serves(facts) && (facts.state?.standbys ?? 0) > 0;

export function snapshotStatus({ record, kept }: SnapshotFacts): 'creating' | 'available' | 'failed' {
  if (record.failure !== undefined) return 'failed';
  // It was there once: somebody has removed what was kept.
  if (!kept && record.told === 'available') return 'failed';
  return kept && !kept.unconfirmed ? kept.phase : 'creating';
}

/** Whether the password that shall be is not the server's yet. */
export function isPasswordNew(database: DatabaseRecord, state: DatabaseState | undefined): boolean {
  const known = state?.passwordVersion;
  return known !== undefined && known !== database.passwordVersion;
}

/** Of a database that shall run. */
function serverStatus(facts: ClusterFacts, instance: InstanceRecord): RdsStatus {
  const { database, state } = facts;
  if (!database || !state) return 'creating';
  if (state.phase === 'deleting') return 'deleting';
  if (state.phase === 'failed') return 'failed';
  if (serves(facts)) {
    if (!isSizedFor(instance.instanceClass, database)) return 'modifying';
    return isPasswordNew(database, state) ? 'resetting-master-credentials' : 'available';
  }
  if (instance.told?.generation === undefined) return 'creating';
  const isBehind = state.generation !== undefined && state.generation !== database.generation;
  return isBehind || state.phase === 'available' ? 'rebooting' : 'starting';
}

/** Somebody deletes, or has deleted, its database and not the cluster. */
function isGoing({ cluster, database }: ClusterFacts): boolean {
  return database ? database.desired === 'deleted' : cluster.wish === undefined;
}
