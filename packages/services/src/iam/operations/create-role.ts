import { createEntity } from '../entities.ts';
import type { IamContext, Output } from '../iam-context.ts';
import { checkedDescription, checkedName, checkedPath, checkedTags, withTags } from '../iam-names.ts';
import { roleShape } from '../iam-shapes.ts';
import { referenceTo } from '../policy-holders.ts';
import { checkedSessionSeconds } from '../role-sessions.ts';
import { checkedTrust } from '../trust-texts.ts';
import { uniqueId } from '../unique-ids.ts';
import type { CreateRoleCommandInput, CreateRoleCommandOutput } from '@aws-sdk/client-iam';

/** @throws EntityAlreadyExistsException, NoSuchEntityException, MalformedPolicyDocumentException, LimitExceededException, ValidationError */
export async function createRole(
  input: CreateRoleCommandInput,
  context: IamContext,
): Promise<Output<CreateRoleCommandOutput>> {
  const { store, random, clock } = context;
  const boundary =
    input.PermissionsBoundary === undefined
      ? undefined
      : await referenceTo(context, input.PermissionsBoundary);
  const role = await createEntity(context, 'roles', {
    name: checkedName('RoleName', input.RoleName, 64),
    id: uniqueId(random, 'AROA'),
    path: checkedPath(input.Path),
    createdAtMs: clock.wallMs(),
    tags: withTags([], checkedTags(input.Tags)),
    attached: [],
    inline: [],
    boundary,
    description: checkedDescription(input.Description),
    maxSessionSeconds: checkedSessionSeconds(input.MaxSessionDuration),
    ...(await checkedTrust(context, input.AssumeRolePolicyDocument)),
  });
  return { Role: roleShape(store.account, role) };
}
