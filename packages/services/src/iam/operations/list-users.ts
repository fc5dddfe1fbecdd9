import { listEntities } from '../entities.ts';
import type { IamContext, Output } from '../iam-context.ts';
import { userSummary } from '../iam-shapes.ts';
import { pageOf } from '../pages.ts';
import type { ListUsersCommandInput, ListUsersCommandOutput } from '@aws-sdk/client-iam';

/** @throws ValidationError */
export async function listUsers(
  input: ListUsersCommandInput,
  context: IamContext,
): Promise<Output<ListUsersCommandOutput>> {
  const users = await listEntities(context, 'users', input.PathPrefix);
  const { items, more } = pageOf(users, input, ({ name }) => name.toLowerCase());
  return { Users: items.map((user) => userSummary(context.store.account, user)), ...more };
}
