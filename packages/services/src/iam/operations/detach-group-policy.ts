import type { IamContext } from '../iam-context.ts';
import { checkedName } from '../iam-names.ts';
import { detachPolicy } from '../policy-holders.ts';
import type { DetachGroupPolicyCommandInput } from '@aws-sdk/client-iam';

/** @throws NoSuchEntityException, ValidationError */
export async function detachGroupPolicy(
  input: DetachGroupPolicyCommandInput,
  context: IamContext,
): Promise<object> {
  await detachPolicy(
    context,
    { kind: 'groups', name: checkedName('GroupName', input.GroupName, 128) },
    input.PolicyArn,
  );
  return {};
}
