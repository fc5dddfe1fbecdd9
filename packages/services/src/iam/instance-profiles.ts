/** What IAM's operations share about instance profiles: a profile hands a role to a machine (profile-role.ts). */
import type { InstanceProfile } from '@aws-sdk/client-iam';
import type { InstanceProfileDocument } from './documents.ts';
import { loadEntity } from './entities.ts';
import type { IamContext } from './iam-context.ts';
import { instanceProfileShape } from './iam-shapes.ts';
import { roleIn } from './profile-role.ts';

type Stored = Pick<IamContext, 'store'>;

export async function profileWithRole(
  { store }: Stored,
  profile: InstanceProfileDocument,
): Promise<InstanceProfile> {
  return instanceProfileShape(store.account, profile, await roleIn({ store }, profile));
}

/**
 * Whether the profile of this name has a role, as one asks it of the document that a change finds. A change cannot look at roles,
 * so whether that in the profile is gone was looked at before.
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
