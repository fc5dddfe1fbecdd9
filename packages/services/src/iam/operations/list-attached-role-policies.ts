import type { IamContext, Output } from '../iam-context.ts';
import { checkedName } from '../iam-names.ts';
import { listAttachedPolicies } from '../policy-holders.ts';
import type {
  ListAttachedRolePoliciesCommandInput,
  ListAttachedRolePoliciesCommandOutput,
} from '@aws-sdk/client-iam';

/** @throws NoSuchEntityException, ValidationError */
export async function listAttachedRolePolicies(
  input: ListAttachedRolePoliciesCommandInput,
  context: IamContext,
): Promise<Output<ListAttachedRolePoliciesCommandOutput>> {
  return listAttachedPolicies(
    context,
    { kind: 'roles', name: checkedName('RoleName', input.RoleName, 64) },
    input,
  );
}
