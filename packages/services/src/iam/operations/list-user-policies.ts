import type { IamContext, Output } from '../iam-context.ts';
import { checkedName } from '../iam-names.ts';
import { listInlinePolicies } from '../policy-holders.ts';
import type { ListUserPoliciesCommandInput, ListUserPoliciesCommandOutput } from '@aws-sdk/client-iam';

/** @throws NoSuchEntityException, ValidationError */
export async function listUserPolicies(
  input: ListUserPoliciesCommandInput,
  context: IamContext,
): Promise<Output<ListUserPoliciesCommandOutput>> {
  return listInlinePolicies(
    context,
    { kind: 'users', name: checkedName('UserName', input.UserName, 64) },
    input,
  );
}
