import { createEntity } from '../entities.ts';
import type { IamContext, Output } from '../iam-context.ts';
import { checkedName, checkedPath } from '../iam-names.ts';
import { groupShape } from '../iam-shapes.ts';
import { uniqueId } from '../unique-ids.ts';
import type { CreateGroupCommandInput, CreateGroupCommandOutput } from '@aws-sdk/client-iam';

/** @throws EntityAlreadyExistsException, ValidationError */
export async function createGroup(
  input: CreateGroupCommandInput,
  context: IamContext,
): Promise<Output<CreateGroupCommandOutput>> {
  const group = await createEntity(context, 'groups', {
    name: checkedName('GroupName', input.GroupName, 128),
    id: uniqueId(context.random, 'AGPA'),
    path: checkedPath(input.Path),
    createdAtMs: context.clock.wallMs(),
    tags: [],
    attached: [],
    inline: [],
  });
  return { Group: groupShape(context.store.account, group) };
}
