/**
 * What is to be done next for a cluster, an instance or a snapshot: from what the registry has of it. Pure, and nothing is
 * remembered of the way here. A step is one write, or is repeated without harm; after the last one there is nothing to do.
 */
import type { DatabaseChange, DatabaseRecord } from '@rokka/databases';
import { type ClusterFacts, type SnapshotFacts, standbyOf, writerOf } from './cluster-facts.ts';
import { hasRoom } from './cluster-members.ts';
import { isSizedFor, sizedFor } from './instance-sizes.ts';
import type { Failover, InstanceRecord } from './rds-records.ts';
import { isStandbyThere, serves, snapshotStatus } from './status.ts';
import { isInMaintenance } from './windows.ts';

export type ClusterStep =
  | { readonly step: 'none' }
  | { readonly step: 'make-database' }
  /** The database is there: what it was made with may be forgotten. */
  | { readonly step: 'forget-wish' }
  | { readonly step: 'admit'; readonly instance: InstanceRecord }
  /** It will never be let in. */
  | { readonly step: 'refuse'; readonly instance: InstanceRecord }
  | { readonly step: 'dismiss'; readonly instance: InstanceRecord }
  /** Who was the standby is the writer from now on, and the other way round. */
  | { readonly step: 'fail-over'; readonly writer: string; readonly standby: string }
  /** Its database is to serve the new writer from this generation on. */
  | { readonly step: 'begin-failover'; readonly failover: Failover; readonly generation: number }
  | { readonly step: 'end-failover'; readonly failover: Failover }
  /** One that it names is not there. */
  | { readonly step: 'dismiss-missing' }
  | { readonly step: 'remove-instance'; readonly instance: InstanceRecord }
  | { readonly step: 'apply-class'; readonly instance: InstanceRecord }
  /** With a `generation`, started again for a failover. */
  | { readonly step: 'change-database'; readonly change: DatabaseChange; readonly generation?: number }
  | { readonly step: 'set-desired'; readonly desired: 'running' | 'stopped' | 'deleted' }
  | { readonly step: 'take-final-snapshot'; readonly id: string; readonly kept: string }
  /** From here on nothing takes the deletion back. */
  | { readonly step: 'decide-deletion' }
  /** It cannot be deleted as it was asked for. */
  | { readonly step: 'stay'; readonly why: string }
  | { readonly step: 'remove-cluster' }
  | { readonly step: 'tell-cluster'; readonly told: 'stopped' | 'started' }
  | {
      readonly step: 'tell-instance';
      readonly instance: InstanceRecord;
      readonly told: InstanceRecord['told'];
    };

export type SnapshotStep = 'none' | 'keep' | 'tell-available' | 'tell-failed';

const NONE: ClusterStep = { step: 'none' };

export function decideCluster(facts: ClusterFacts): ClusterStep {
  const { cluster, instances, database } = facts;
  if (!database) {
    if (cluster.wish && !cluster.deleting) return { step: 'make-database' };
    const [instance] = instances;
    // Whoever removed the database has removed what the cluster was.
    return instance ? { step: 'remove-instance', instance } : { step: 'remove-cluster' };
  }
  if (cluster.wish && !cluster.deleting) return { step: 'forget-wish' };
  return membership(facts) ?? (cluster.deleting ? deletion(facts) : upkeep(facts));
}

export function decideSnapshot(snapshot: SnapshotFacts): SnapshotStep {
  const { record, kept } = snapshot;
  if (record.told) return 'none';
  if (record.failure !== undefined || kept?.phase === 'failed') return 'tell-failed';
  if (!kept || kept.unconfirmed) return 'keep';
  return kept.phase === 'available' ? 'tell-available' : 'none';
}

/** Who are the cluster's instances. */
function membership(facts: ClusterFacts): ClusterStep | undefined {
  const { cluster, instances, database, state } = facts;
  const writer = writerOf(facts);
  const standby = standbyOf(facts);
  for (const instance of instances) {
    if (instance === writer || instance === standby) continue;
    // Its record goes only when it is certain that nobody lets it in any more: see `refused`.
    const isOut = instance.deleting !== undefined || cluster.refused?.includes(instance.resourceId);
    if (isOut) return { step: 'remove-instance', instance };
    return { step: hasRoom(cluster) ? 'admit' : 'refuse', instance };
  }
  const isMissing =
    (cluster.instance !== undefined && !writer) || (cluster.standby !== undefined && !standby);
  if (isMissing) return { step: 'dismiss-missing' };
  // Who was the writer until just now goes when the other one serves.
  if (standby?.deleting && (writer?.deleting || !cluster.failover))
    return { step: 'dismiss', instance: standby };
  if (!writer?.deleting) return undefined;
  if (standby) return { step: 'fail-over', writer: writer.id, standby: standby.id };
  if (database?.desired === 'running') return { step: 'set-desired', desired: 'stopped' };
  return state?.phase === 'stopped' ? { step: 'dismiss', instance: writer } : undefined;
}

