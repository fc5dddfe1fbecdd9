import { createEntity } from '../entities.ts';
import type { IamContext, Output } from '../iam-context.ts';
import { checkedDescription, checkedName, checkedPath, checkedTags, withTags } from '../iam-names.ts';
import { policyDetails, policyShape } from '../iam-shapes.ts';
import { checkedManagedPolicy, NOBODY } from '../managed-policies.ts';
import { uniqueId } from '../unique-ids.ts';
import type { CreatePolicyCommandInput, CreatePolicyCommandOutput } from '@aws-sdk/client-iam';

/** @throws EntityAlreadyExistsException, MalformedPolicyDocumentException, LimitExceededException, ValidationError */
export async function createPolicy(
  input: CreatePolicyCommandInput,
  context: IamContext,
): Promise<Output<CreatePolicyCommandOutput>> {
  const nowMs = context.clock.wallMs();
  const document = checkedManagedPolicy(context, input.PolicyDocument);
  const policy = await createEntity(context, 'policies', {
    name: checkedName('PolicyName', input.PolicyName, 128),
    id: uniqueId(context.random, 'ANPA'),
    path: checkedPath(input.Path),
    createdAtMs: nowMs,
    updatedAtMs: nowMs,
    tags: withTags([], checkedTags(input.Tags)),
    description: checkedDescription(input.Description),
    defaultVersionId: 'v1',
    nextVersion: 2,
    versions: [{ id: 'v1', document, createdAtMs: nowMs }],
  });
  return { Policy: { ...policyShape(context.store.account, policy, NOBODY), ...policyDetails(policy) } };
}
