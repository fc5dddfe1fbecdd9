/** A role that somebody names by its ARN, as it is now. */
import { entityKey, type RoleDocument } from './documents.ts';
import { entityArn, parseEntityArn } from './iam-arns.ts';
import type { IdentityStore } from './identity-store.ts';

/** Undefined where this account has none of that ARN. */
export async function roleByArn(store: IdentityStore, arn: string): Promise<RoleDocument | undefined> {
  const parsed = parseEntityArn(arn);
  if (parsed?.kind !== 'roles' || parsed.account !== store.account) return undefined;
  const found = (await store.fresh<RoleDocument>(entityKey(store.account, 'roles', parsed.name)))?.value;
  return found && entityArn(store.account, 'roles', found) === arn ? found : undefined;
}
