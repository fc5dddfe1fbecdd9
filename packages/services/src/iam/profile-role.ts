/**
 * The role of an instance profile. One that was deleted, or made anew under the name, is not the one that was put in: the profile
 * is empty then. It can come to that where a role is put in while somebody deletes it.
 */
import { entityKey, type InstanceProfileDocument, type RoleDocument } from './documents.ts';
import type { IamContext } from './iam-context.ts';

/** As it is now; undefined where the profile is empty. */
export async function roleIn(
  { store }: Pick<IamContext, 'store'>,
  { role }: InstanceProfileDocument,
): Promise<RoleDocument | undefined> {
  if (!role) return undefined;
  const found = (await store.fresh<RoleDocument>(entityKey(store.account, 'roles', role.name)))?.value;
  return found?.id === role.id ? found : undefined;
}
