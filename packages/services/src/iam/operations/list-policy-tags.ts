import { loadEntity } from '../entities.ts';
import type { IamContext, Output } from '../iam-context.ts';
import { policyNameOf } from '../managed-policies.ts';
import { pageOf } from '../pages.ts';
import type { ListPolicyTagsCommandInput, ListPolicyTagsCommandOutput } from '@aws-sdk/client-iam';

/** @throws NoSuchEntityException, ValidationError */
export async function listPolicyTags(
  input: ListPolicyTagsCommandInput,
  context: IamContext,
): Promise<Output<ListPolicyTagsCommandOutput>> {
  const { tags } = await loadEntity(context, 'policies', policyNameOf(context, input.PolicyArn));
  const { items, more } = pageOf(tags, input, ({ Key }) => Key.toLowerCase());
  return { Tags: items.map((tag) => ({ ...tag })), ...more };
}
