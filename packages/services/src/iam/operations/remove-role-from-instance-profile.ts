import { changeEntity } from '../entities.ts';
import type { IamContext } from '../iam-context.ts';
import { iamFailures } from '../iam-failures.ts';
import { checkedName } from '../iam-names.ts';
import type { RemoveRoleFromInstanceProfileCommandInput } from '@aws-sdk/client-iam';

/** @throws NoSuchEntityException, ValidationError */
export async function removeRoleFromInstanceProfile(
  input: RemoveRoleFromInstanceProfileCommandInput,
  context: IamContext,
): Promise<object> {
  const roleName = checkedName('RoleName', input.RoleName, 64);
  const profileName = checkedName('InstanceProfileName', input.InstanceProfileName, 128);
  await changeEntity(context, 'instance-profiles', profileName, (profile) => {
    if (profile.role?.name.toLowerCase() !== roleName.toLowerCase())
      throw iamFailures.noSuchEntity('roles', roleName);
    return { ...profile, role: undefined };
  });
  return {};
}
