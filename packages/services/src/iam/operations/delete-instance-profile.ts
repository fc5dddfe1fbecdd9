import { deleteEntity } from '../entities.ts';
import type { IamContext } from '../iam-context.ts';
import { iamFailures } from '../iam-failures.ts';
import { checkedName } from '../iam-names.ts';
import type { DeleteInstanceProfileCommandInput } from '@aws-sdk/client-iam';

/** @throws NoSuchEntityException, DeleteConflictException, ValidationError */
export async function deleteInstanceProfile(
  input: DeleteInstanceProfileCommandInput,
  context: IamContext,
): Promise<object> {
  const name = checkedName('InstanceProfileName', input.InstanceProfileName, 128);
  await deleteEntity(context, 'instance-profiles', name, ({ role }) => {
    if (role) throw iamFailures.deleteConflict('must remove roles from instance profile');
  });
  return {};
}
