import type { IamContext } from '../iam-context.ts';
import { checkedName } from '../iam-names.ts';
import { deleteInlinePolicy } from '../policy-holders.ts';
import type { DeleteRolePolicyCommandInput } from '@aws-sdk/client-iam';

/** @throws NoSuchEntityException, ValidationError */
export async function deleteRolePolicy(
  input: DeleteRolePolicyCommandInput,
  context: IamContext,
): Promise<object> {
  await deleteInlinePolicy(
    context,
    { kind: 'roles', name: checkedName('RoleName', input.RoleName, 64) },
    input.PolicyName,
  );
  return {};
}
