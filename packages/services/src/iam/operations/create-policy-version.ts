import { changeEntity } from '../entities.ts';
import type { IamContext, Output } from '../iam-context.ts';
import { iamFailures } from '../iam-failures.ts';
import { policyVersionShape } from '../iam-shapes.ts';
import { checkedManagedPolicy, policyNameOf, VERSIONS_MAX } from '../managed-policies.ts';
import type { CreatePolicyVersionCommandInput, CreatePolicyVersionCommandOutput } from '@aws-sdk/client-iam';

/** @throws NoSuchEntityException, MalformedPolicyDocumentException, LimitExceededException, ValidationError */
export async function createPolicyVersion(
  input: CreatePolicyVersionCommandInput,
  context: IamContext,
): Promise<Output<CreatePolicyVersionCommandOutput>> {
  const name = policyNameOf(context, input.PolicyArn);
  const document = checkedManagedPolicy(context, input.PolicyDocument);
  const nowMs = context.clock.wallMs();
  const policy = await changeEntity(context, 'policies', name, (found) => {
    if (found.versions.length >= VERSIONS_MAX)
      throw iamFailures.limitExceeded('VersionsPerPolicy', VERSIONS_MAX);
    const version = { id: `v${found.nextVersion}`, document, createdAtMs: nowMs };
    return {
      ...found,
      updatedAtMs: nowMs,
      nextVersion: found.nextVersion + 1,
      versions: [...found.versions, version],
      defaultVersionId: input.SetAsDefault === true ? version.id : found.defaultVersionId,
    };
  });
  const made = policy.versions.at(-1);
  return made ? { PolicyVersion: policyVersionShape(policy, made) } : {};
}
