import { loadEntity } from '../entities.ts';
import type { IamContext, Output } from '../iam-context.ts';
import { checkedName } from '../iam-names.ts';
import { pageOf } from '../pages.ts';
import type {
  ListInstanceProfileTagsCommandInput,
  ListInstanceProfileTagsCommandOutput,
} from '@aws-sdk/client-iam';

/** @throws NoSuchEntityException, ValidationError */
export async function listInstanceProfileTags(
  input: ListInstanceProfileTagsCommandInput,
  context: IamContext,
): Promise<Output<ListInstanceProfileTagsCommandOutput>> {
  const { tags } = await loadEntity(
    context,
    'instance-profiles',
    checkedName('InstanceProfileName', input.InstanceProfileName, 128),
  );
  const { items, more } = pageOf(tags, input, ({ Key }) => Key.toLowerCase());
  return { Tags: items.map((tag) => ({ ...tag })), ...more };
}
