import type { IamContext, Output } from '../iam-context.ts';
import { checkedName } from '../iam-names.ts';
import { listInlinePolicies } from '../policy-holders.ts';
import type { ListRolePoliciesCommandInput, ListRolePoliciesCommandOutput } from '@aws-sdk/client-iam';

/** @throws NoSuchEntityException, ValidationError */
export async function listRolePolicies(
  input: ListRolePoliciesCommandInput,
  context: IamContext,
): Promise<Output<ListRolePoliciesCommandOutput>> {
  return listInlinePolicies(
    context,
    { kind: 'roles', name: checkedName('RoleName', input.RoleName, 64) },
    input,
  );
}
