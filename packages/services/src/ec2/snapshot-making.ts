/** A snapshot is made: by one write, which says all of it, and then by whoever carries that out. */
import { newSnapshotName } from '@rokka/databases';
import type { Scope } from '../scope.ts';
import type { Ec2Services } from './ec2-context.ts';
import { asEc2Failure, ec2Failures } from './ec2-failures.ts';
import { newSnapshotId } from './ec2-ids.ts';
import { recordKeys, type SnapshotRecord, type SnapshotSetRecord } from './ec2-records.ts';
import type { SnapshotFacts } from './snapshot-facts.ts';

/** One that nobody has yet. */
export function newSnapshot(
  { clock, random }: Ec2Services,
  of: Omit<SnapshotRecord, 'id' | 'kept' | 'createdAtMs'> & Partial<Pick<SnapshotRecord, 'id'>>,
): SnapshotRecord {
  return {
    id: newSnapshotId(random),
    kept: newSnapshotName(random),
    createdAtMs: clock.wallMs(),
    ...of,
  };
}

export async function madeSnapshot(
  services: Ec2Services,
  scope: Scope,
  record: SnapshotRecord,
): Promise<SnapshotFacts> {
  await services.store.enter(scope);
  await services.store.create(recordKeys.snapshot(scope, record.id), record);
  const [facts] = await settledSnapshots(services, scope, [record]);
  // Somebody has deleted it already.
  if (!facts) throw ec2Failures.notFound('snapshot', [record.id]);
  return facts;
}

/** All of them by one write: so that a crash leaves all or none. */
export async function madeSet(
  services: Ec2Services,
  scope: Scope,
  set: SnapshotSetRecord,
): Promise<SnapshotFacts[]> {
  await services.store.enter(scope);
  await services.store.create(recordKeys.set(scope, set.id), set);
  return settledSnapshots(services, scope, set.members);
}

/** Each as far as it can be made now. */
export async function settledSnapshots(
  { keeper }: Ec2Services,
  scope: Scope,
  records: readonly SnapshotRecord[],
): Promise<SnapshotFacts[]> {
  try {
    return await keeper.settleSnapshots(
      scope,
      records.map(({ id }) => id),
    );
  } catch (error) {
    throw asEc2Failure(error);
  }
}

/** @throws UnsupportedOperation where nobody keeps any past */
export function demandBucket({ snapshots }: Ec2Services, what: string): void {
  try {
    snapshots.demandBucket(what);
  } catch (error) {
    throw asEc2Failure(error);
  }
}
