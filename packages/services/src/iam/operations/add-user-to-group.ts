import { changeEntity, loadEntity } from '../entities.ts';
import type { IamContext } from '../iam-context.ts';
import { iamFailures } from '../iam-failures.ts';
import { checkedName } from '../iam-names.ts';
import type { AddUserToGroupCommandInput } from '@aws-sdk/client-iam';

const GROUPS_MAX = 10;

/** @throws NoSuchEntityException, LimitExceededException, ValidationError */
export async function addUserToGroup(
  input: AddUserToGroupCommandInput,
  context: IamContext,
): Promise<object> {
  const userName = checkedName('UserName', input.UserName, 64);
  const { name, id } = await loadEntity(context, 'groups', checkedName('GroupName', input.GroupName, 128));
  await changeEntity(context, 'users', userName, (user) => {
    if (user.groups.some((group) => group.id === id)) return user;
    const others = user.groups.filter((group) => group.name.toLowerCase() !== name.toLowerCase());
    if (others.length >= GROUPS_MAX) throw iamFailures.limitExceeded('GroupsPerUser', GROUPS_MAX);
    return { ...user, groups: [...others, { name, id }] };
  });
  // The group may have been deleted after we looked and before it had this member: then its member may do nothing.
  await loadEntity(context, 'groups', name);
  return {};
}
