import { changeEntity } from '../entities.ts';
import type { IamContext } from '../iam-context.ts';
import { iamFailures } from '../iam-failures.ts';
import { checkedName } from '../iam-names.ts';
import type { RemoveUserFromGroupCommandInput } from '@aws-sdk/client-iam';

/** Also from one that is no more. @throws NoSuchEntityException, ValidationError */
export async function removeUserFromGroup(
  input: RemoveUserFromGroupCommandInput,
  context: IamContext,
): Promise<object> {
  const groupName = checkedName('GroupName', input.GroupName, 128);
  await changeEntity(context, 'users', checkedName('UserName', input.UserName, 64), (user) => {
    const groups = user.groups.filter(({ name }) => name.toLowerCase() !== groupName.toLowerCase());
    if (groups.length === user.groups.length) throw iamFailures.noSuchEntity('groups', groupName);
    return { ...user, groups };
  });
  return {};
}
