/** An instance profile hands a role to a machine. A role that was deleted, or made anew under the name, is not shown. */
import type { InstanceProfile } from '@aws-sdk/client-iam';
import { entityKey, type InstanceProfileDocument, type RoleDocument } from './documents.ts';
import type { IamContext } from './iam-context.ts';
import { instanceProfileShape } from './iam-shapes.ts';

export async function profileWithRole(
  { store }: IamContext,
  profile: InstanceProfileDocument,
): Promise<InstanceProfile> {
  if (!profile.role) return instanceProfileShape(store.account, profile, undefined);
  const role = await store.fresh<RoleDocument>(entityKey(store.account, 'roles', profile.role.name));
  return instanceProfileShape(store.account, profile, role?.value);
}
