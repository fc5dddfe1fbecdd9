import { changeEntity } from '../entities.ts';
import type { IamContext } from '../iam-context.ts';
import { iamFailures } from '../iam-failures.ts';
import { checkedName, checkedPath } from '../iam-names.ts';
import type { UpdateUserCommandInput } from '@aws-sdk/client-iam';

/** The path only: a name is what keys and policies know a user by. @throws NoSuchEntityException, UnmodifiableEntityException, ValidationError */
export async function updateUser(input: UpdateUserCommandInput, context: IamContext): Promise<object> {
  const name = checkedName('UserName', input.UserName, 64);
  if (input.NewUserName !== undefined && input.NewUserName !== name)
    throw iamFailures.unmodifiable(
      `${name} cannot be renamed here: create another user, and delete this one.`,
    );
  const path = input.NewPath === undefined ? undefined : checkedPath(input.NewPath);
  await changeEntity(context, 'users', name, (user) => (path === undefined ? user : { ...user, path }));
  return {};
}
