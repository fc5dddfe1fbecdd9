import type { IamContext, Output } from '../iam-context.ts';
import { policyVersionShape } from '../iam-shapes.ts';
import { loadPolicy, versionOf } from '../managed-policies.ts';
import type { GetPolicyVersionCommandInput, GetPolicyVersionCommandOutput } from '@aws-sdk/client-iam';

/** @throws NoSuchEntityException */
export async function getPolicyVersion(
  input: GetPolicyVersionCommandInput,
  context: IamContext,
): Promise<Output<GetPolicyVersionCommandOutput>> {
  const policy = await loadPolicy(context, input.PolicyArn);
  const version = versionOf(policy, input.VersionId);
  return {
    PolicyVersion: { ...policyVersionShape(policy, version), Document: encodeURIComponent(version.document) },
  };
}
