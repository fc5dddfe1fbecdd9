import { changeEntity, loadEntity } from '../entities.ts';
import type { IamContext } from '../iam-context.ts';
import { iamFailures } from '../iam-failures.ts';
import { checkedName } from '../iam-names.ts';
import type { AddRoleToInstanceProfileCommandInput } from '@aws-sdk/client-iam';

/** @throws NoSuchEntityException, LimitExceededException, ValidationError */
export async function addRoleToInstanceProfile(
  input: AddRoleToInstanceProfileCommandInput,
  context: IamContext,
): Promise<object> {
  const { name, id } = await loadEntity(context, 'roles', checkedName('RoleName', input.RoleName, 64));
  const profileName = checkedName('InstanceProfileName', input.InstanceProfileName, 128);
  await changeEntity(context, 'instance-profiles', profileName, (profile) => {
    if (profile.role) throw iamFailures.limitExceeded('InstanceSessionsPerInstanceProfile', 1);
    return { ...profile, role: { name, id } };
  });
  return {};
}
