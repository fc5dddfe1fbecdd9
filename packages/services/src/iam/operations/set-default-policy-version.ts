import { changeEntity } from '../entities.ts';
import type { IamContext } from '../iam-context.ts';
import { policyNameOf, versionOf } from '../managed-policies.ts';
import type { SetDefaultPolicyVersionCommandInput } from '@aws-sdk/client-iam';

/** @throws NoSuchEntityException */
export async function setDefaultPolicyVersion(
  input: SetDefaultPolicyVersionCommandInput,
  context: IamContext,
): Promise<object> {
  const name = policyNameOf(context, input.PolicyArn);
  const updatedAtMs = context.clock.wallMs();
  await changeEntity(context, 'policies', name, (policy) => ({
    ...policy,
    updatedAtMs,
    defaultVersionId: versionOf(policy, input.VersionId).id,
  }));
  return {};
}
