/** What an input names, found; or the exception that says that it is not there. */
import { type ClusterFacts, readCluster, type SnapshotFacts } from './cluster-facts.ts';
import type { RdsServices } from './rds-context.ts';
import type { Scope } from '../scope.ts';
import { rdsFailures } from './rds-failures.ts';
import { knownName } from './rds-names.ts';
import { type ClusterSnapshotRecord, type InstanceRecord, recordKeys } from './rds-records.ts';

/** @throws DBClusterNotFoundFault */
export async function findCluster(
  services: RdsServices,
  scope: Scope,
  name: string | undefined,
): Promise<ClusterFacts> {
  const id = knownName('cluster', name, scope);
  const facts = await readCluster(services, scope, id);
  if (!facts) throw rdsFailures.notFound('cluster', id);
  return facts;
}

/** With its cluster. @throws DBInstanceNotFoundFault */
export async function findInstance(
  services: RdsServices,
  scope: Scope,
  name: string | undefined,
): Promise<{ facts: ClusterFacts; instance: InstanceRecord }> {
  const id = knownName('db', name, scope);
  const found = await services.store.get<InstanceRecord>(recordKeys.instance(scope, id));
  const facts = found && (await readCluster(services, scope, found.cluster));
  const instance = facts?.instances.find((each) => each.id === id);
  if (!facts || !instance) throw rdsFailures.notFound('db', id);
  return { facts, instance };
}

/** @throws DBClusterSnapshotNotFoundFault */
export async function findSnapshot(
  services: RdsServices,
  scope: Scope,
  name: string | undefined,
): Promise<SnapshotFacts> {
  const id = knownName('cluster-snapshot', name, scope);
  const record = await services.store.get<ClusterSnapshotRecord>(recordKeys.snapshot(scope, id));
  if (!record) throw rdsFailures.notFound('cluster-snapshot', id);
  const kept = (await services.snapshots.list()).find((each) => each.name === record.kept);
  return { record, kept };
}
