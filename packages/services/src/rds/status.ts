/**
 * What a status is: said anew each time, from the records and from the database's state, and kept nowhere. So none can be
 * stuck, and none is told that is not so.
 */
import type { DatabaseRecord, DatabaseState } from '@rokka/databases';
import { type ClusterFacts, memberOf, type SnapshotFacts } from './cluster-facts.ts';
import { isSizedFor } from './instance-sizes.ts';
import type { InstanceRecord } from './rds-records.ts';

/** https://docs.aws.amazon.com/AmazonRDS/latest/AuroraUserGuide/accessing-monitoring.html */
export type RdsStatus =
  | 'available'
  | 'backing-up'
  | 'creating'
  | 'deleting'
  | 'failed'
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
  const member = memberOf(facts);
  // Without an instance nothing runs, and nothing has to: its data is there.
  const status = member && !member.deleting ? serverStatus({ database, state }, member) : 'available';
  if (status !== 'available' && status !== 'creating') return status;
  return snapshots.some((snapshot) => snapshotStatus(snapshot) === 'creating') ? 'backing-up' : 'available';
}

export function instanceStatus(facts: ClusterFacts, instance: InstanceRecord): RdsStatus {
  const { cluster, database, state } = facts;
  if (instance.deleting || cluster.deleting || isGoing(facts)) return 'deleting';
  if (!database || !state || cluster.instance !== instance.id) return 'creating';
  if (cluster.stopped) return state.phase === 'stopped' ? 'stopped' : 'stopping';
  return serverStatus({ database, state }, instance);
}

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
function serverStatus(
  { database, state }: { database: DatabaseRecord; state: DatabaseState },
  instance: InstanceRecord,
): RdsStatus {
  if (state.phase === 'deleting') return 'deleting';
  if (state.phase === 'failed') return 'failed';
  const isBehind = state.generation !== undefined && state.generation !== database.generation;
  if (state.phase === 'available' && !isBehind) {
    if (!isSizedFor(instance.instanceClass, database)) return 'modifying';
    return isPasswordNew(database, state) ? 'resetting-master-credentials' : 'available';
  }
  if (instance.told?.generation === undefined) return 'creating';
  return isBehind ? 'rebooting' : 'starting';
}

/** Somebody deletes, or has deleted, its database and not the cluster. */
function isGoing({ cluster, database }: ClusterFacts): boolean {
  return database ? database.desired === 'deleted' : cluster.wish === undefined;
}