function deletion(facts: ClusterFacts): ClusterStep {
  const { cluster, database, state, snapshots, finalSnapshot } = facts;
  const wanted = cluster.deleting?.finalSnapshot;
  if (!database || database.desired === 'deleted') return NONE;
  if (cluster.deleting?.decided) return { step: 'set-desired', desired: 'deleted' };
  if (database.desired === 'running') return { step: 'set-desired', desired: 'stopped' };
  if (cluster.instance !== undefined || state?.phase !== 'stopped') return NONE;
  if (wanted) {
    if (!finalSnapshot) return { step: 'take-final-snapshot', ...wanted };
    if (finalSnapshot.record.kept !== wanted.kept)
      return { step: 'stay', why: `there is another snapshot ${wanted.id}` };
    if (snapshotStatus(finalSnapshot) === 'failed')
      return { step: 'stay', why: `its final snapshot ${wanted.id} failed` };
  }
  // Whoever asked for a snapshot before gets it.
  const waits = snapshots.some((snapshot) => snapshotStatus(snapshot) === 'creating');
  return waits ? NONE : { step: 'decide-deletion' };
}

function upkeep(facts: ClusterFacts): ClusterStep {
  const { cluster, database, nowMs } = facts;
  const writer = writerOf(facts);
  const standby = standbyOf(facts);
  if (!database || database.desired === 'deleted') return NONE;
  const { retentionDays } = cluster;
  if (database.retentionDays !== retentionDays) return { step: 'change-database', change: { retentionDays } };
  const standbys = standby && !standby.deleting ? 1 : 0;
  if ((database.standbys ?? 0) !== standbys) return { step: 'change-database', change: { standbys } };
  // It serves nobody: there is nothing to wait for.
  if (standby?.pendingClass !== undefined) return { step: 'apply-class', instance: standby };
  if (!writer || writer.deleting || cluster.stopped) {
    if (database.desired !== 'stopped') return { step: 'set-desired', desired: 'stopped' };
    return tellCluster(facts) ?? NONE;
  }
  if (writer.pendingClass !== undefined && isInMaintenance(writer.maintenanceWindow, nowMs))
    return { step: 'apply-class', instance: writer };
  return service({ ...facts, database }, writer) ?? news(facts, writer) ?? NONE;
}

/** The database serves its writer, and since the last failover. */
function service(
  { cluster: { failover }, database }: ClusterFacts & { database: DatabaseRecord },
  { instanceClass }: InstanceRecord,
): ClusterStep | undefined {
  const { generation } = database;
  const change = sizedFor(instanceClass, database);
  if (failover && failover.generation === undefined)
    return { step: 'begin-failover', failover, generation: generation + 1 };
  if (failover?.generation !== undefined && failover.generation > generation)
    return { step: 'change-database', change, generation: failover.generation };
  if (!isSizedFor(instanceClass, database)) return { step: 'change-database', change };
  return database.desired === 'running' ? undefined : { step: 'set-desired', desired: 'running' };
}

/** What has come about is told, and then counts as told. */
function news(facts: ClusterFacts, writer: InstanceRecord): ClusterStep | undefined {
  const standby = standbyOf(facts);
  const { failover } = facts.cluster;
  return (
    tellInstance(facts, writer) ??
    (standby && tellStandby(facts, standby)) ??
    tellCluster(facts) ??
    (failover && serves(facts) ? { step: 'end-failover', failover } : undefined)
  );
}

function tellCluster({ cluster, state }: ClusterFacts): ClusterStep | undefined {
  if (cluster.stopped && cluster.told !== 'stopped' && state?.phase === 'stopped')
    return { step: 'tell-cluster', told: 'stopped' };
  if (!cluster.stopped && cluster.told === 'stopped' && state?.phase === 'available')
    return { step: 'tell-cluster', told: 'started' };
  return undefined;
}

/** Once: from then on it comes and goes with the writer. */
function tellStandby(facts: ClusterFacts, instance: InstanceRecord): ClusterStep | undefined {
  const generation = facts.state?.generation;
  if (instance.told?.generation !== undefined || generation === undefined) return undefined;
  return isStandbyThere(facts)
    ? { step: 'tell-instance', instance, told: { ...instance.told, generation } }
    : undefined;
}

function tellInstance(facts: ClusterFacts, instance: InstanceRecord): ClusterStep | undefined {
  const { told } = instance;
  const { state } = facts;
  const generation = state?.generation;
  if (serves(facts) && generation !== undefined) {
    const isKnown = told?.generation === generation && told.failure === undefined;
    return isKnown ? undefined : { step: 'tell-instance', instance, told: { generation } };
  }
  const failure = state?.phase === 'failed' ? (state.reason ?? 'it does not start') : undefined;
  if (failure === undefined || failure === told?.failure) return undefined;
  return { step: 'tell-instance', instance, told: { ...told, failure } };
}
