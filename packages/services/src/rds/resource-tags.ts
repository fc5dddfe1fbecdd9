/** Tags of whatever an ARN names. */
import type { RdsServices } from './rds-context.ts';
import type { Scope } from '../scope.ts';
import { rdsFailures } from './rds-failures.ts';
import { parseArn } from './rds-names.ts';
import { recordKeys } from './rds-records.ts';
import type { Tag } from '../tags.ts';

interface Tagged {
  readonly tags: readonly Tag[];
}

/** @throws DBClusterNotFoundFault, DBInstanceNotFoundFault, DBClusterSnapshotNotFoundFault, InvalidParameterValue */
export async function tagsOf({ store }: RdsServices, scope: Scope, arn: string | undefined) {
  const found = await store.get<Tagged>(keyOf(arn, scope));
  if (!found) throw missing(arn, scope);
  return found.tags;
}

/** @throws the same, and what `change` throws */
export async function changeTags(
  { store }: RdsServices,
  scope: Scope,
  of: { arn: string | undefined; change: (tags: readonly Tag[]) => readonly Tag[] },
): Promise<void> {
  await store.change<Tagged>(keyOf(of.arn, scope), (found) => {
    if (!found) throw missing(of.arn, scope);
    return { ...found, tags: of.change(found.tags) };
  });
}

function keyOf(arn: string | undefined, scope: Scope): string {
  const { kind, id } = parseArn(arn, scope);
  if (kind === 'cluster') return recordKeys.cluster(scope, id);
  return kind === 'db' ? recordKeys.instance(scope, id) : recordKeys.snapshot(scope, id);
}

function missing(arn: string | undefined, scope: Scope): Error {
  const { kind, id } = parseArn(arn, scope);
  return rdsFailures.notFound(kind, id);
}
