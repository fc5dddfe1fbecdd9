/** A cluster or instance is changed: by one write of its record, on what was read, and then carried out. */
import type { DBCluster, DBInstance } from '@aws-sdk/client-rds';
import type { ClusterFacts } from './cluster-facts.ts';
import type { RdsServices } from './rds-context.ts';
import type { Scope } from '../scope.ts';
import { asRdsFailure, rdsFailures } from './rds-failures.ts';
import { findInstance } from './rds-lookup.ts';
import { type ClusterRecord, type InstanceRecord, recordKeys } from './rds-records.ts';
import { clusterShape, instanceShape } from './rds-shapes.ts';
import { clusterStatus, instanceStatus, type RdsStatus } from './status.ts';

/** `change` may run several times, and may throw. @throws DBClusterNotFoundFault */
export async function changeCluster(
  services: RdsServices,
  scope: Scope,
  { cluster }: ClusterFacts,
  change: (found: ClusterRecord) => ClusterRecord,
): Promise<void> {
  const { store } = services;
  await store.changeSame<ClusterRecord>(recordKeys.cluster(scope, cluster.id), cluster, change);
}

/** The same of an instance. */
export async function changeInstance(
  services: RdsServices,
  scope: Scope,
  instance: InstanceRecord,
  change: (found: InstanceRecord) => InstanceRecord,
): Promise<void> {
  const { store } = services;
  await store.changeSame<InstanceRecord>(recordKeys.instance(scope, instance.id), instance, change);
}

/** @throws InvalidDBClusterStateFault where its database is being deleted */
export async function restart({ databases }: RdsServices, { cluster }: ClusterFacts): Promise<void> {
  try {
    await databases.restart(cluster.database);
  } catch (error) {
    throw asRdsFailure(error);
  }
}

/** Carries out what has been written, and shows the cluster. @throws DBClusterNotFoundFault where it is gone */
export async function settledCluster(
  services: RdsServices,
  scope: Scope,
  { cluster }: ClusterFacts,
): Promise<DBCluster> {
  const facts = await settled(services, scope, cluster);
  if (!facts) throw rdsFailures.notFound('cluster', cluster.id);
  return clusterShape(services, scope, facts);
}

/** Carries out what has been written, and shows the instance. @throws DBInstanceNotFoundFault where it is gone */
export async function settledInstance(
  services: RdsServices,
  scope: Scope,
  of: { facts: ClusterFacts; instance: InstanceRecord },
): Promise<DBInstance> {
  await settled(services, scope, of.facts.cluster);
  const { facts, instance } = await findInstance(services, scope, of.instance.id);
  if (instance.resourceId !== of.instance.resourceId) throw rdsFailures.notFound('db', instance.id);
  return instanceShape(scope, facts, instance);
}

/** Undefined where it is gone. */
export async function settled(
  { keeper }: RdsServices,
  scope: Scope,
  { id, resourceId }: ClusterRecord,
): Promise<ClusterFacts | undefined> {
  try {
    const facts = await keeper.settleCluster(scope, id);
    return facts?.cluster.resourceId === resourceId ? facts : undefined;
  } catch (error) {
    throw asRdsFailure(error);
  }
}

/** @throws InvalidDBClusterStateFault */
export function demandClusterStatus(facts: ClusterFacts, allowed: readonly RdsStatus[]): void {
  const status = clusterStatus(facts);
  if (allowed.includes(status)) return;
  throw rdsFailures.clusterState(
    `DbCluster ${facts.cluster.id} is in ${status} state but expected it to be one of ${allowed.join(', ')}.`,
  );
}

/** @throws InvalidDBInstanceStateFault */
export function demandInstanceStatus(
  facts: ClusterFacts,
  instance: InstanceRecord,
  allowed: readonly RdsStatus[],
): void {
  const status = instanceStatus(facts, instance);
  if (allowed.includes(status)) return;
  throw rdsFailures.instanceState(
    `Database instance ${instance.id} is in ${status} state but expected it to be one of ${allowed.join(', ')}.`,
  );
}

/** Whatever is there and is neither being made nor going. */
export const SETTLED: readonly RdsStatus[] = [
  'available',
  'backing-up',
  'failed',
  'failing-over',
  'modifying',
  'rebooting',
  'resetting-master-credentials',
  'starting',
  'stopped',
  'stopping',
];
