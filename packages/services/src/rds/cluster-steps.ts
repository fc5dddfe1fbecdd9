/**
 * The steps of keeping.ts for clusters and instances, carried out. Each is a compare-and-set on the record that it is about:
 * of several who take the same one only the first changes something, and only he tells it.
 */
import { isDeepStrictEqual } from 'node:util';
import { must, unreachable } from '@rokka/kernel';
import type { DatabaseChange } from '@rokka/databases';
import { demandSource, unlessHopeless } from '../database-making.ts';
import type { ClusterFacts } from './cluster-facts.ts';
import { admitting, dismissing, dismissingMissing, failingOver, refusing } from './cluster-members.ts';
import { snapshotRecord } from './cluster-snapshots.ts';
import type { ClusterStep } from './keeping.ts';
import type { RdsContext } from './rds-context.ts';
import type { Scope } from '../scope.ts';
import { tell, type Told } from './rds-events.ts';
import { type ClusterRecord, type Failover, type InstanceRecord, recordKeys } from './rds-records.ts';
import type { RecordStore } from '../record-store.ts';

export type StepContext = RdsContext & { readonly store: RecordStore; readonly scope: Scope };

/** @throws what `Databases` throws */
export async function carryOutCluster(
  of: StepContext,
  facts: ClusterFacts,
  step: ClusterStep,
): Promise<void> {
  const { databases } = of;
  const { database } = facts.cluster;
  switch (step.step) {
    case 'none':
      return;
    case 'make-database':
      return makeDatabase(of, facts.cluster);
    case 'forget-wish':
      return finishMaking(of, facts);
    case 'admit':
      return changeCluster(of, facts, (found) => admitting(found, step.instance));
    case 'refuse':
      return changeCluster(of, facts, (found) => refusing(found, step.instance, facts));
    case 'fail-over':
      return changeCluster(of, facts, (found) => failingOver(found, step, of.clock.wallMs()) ?? found);
    case 'begin-failover':
      return changeCluster(of, facts, (found) => beginning(found, step), [
        `Started failover to DB instance: ${facts.cluster.instance}`,
        'failover',
      ]);
    case 'end-failover':
      return changeCluster(of, facts, (found) => ending(found, step), [
        `Completed failover to DB instance: ${facts.cluster.instance}`,
        'failover',
      ]);
    case 'dismiss-missing':
      return changeCluster(of, facts, (found) => dismissingMissing(found, facts));
    case 'dismiss':
      return changeCluster(of, facts, (found) => dismissing(found, step.instance));
    case 'remove-instance':
      return removeInstance(of, step.instance);
    case 'apply-class':
      return applyClass(of, step.instance);
    case 'change-database':
      return changeDatabase(of, database, step);
    case 'set-desired':
      await databases.setDesired(database, step.desired);
      return;
    case 'take-final-snapshot':
      await of.store.create(
        recordKeys.snapshot(of.scope, step.id),
        snapshotRecord(facts, { ...step, atMs: of.clock.wallMs() }),
      );
      return;
    case 'decide-deletion':
      return changeCluster(of, facts, (found) => decidingDeletion(found, facts));
    case 'stay':
      return changeCluster(of, facts, (found) => staying(found, facts), [
        `DB cluster is not deleted: ${step.why}`,
        'failure',
      ]);
    case 'remove-cluster':
      return changeCluster(of, facts, () => undefined, ['DB cluster deleted', 'deletion']);
    case 'tell-cluster':
      return changeCluster(
        of,
        facts,
        (found) => (found.told === facts.cluster.told ? { ...found, told: step.told } : found),
        [`DB cluster ${step.told}`, 'notification'],
      );
    case 'tell-instance':
      return tellInstance(of, step.instance, step.told);
    default:
      return unreachable(step);
  }
}

/** The record goes; where a cluster had it, it is there no more. */
export async function removeInstance(of: StepContext, instance: InstanceRecord): Promise<void> {
  const key = recordKeys.instance(of.scope, instance.id);
  const removed = await of.store.changeSame<InstanceRecord>(key, instance, () => undefined);
  if (removed) await tellOfInstance(of, instance, ['DB instance deleted', 'deletion']);
}

async function makeDatabase(of: StepContext, cluster: ClusterRecord): Promise<void> {
  const { password, port, source } = must(cluster.wish);
  await unlessHopeless(
    async () => {
      await demandSource(of, cluster.wish);
      await of.databases.create({
        name: cluster.database,
        engine: 'native',
        password,
        userName: cluster.userName,
        databaseName: cluster.databaseName ?? 'postgres',
        retentionDays: cluster.retentionDays,
        desired: 'stopped',
        ...(port !== undefined && { port }),
        ...(source && { source }),
      });
    },
    (error) => giveUp(of, cluster, error),
  );
}

