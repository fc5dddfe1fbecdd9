import type { IamContext } from '../iam-context.ts';
import { checkedName } from '../iam-names.ts';
import { putInlinePolicy } from '../policy-holders.ts';
import type { PutUserPolicyCommandInput } from '@aws-sdk/client-iam';

/** @throws NoSuchEntityException, MalformedPolicyDocumentException, LimitExceededException, ValidationError */
export async function putUserPolicy(input: PutUserPolicyCommandInput, context: IamContext): Promise<object> {
  await putInlinePolicy(context, { kind: 'users', name: checkedName('UserName', input.UserName, 64) }, input);
  return {};
}
