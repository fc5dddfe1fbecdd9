/** A snapshot is made: by one write, which says all of it, and then by whoever carries that out. */
import type { DBClusterSnapshot } from '@aws-sdk/client-rds';
import type { RdsServices } from './rds-context.ts';
import type { Scope } from '../scope.ts';
import { tell } from './rds-events.ts';
import { asRdsFailure, rdsFailures } from './rds-failures.ts';
import { findSnapshot } from './rds-lookup.ts';
import { type ClusterSnapshotRecord, recordKeys } from './rds-records.ts';
import { snapshotShape } from './rds-shapes.ts';

/** @throws DBClusterSnapshotAlreadyExistsFault */
export async function madeSnapshot(
  services: RdsServices,
  scope: Scope,
  record: ClusterSnapshotRecord,
): Promise<DBClusterSnapshot> {
  const { store, keeper } = services;
  await store.enter(scope);
  if (!(await store.create(recordKeys.snapshot(scope, record.id), record)))
    throw rdsFailures.alreadyExists('cluster-snapshot', record.id);
  await keeper.settleSnapshot(scope, { record, kept: undefined });
  await tell(
    { ...services, scope },
    ['db-cluster-snapshot', record.id],
    ['Creating manual cluster snapshot', 'backup'],
  );
  return snapshotShape(scope, await findSnapshot(services, scope, record.id));
}

/** @throws InvalidParameterCombination where nobody keeps any past */
export function demandBucket({ snapshots }: RdsServices, what: string): void {
  try {
    snapshots.demandBucket(what);
  } catch (error) {
    throw asRdsFailure(error);
  }
}
