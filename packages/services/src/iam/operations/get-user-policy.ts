import type { IamContext, Output } from '../iam-context.ts';
import { checkedName } from '../iam-names.ts';
import { getInlinePolicy } from '../policy-holders.ts';
import type { GetUserPolicyCommandInput, GetUserPolicyCommandOutput } from '@aws-sdk/client-iam';

/** @throws NoSuchEntityException, ValidationError */
export async function getUserPolicy(
  input: GetUserPolicyCommandInput,
  context: IamContext,
): Promise<Output<GetUserPolicyCommandOutput>> {
  const holder = { kind: 'users' as const, name: checkedName('UserName', input.UserName, 64) };
  return { UserName: holder.name, ...(await getInlinePolicy(context, holder, input.PolicyName)) };
}
