import { changeEntity, loadEntity } from '../entities.ts';
import type { IamContext } from '../iam-context.ts';
import { iamFailures } from '../iam-failures.ts';
import { checkedName } from '../iam-names.ts';
import { occupancyOf } from '../instance-profiles.ts';
import { roleIn } from '../profile-role.ts';
import type { AddRoleToInstanceProfileCommandInput } from '@aws-sdk/client-iam';

/** Machines that have the profile may what the role may. @throws NoSuchEntityException, LimitExceededException, ValidationError */
export async function addRoleToInstanceProfile(
  input: AddRoleToInstanceProfileCommandInput,
  context: IamContext,
): Promise<object> {
  const { name, id } = await loadEntity(context, 'roles', checkedName('RoleName', input.RoleName, 64));
  const profileName = checkedName('InstanceProfileName', input.InstanceProfileName, 128);
  const hasRole = await occupancyOf(context, profileName);
  const changed = await changeEntity(context, 'instance-profiles', profileName, (profile) => {
    if (hasRole(profile)) throw iamFailures.limitExceeded('InstanceSessionsPerInstanceProfile', 1);
    return { ...profile, role: { name, id } };
  });
  if (await roleIn(context, changed)) return {};
  // Somebody deleted it after we looked and before it was put in, when no profile had it yet.
  await changeEntity(context, 'instance-profiles', profileName, (profile) =>
    profile.role?.id === id ? { ...profile, role: undefined } : profile,
  );
  throw iamFailures.noSuchEntity('roles', name);
}
