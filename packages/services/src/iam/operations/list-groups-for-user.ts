import { listEntities, loadEntity } from '../entities.ts';
import type { IamContext, Output } from '../iam-context.ts';
import { checkedName } from '../iam-names.ts';
import { groupShape } from '../iam-shapes.ts';
import { pageOf } from '../pages.ts';
import type { ListGroupsForUserCommandInput, ListGroupsForUserCommandOutput } from '@aws-sdk/client-iam';

/** @throws NoSuchEntityException, ValidationError */
export async function listGroupsForUser(
  input: ListGroupsForUserCommandInput,
  context: IamContext,
): Promise<Output<ListGroupsForUserCommandOutput>> {
  const user = await loadEntity(context, 'users', checkedName('UserName', input.UserName, 64));
  const ids = new Set(user.groups.map(({ id }) => id));
  const groups = (await listEntities(context, 'groups')).filter(({ id }) => ids.has(id));
  const { items, more } = pageOf(groups, input, ({ name }) => name.toLowerCase());
  return { Groups: items.map((group) => groupShape(context.store.account, group)), ...more };
}
