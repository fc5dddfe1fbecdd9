import type { IamContext, Output } from '../iam-context.ts';
import { checkedName } from '../iam-names.ts';
import { listAttachedPolicies } from '../policy-holders.ts';
import type {
  ListAttachedGroupPoliciesCommandInput,
  ListAttachedGroupPoliciesCommandOutput,
} from '@aws-sdk/client-iam';

/** @throws NoSuchEntityException, ValidationError */
export async function listAttachedGroupPolicies(
  input: ListAttachedGroupPoliciesCommandInput,
  context: IamContext,
): Promise<Output<ListAttachedGroupPoliciesCommandOutput>> {
  return listAttachedPolicies(
    context,
    { kind: 'groups', name: checkedName('GroupName', input.GroupName, 128) },
    input,
  );
}
