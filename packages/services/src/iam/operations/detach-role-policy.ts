import type { IamContext } from '../iam-context.ts';
import { checkedName } from '../iam-names.ts';
import { detachPolicy } from '../policy-holders.ts';
import type { DetachRolePolicyCommandInput } from '@aws-sdk/client-iam';

/** @throws NoSuchEntityException, ValidationError */
export async function detachRolePolicy(
  input: DetachRolePolicyCommandInput,
  context: IamContext,
): Promise<object> {
  await detachPolicy(
    context,
    { kind: 'roles', name: checkedName('RoleName', input.RoleName, 64) },
    input.PolicyArn,
  );
  return {};
}
