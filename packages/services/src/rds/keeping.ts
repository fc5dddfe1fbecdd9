/**
 * What is to be done next for a cluster, an instance or a snapshot: from what the registry has of it. Pure, and nothing is
 * remembered of the way here. A step is one write, or is repeated without harm; after the last one there is nothing to do.
 */
import type { DatabaseChange } from '@rokka/databases';
import { type ClusterFacts, memberOf, type SnapshotFacts } from './cluster-facts.ts';
import { isSizedFor, sizedFor } from './instance-sizes.ts';
import type { InstanceRecord } from './rds-records.ts';
import { snapshotStatus } from './status.ts';
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
  /** The one that it names is not there. */
  | { readonly step: 'dismiss-missing' }
  | { readonly step: 'remove-instance'; readonly instance: InstanceRecord }
  | { readonly step: 'apply-class'; readonly instance: InstanceRecord }
  | { readonly step: 'change-database'; readonly change: DatabaseChange }
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

/** Who is the cluster's instance. */
function membership(facts: ClusterFacts): ClusterStep | undefined {
  const { cluster, instances, database, state } = facts;
  const member = memberOf(facts);
  for (const instance of instances) {
    if (instance === member) continue;
    // Its record goes only when it is certain that nobody lets it in any more: see `refused`.
    const isOut = instance.deleting !== undefined || cluster.refused?.includes(instance.resourceId);
    if (isOut) return { step: 'remove-instance', instance };
    const mayCome = !cluster.deleting && cluster.instance === undefined;
    return { step: mayCome ? 'admit' : 'refuse', instance };
  }
  if (cluster.instance !== undefined && !member) return { step: 'dismiss-missing' };
  if (!member?.deleting) return undefined;
  if (database?.desired === 'running') return { step: 'set-desired', desired: 'stopped' };
  return state?.phase === 'stopped' ? { step: 'dismiss', instance: member } : undefined;
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
  const member = memberOf(facts);
  if (!database || database.desired === 'deleted') return NONE;
  const { retentionDays } = cluster;
  if (database.retentionDays !== retentionDays) return { step: 'change-database', change: { retentionDays } };
  if (!member || member.deleting || cluster.stopped) {
    if (database.desired !== 'stopped') return { step: 'set-desired', desired: 'stopped' };
    return tellCluster(facts) ?? NONE;
  }
  if (member.pendingClass !== undefined && isInMaintenance(member.maintenanceWindow, nowMs))
    return { step: 'apply-class', instance: member };
  if (!isSizedFor(member.instanceClass, database))
    return { step: 'change-database', change: sizedFor(member.instanceClass, database) };
  if (database.desired !== 'running') return { step: 'set-desired', desired: 'running' };
  return tellInstance(facts, member) ?? tellCluster(facts) ?? NONE;
}

function tellCluster({ cluster, state }: ClusterFacts): ClusterStep | undefined {
  if (cluster.stopped && cluster.told !== 'stopped' && state?.phase === 'stopped')
    return { step: 'tell-cluster', told: 'stopped' };
  if (!cluster.stopped && cluster.told === 'stopped' && state?.phase === 'available')
    return { step: 'tell-cluster', told: 'started' };
  return undefined;
}

function tellInstance({ state }: ClusterFacts, instance: InstanceRecord): ClusterStep | undefined {
  const { told } = instance;
  if (state?.phase === 'available' && state.generation !== undefined) {
    const { generation } = state;
    const isKnown = told?.generation === generation && told.failure === undefined;
    return isKnown ? undefined : { step: 'tell-instance', instance, told: { generation } };
  }
  const failure = state?.phase === 'failed' ? (state.reason ?? 'it does not start') : undefined;
  if (failure === undefined || failure === told?.failure) return undefined;
  return { step: 'tell-instance', instance, told: { ...told, failure } };
}
