import type { IamContext } from '../iam-context.ts';
import { checkedName } from '../iam-names.ts';
import { detachPolicy } from '../policy-holders.ts';
import type { DetachUserPolicyCommandInput } from '@aws-sdk/client-iam';

/** @throws NoSuchEntityException, ValidationError */
export async function detachUserPolicy(
  input: DetachUserPolicyCommandInput,
  context: IamContext,
): Promise<object> {
  await detachPolicy(
    context,
    { kind: 'users', name: checkedName('UserName', input.UserName, 64) },
    input.PolicyArn,
  );
  return {};
}
