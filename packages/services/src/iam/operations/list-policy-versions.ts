import type { IamContext, Output } from '../iam-context.ts';
import { policyVersionShape } from '../iam-shapes.ts';
import { loadPolicy } from '../managed-policies.ts';
import { pageOf } from '../pages.ts';
import type { ListPolicyVersionsCommandInput, ListPolicyVersionsCommandOutput } from '@aws-sdk/client-iam';

/** @throws NoSuchEntityException, ValidationError */
export async function listPolicyVersions(
  input: ListPolicyVersionsCommandInput,
  context: IamContext,
): Promise<Output<ListPolicyVersionsCommandOutput>> {
  const policy = await loadPolicy(context, input.PolicyArn);
  const { items, more } = pageOf(policy.versions, input, ({ id }) => id.slice(1).padStart(9, '0'));
  return { Versions: items.map((version) => policyVersionShape(policy, version)), ...more };
}
