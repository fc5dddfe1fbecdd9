import { changeEntity } from '../entities.ts';
import type { IamContext } from '../iam-context.ts';
import { iamFailures } from '../iam-failures.ts';
import { policyNameOf, versionOf } from '../managed-policies.ts';
import type { DeletePolicyVersionCommandInput } from '@aws-sdk/client-iam';

/** @throws NoSuchEntityException, DeleteConflictException */
export async function deletePolicyVersion(
  input: DeletePolicyVersionCommandInput,
  context: IamContext,
): Promise<object> {
  const name = policyNameOf(context, input.PolicyArn);
  await changeEntity(context, 'policies', name, (policy) => {
    const { id } = versionOf(policy, input.VersionId);
    if (id === policy.defaultVersionId) throw iamFailures.deleteConflict('must set another default version');
    return { ...policy, versions: policy.versions.filter((version) => version.id !== id) };
  });
  return {};
}
