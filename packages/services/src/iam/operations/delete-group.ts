import { deleteEntity, listEntities } from '../entities.ts';
import type { IamContext } from '../iam-context.ts';
import { iamFailures } from '../iam-failures.ts';
import { checkedName } from '../iam-names.ts';
import { checkHoldsNothing } from '../policy-holders.ts';
import type { DeleteGroupCommandInput } from '@aws-sdk/client-iam';

/** @throws NoSuchEntityException, DeleteConflictException, ValidationError */
export async function deleteGroup(input: DeleteGroupCommandInput, context: IamContext): Promise<object> {
  const users = await listEntities(context, 'users');
  await deleteEntity(context, 'groups', checkedName('GroupName', input.GroupName, 128), (group) => {
    if (users.some(({ groups }) => groups.some(({ id }) => id === group.id)))
      throw iamFailures.deleteConflict('must remove users from group');
    checkHoldsNothing(group);
  });
  return {};
}
