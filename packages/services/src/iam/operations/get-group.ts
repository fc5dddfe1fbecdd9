import { listEntities, loadEntity } from '../entities.ts';
import type { IamContext, Output } from '../iam-context.ts';
import { checkedName } from '../iam-names.ts';
import { groupShape, userSummary } from '../iam-shapes.ts';
import { pageOf } from '../pages.ts';
import type { GetGroupCommandInput, GetGroupCommandOutput } from '@aws-sdk/client-iam';

/** @throws NoSuchEntityException, ValidationError */
export async function getGroup(
  input: GetGroupCommandInput,
  context: IamContext,
): Promise<Output<GetGroupCommandOutput>> {
  const group = await loadEntity(context, 'groups', checkedName('GroupName', input.GroupName, 128));
  const users = (await listEntities(context, 'users')).filter(({ groups }) =>
    groups.some(({ id }) => id === group.id),
  );
  const { items, more } = pageOf(users, input, ({ name }) => name.toLowerCase());
  const { account } = context.store;
  return {
    Group: groupShape(account, group),
    Users: items.map((user) => userSummary(account, user)),
    ...more,
  };
}
