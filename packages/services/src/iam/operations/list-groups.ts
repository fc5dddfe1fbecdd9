import { listEntities } from '../entities.ts';
import type { IamContext, Output } from '../iam-context.ts';
import { groupShape } from '../iam-shapes.ts';
import { pageOf } from '../pages.ts';
import type { ListGroupsCommandInput, ListGroupsCommandOutput } from '@aws-sdk/client-iam';

/** @throws ValidationError */
export async function listGroups(
  input: ListGroupsCommandInput,
  context: IamContext,
): Promise<Output<ListGroupsCommandOutput>> {
  const groups = await listEntities(context, 'groups', input.PathPrefix);
  const { items, more } = pageOf(groups, input, ({ name }) => name.toLowerCase());
  return { Groups: items.map((group) => groupShape(context.store.account, group)), ...more };
}
