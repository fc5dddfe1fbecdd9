import type { IamContext } from '../iam-context.ts';
import { checkedName } from '../iam-names.ts';
import { attachPolicy } from '../policy-holders.ts';
import type { AttachUserPolicyCommandInput } from '@aws-sdk/client-iam';

/** @throws NoSuchEntityException, LimitExceededException, ValidationError */
export async function attachUserPolicy(
  input: AttachUserPolicyCommandInput,
  context: IamContext,
): Promise<object> {
  await attachPolicy(
    context,
    { kind: 'users', name: checkedName('UserName', input.UserName, 64) },
    input.PolicyArn,
  );
  return {};
}
