import type { IamContext, Output } from '../iam-context.ts';
import { checkedName } from '../iam-names.ts';
import { getInlinePolicy } from '../policy-holders.ts';
import type { GetRolePolicyCommandInput, GetRolePolicyCommandOutput } from '@aws-sdk/client-iam';

/** @throws NoSuchEntityException, ValidationError */
export async function getRolePolicy(
  input: GetRolePolicyCommandInput,
  context: IamContext,
): Promise<Output<GetRolePolicyCommandOutput>> {
  const holder = { kind: 'roles' as const, name: checkedName('RoleName', input.RoleName, 64) };
  return { RoleName: holder.name, ...(await getInlinePolicy(context, holder, input.PolicyName)) };
}
