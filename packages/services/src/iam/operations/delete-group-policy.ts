import type { IamContext } from '../iam-context.ts';
import { checkedName } from '../iam-names.ts';
import { deleteInlinePolicy } from '../policy-holders.ts';
import type { DeleteGroupPolicyCommandInput } from '@aws-sdk/client-iam';

/** @throws NoSuchEntityException, ValidationError */
export async function deleteGroupPolicy(
  input: DeleteGroupPolicyCommandInput,
  context: IamContext,
): Promise<object> {
  await deleteInlinePolicy(
    context,
    { kind: 'groups', name: checkedName('GroupName', input.GroupName, 128) },
    input.PolicyName,
  );
  return {};
}
