import type { IamContext } from '../iam-context.ts';
import { checkedName } from '../iam-names.ts';
import { attachPolicy } from '../policy-holders.ts';
import type { AttachRolePolicyCommandInput } from '@aws-sdk/client-iam';

/** @throws NoSuchEntityException, LimitExceededException, ValidationError */
export async function attachRolePolicy(
  input: AttachRolePolicyCommandInput,
  context: IamContext,
): Promise<object> {
  await attachPolicy(
    context,
    { kind: 'roles', name: checkedName('RoleName', input.RoleName, 64) },
    input.PolicyArn,
  );
  return {};
}
