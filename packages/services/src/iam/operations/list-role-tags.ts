import { loadEntity } from '../entities.ts';
import type { IamContext, Output } from '../iam-context.ts';
import { checkedName } from '../iam-names.ts';
import { pageOf } from '../pages.ts';
import type { ListRoleTagsCommandInput, ListRoleTagsCommandOutput } from '@aws-sdk/client-iam';

/** @throws NoSuchEntityException, ValidationError */
export async function listRoleTags(
  input: ListRoleTagsCommandInput,
  context: IamContext,
): Promise<Output<ListRoleTagsCommandOutput>> {
  const { tags } = await loadEntity(context, 'roles', checkedName('RoleName', input.RoleName, 64));
  const { items, more } = pageOf(tags, input, ({ Key }) => Key.toLowerCase());
  return { Tags: items.map((tag) => ({ ...tag })), ...more };
}
