import { createEntity } from '../entities.ts';
import type { IamContext, Output } from '../iam-context.ts';
import { checkedName, checkedPath, checkedTags, withTags } from '../iam-names.ts';
import { userShape } from '../iam-shapes.ts';
import { referenceTo } from '../policy-holders.ts';
import { uniqueId } from '../unique-ids.ts';
import type { CreateUserCommandInput, CreateUserCommandOutput } from '@aws-sdk/client-iam';

/** @throws EntityAlreadyExistsException, NoSuchEntityException, InvalidInputException, LimitExceededException, ValidationError */
export async function createUser(
  input: CreateUserCommandInput,
  context: IamContext,
): Promise<Output<CreateUserCommandOutput>> {
  const { store, random, clock } = context;
  const boundary =
    input.PermissionsBoundary === undefined
      ? undefined
      : await referenceTo(context, input.PermissionsBoundary);
  const user = await createEntity(context, 'users', {
    name: checkedName('UserName', input.UserName, 64),
    id: uniqueId(random, 'AIDA'),
    path: checkedPath(input.Path),
    createdAtMs: clock.wallMs(),
    tags: withTags([], checkedTags(input.Tags)),
    attached: [],
    inline: [],
    boundary,
    accessKeys: [],
    groups: [],
  });
  return { User: userShape(store.account, user) };
}
