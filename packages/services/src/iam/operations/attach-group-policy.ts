import type { IamContext } from '../iam-context.ts';
import { checkedName } from '../iam-names.ts';
import { attachPolicy } from '../policy-holders.ts';
import type { AttachGroupPolicyCommandInput } from '@aws-sdk/client-iam';

/** @throws NoSuchEntityException, LimitExceededException, ValidationError */
export async function attachGroupPolicy(
  input: AttachGroupPolicyCommandInput,
  context: IamContext,
): Promise<object> {
  await attachPolicy(
    context,
    { kind: 'groups', name: checkedName('GroupName', input.GroupName, 128) },
    input.PolicyArn,
  );
  return {};
}
