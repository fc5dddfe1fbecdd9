import type { IamContext } from '../iam-context.ts';
import { checkedName } from '../iam-names.ts';
import { deleteInlinePolicy } from '../policy-holders.ts';
import type { DeleteUserPolicyCommandInput } from '@aws-sdk/client-iam';

/** @throws NoSuchEntityException, ValidationError */
export async function deleteUserPolicy(
  input: DeleteUserPolicyCommandInput,
  context: IamContext,
): Promise<object> {
  await deleteInlinePolicy(
    context,
    { kind: 'users', name: checkedName('UserName', input.UserName, 64) },
    input.PolicyName,
  );
  return {};
}
