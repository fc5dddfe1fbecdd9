import { listEntities, loadEntity } from '../entities.ts';
import type { IamContext, Output } from '../iam-context.ts';
import { checkedName } from '../iam-names.ts';
import { profileWithRole } from '../instance-profiles.ts';
import { pageOf } from '../pages.ts';
import type {
  ListInstanceProfilesForRoleCommandInput,
  ListInstanceProfilesForRoleCommandOutput,
} from '@aws-sdk/client-iam';

/** @throws NoSuchEntityException, ValidationError */
export async function listInstanceProfilesForRole(
  input: ListInstanceProfilesForRoleCommandInput,
  context: IamContext,
): Promise<Output<ListInstanceProfilesForRoleCommandOutput>> {
  const { id } = await loadEntity(context, 'roles', checkedName('RoleName', input.RoleName, 64));
  const profiles = (await listEntities(context, 'instance-profiles')).filter(({ role }) => role?.id === id);
  const { items, more } = pageOf(profiles, input, ({ name }) => name.toLowerCase());
  const shapes = await Promise.all(items.map((profile) => profileWithRole(context, profile)));
  return { InstanceProfiles: shapes, ...more };
}
