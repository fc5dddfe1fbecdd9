import type { IamContext, Output } from '../iam-context.ts';
import { checkedName } from '../iam-names.ts';
import { getInlinePolicy } from '../policy-holders.ts';
import type { GetGroupPolicyCommandInput, GetGroupPolicyCommandOutput } from '@aws-sdk/client-iam';

/** @throws NoSuchEntityException, ValidationError */
export async function getGroupPolicy(
  input: GetGroupPolicyCommandInput,
  context: IamContext,
): Promise<Output<GetGroupPolicyCommandOutput>> {
  const holder = { kind: 'groups' as const, name: checkedName('GroupName', input.GroupName, 128) };
  return { GroupName: holder.name, ...(await getInlinePolicy(context, holder, input.PolicyName)) };
}
