import { changeEntity } from '../entities.ts';
import type { IamContext } from '../iam-context.ts';
import { checkedTagKeys, withoutTags } from '../iam-names.ts';
import { policyNameOf } from '../managed-policies.ts';
import type { UntagPolicyCommandInput } from '@aws-sdk/client-iam';

/** @throws NoSuchEntityException, ValidationError */
export async function untagPolicy(input: UntagPolicyCommandInput, context: IamContext): Promise<object> {
  const name = policyNameOf(context, input.PolicyArn);
  const keys = checkedTagKeys(input.TagKeys);
  await changeEntity(context, 'policies', name, (found) => ({
    ...found,
    tags: withoutTags(found.tags, keys),
  }));
  return {};
}
