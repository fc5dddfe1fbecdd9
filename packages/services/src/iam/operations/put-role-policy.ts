import type { IamContext } from '../iam-context.ts';
import { checkedName } from '../iam-names.ts';
import { putInlinePolicy } from '../policy-holders.ts';
import type { PutRolePolicyCommandInput } from '@aws-sdk/client-iam';

/** @throws NoSuchEntityException, MalformedPolicyDocumentException, LimitExceededException, ValidationError */
export async function putRolePolicy(input: PutRolePolicyCommandInput, context: IamContext): Promise<object> {
  await putInlinePolicy(context, { kind: 'roles', name: checkedName('RoleName', input.RoleName, 64) }, input);
  return {};
}
