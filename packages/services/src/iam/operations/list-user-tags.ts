import { loadEntity } from '../entities.ts';
import type { IamContext, Output } from '../iam-context.ts';
import { checkedName } from '../iam-names.ts';
import { pageOf } from '../pages.ts';
import type { ListUserTagsCommandInput, ListUserTagsCommandOutput } from '@aws-sdk/client-iam';

/** @throws NoSuchEntityException, ValidationError */
export async function listUserTags(
  input: ListUserTagsCommandInput,
  context: IamContext,
): Promise<Output<ListUserTagsCommandOutput>> {
  const { tags } = await loadEntity(context, 'users', checkedName('UserName', input.UserName, 64));
  const { items, more } = pageOf(tags, input, ({ Key }) => Key.toLowerCase());
  return { Tags: items.map((tag) => ({ ...tag })), ...more };
}