/** From here on the database keeps what it begins with: if it was there all the time, which is seen now. */
async function finishMaking(of: StepContext, facts: ClusterFacts): Promise<void> {
  await unlessHopeless(
    async () => {
      await demandSource(of, facts.cluster.wish);
      await changeCluster(of, facts, withoutWish, ['DB cluster created', 'creation']);
    },
    (error) => giveUp(of, facts.cluster, error),
  );
}

/**
 * The cluster goes again; a database that was made of it is left over, and goes as well. False where somebody else could finish
 * it after all.
 */
async function giveUp(of: StepContext, cluster: ClusterRecord, { message }: Error): Promise<boolean> {
  const key = recordKeys.cluster(of.scope, cluster.id);
  const removed = await of.store.changeSame<ClusterRecord>(key, cluster, (found) =>
    found.wish ? undefined : found,
  );
  if (removed)
    await tell(of, ['db-cluster', cluster.id], [`DB cluster is not created: ${message}`, 'failure']);
  return removed;
}

async function changeDatabase(
  { databases }: StepContext,
  name: string,
  { change, generation }: { change: DatabaseChange; generation?: number },
): Promise<void> {
  // What PostgreSQL reads when it starts.
  const restart = change.settings !== undefined;
  await databases.change(name, change, { restart, ...(generation !== undefined && { generation }) });
}

async function applyClass(of: StepContext, instance: InstanceRecord): Promise<void> {
  const key = recordKeys.instance(of.scope, instance.id);
  const applied = await of.store.changeSame<InstanceRecord>(key, instance, (found) => {
    const { pendingClass, ...rest } = found;
    return pendingClass === undefined ? found : { ...rest, instanceClass: pendingClass };
  });
  if (applied)
    await tellOfInstance(of, instance, [
      'Applying modification to DB instance class',
      'configuration change',
    ]);
}

async function tellInstance(
  of: StepContext,
  instance: InstanceRecord,
  told: InstanceRecord['told'],
): Promise<void> {
  const key = recordKeys.instance(of.scope, instance.id);
  const before = JSON.stringify(instance.told);
  const isMine = await of.store.changeSame<InstanceRecord>(key, instance, (found) =>
    JSON.stringify(found.told) === before ? { ...found, ...(told && { told }) } : found,
  );
  if (isMine) await tellOfInstance(of, instance, newsOf(instance.told, told));
}

function newsOf(before: InstanceRecord['told'], now: InstanceRecord['told']): Told {
  if (now?.failure !== undefined) return [`DB instance does not start: ${now.failure}`, 'failure'];
  if (before?.generation === undefined) return ['DB instance created', 'creation'];
  if (before.failure !== undefined) return ['Recovery of the DB instance is complete', 'recovery'];
  return ['DB instance restarted', 'availability'];
}

async function changeCluster(
  of: StepContext,
  { cluster }: ClusterFacts,
  change: (found: ClusterRecord) => ClusterRecord | undefined,
  told?: Told,
): Promise<void> {
  const key = recordKeys.cluster(of.scope, cluster.id);
  const changed = await of.store.changeSame<ClusterRecord>(key, cluster, change);
  if (changed && told) await tell(of, ['db-cluster', cluster.id], told);
}

function withoutWish(found: ClusterRecord): ClusterRecord {
  const { wish, ...rest } = found;
  return wish ? rest : found;
}

/** What was decided on may have been taken back, and asked for anew, meanwhile. */
function staying(found: ClusterRecord, { cluster }: ClusterFacts): ClusterRecord {
  const { deleting, ...rest } = found;
  return deleting && isDeepStrictEqual(deleting, cluster.deleting) ? rest : found;
}

/** Likewise. */
function decidingDeletion(found: ClusterRecord, { cluster }: ClusterFacts): ClusterRecord {
  if (!found.deleting || !isDeepStrictEqual(found.deleting, cluster.deleting)) return found;
  return { ...found, deleting: { ...found.deleting, decided: true } };
}

function beginning(
  found: ClusterRecord,
  { failover, generation }: { failover: Failover; generation: number },
): ClusterRecord {
  if (!isDeepStrictEqual(found.failover, failover)) return found;
  return { ...found, failover: { ...failover, generation } };
}

function ending(found: ClusterRecord, of: { failover: Failover }): ClusterRecord {
  const { failover, ...rest } = found;
  return isDeepStrictEqual(failover, of.failover) ? rest : found;
}

const tellOfInstance = (of: StepContext, { id }: InstanceRecord, told: Told) =>
  tell(of, ['db-instance', id], told);
