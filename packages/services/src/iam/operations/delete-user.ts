import { deleteEntity } from '../entities.ts';
import type { IamContext } from '../iam-context.ts';
import { iamFailures } from '../iam-failures.ts';
import { checkedName } from '../iam-names.ts';
import { checkHoldsNothing } from '../policy-holders.ts';
import type { DeleteUserCommandInput } from '@aws-sdk/client-iam';

/** @throws NoSuchEntityException, DeleteConflictException, ValidationError */
export async function deleteUser(input: DeleteUserCommandInput, context: IamContext): Promise<object> {
  const name = checkedName('UserName', input.UserName, 64);
  await deleteEntity(context, 'users', name, (user) => {
    if (user.accessKeys.length > 0) throw iamFailures.deleteConflict('must delete access keys');
    if (user.groups.length > 0) throw iamFailures.deleteConflict('must remove users from group');
    checkHoldsNothing(user);
  });
  return {};
}
