/**
 * An instance profile hands a role to a machine. A role that was deleted, or made anew under the name, is not the one that was put in:
 * the profile is empty then. It can come to that where a role is put in while somebody deletes it.
 */
import type { InstanceProfile } from '@aws-sdk/client-iam';
import { entityKey, type InstanceProfileDocument, type RoleDocument } from './documents.ts';
import { loadEntity } from './entities.ts';
import type { IamContext } from './iam-context.ts';
import { instanceProfileShape } from './iam-shapes.ts';

type Stored = Pick<IamContext, 'store'>;

export async function profileWithRole(
  { store }: Stored,
  profile: InstanceProfileDocument,
): Promise<InstanceProfile> {
  return instanceProfileShape(store.account, profile, await roleIn({ store }, profile));
}

/** As it is now; undefined where the profile is empty. */
export async function roleIn(
  { store }: Stored,
  { role }: InstanceProfileDocument,
): Promise<RoleDocument | undefined> {
  if (!role) return undefined;
  const found = (await store.fresh<RoleDocument>(entityKey(store.account, 'roles', role.name)))?.value;
  return found?.id === role.id ? found : undefined;
}

/**
 * Whether the profile of this name has a role, as one asks it of the document that a change finds: which roles are gone was looked at before.
 * @throws NoSuchEntityException
 */
export async function occupancyOf(
  context: Stored,
  name: string,
): Promise<(found: InstanceProfileDocument) => boolean> {
  const before = await loadEntity(context, 'instance-profiles', name);
  const gone = (await roleIn(context, before)) ? undefined : before.role?.id;
  return ({ role }) => role !== undefined && role.id !== gone;
}
