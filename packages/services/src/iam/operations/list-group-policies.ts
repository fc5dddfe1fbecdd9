import type { IamContext, Output } from '../iam-context.ts';
import { checkedName } from '../iam-names.ts';
import { listInlinePolicies } from '../policy-holders.ts';
import type { ListGroupPoliciesCommandInput, ListGroupPoliciesCommandOutput } from '@aws-sdk/client-iam';

/** @throws NoSuchEntityException, ValidationError */
export async function listGroupPolicies(
  input: ListGroupPoliciesCommandInput,
  context: IamContext,
): Promise<Output<ListGroupPoliciesCommandOutput>> {
  return listInlinePolicies(
    context,
    { kind: 'groups', name: checkedName('GroupName', input.GroupName, 128) },
    input,
  );
}
