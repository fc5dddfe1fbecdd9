import type { IamContext, Output } from '../iam-context.ts';
import { checkedName } from '../iam-names.ts';
import { listAttachedPolicies } from '../policy-holders.ts';
import type {
  ListAttachedUserPoliciesCommandInput,
  ListAttachedUserPoliciesCommandOutput,
} from '@aws-sdk/client-iam';

/** @throws NoSuchEntityException, ValidationError */
export async function listAttachedUserPolicies(
  input: ListAttachedUserPoliciesCommandInput,
  context: IamContext,
): Promise<Output<ListAttachedUserPoliciesCommandOutput>> {
  return listAttachedPolicies(
    context,
    { kind: 'users', name: checkedName('UserName', input.UserName, 64) },
    input,
  );
}
