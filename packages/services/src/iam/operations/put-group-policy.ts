import type { IamContext } from '../iam-context.ts';
import { checkedName } from '../iam-names.ts';
import { putInlinePolicy } from '../policy-holders.ts';
import type { PutGroupPolicyCommandInput } from '@aws-sdk/client-iam';

/** @throws NoSuchEntityException, MalformedPolicyDocumentException, LimitExceededException, ValidationError */
export async function putGroupPolicy(
  input: PutGroupPolicyCommandInput,
  context: IamContext,
): Promise<object> {
  await putInlinePolicy(
    context,
    { kind: 'groups', name: checkedName('GroupName', input.GroupName, 128) },
    input,
  );
  return {};
}
