import { deleteEntity } from '../entities.ts';
import type { IamContext } from '../iam-context.ts';
import { iamFailures } from '../iam-failures.ts';
import { checkedName } from '../iam-names.ts';
import { occupancyOf } from '../instance-profiles.ts';
import type { DeleteInstanceProfileCommandInput } from '@aws-sdk/client-iam';

/** Machines that have it have no role from then on. @throws NoSuchEntityException, DeleteConflictException, ValidationError */
export async function deleteInstanceProfile(
  input: DeleteInstanceProfileCommandInput,
  context: IamContext,
): Promise<object> {
  const name = checkedName('InstanceProfileName', input.InstanceProfileName, 128);
  const hasRole = await occupancyOf(context, name);
  await deleteEntity(context, 'instance-profiles', name, (profile) => {
    if (hasRole(profile)) throw iamFailures.deleteConflict('must remove roles from instance profile');
  });
  return {};
}
