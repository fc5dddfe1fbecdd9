import type { IamContext, Output } from '../iam-context.ts';
import { policyDetails, policyShape } from '../iam-shapes.ts';
import { loadPolicy } from '../managed-policies.ts';
import { holdings } from '../policy-holders.ts';
import type { GetPolicyCommandInput, GetPolicyCommandOutput } from '@aws-sdk/client-iam';

/** @throws NoSuchEntityException */
export async function getPolicy(
  input: GetPolicyCommandInput,
  context: IamContext,
): Promise<Output<GetPolicyCommandOutput>> {
  const policy = await loadPolicy(context, input.PolicyArn);
  const shape = policyShape(context.store.account, policy, await holdings(context));
  return { Policy: { ...shape, ...policyDetails(policy) } };
}
