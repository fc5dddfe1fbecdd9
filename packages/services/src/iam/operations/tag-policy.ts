import { changeEntity } from '../entities.ts';
import type { IamContext } from '../iam-context.ts';
import { checkedTags, withTags } from '../iam-names.ts';
import { policyNameOf } from '../managed-policies.ts';
import type { TagPolicyCommandInput } from '@aws-sdk/client-iam';

/** @throws NoSuchEntityException, LimitExceededException, InvalidInputException, ValidationError */
export async function tagPolicy(input: TagPolicyCommandInput, context: IamContext): Promise<object> {
  const name = policyNameOf(context, input.PolicyArn);
  const tags = checkedTags(input.Tags);
  await changeEntity(context, 'policies', name, (found) => ({ ...found, tags: withTags(found.tags, tags) }));
  return {};
}
