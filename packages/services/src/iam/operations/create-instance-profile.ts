import { createEntity } from '../entities.ts';
import type { IamContext, Output } from '../iam-context.ts';
import { checkedName, checkedPath, checkedTags, withTags } from '../iam-names.ts';
import { instanceProfileShape } from '../iam-shapes.ts';
import { uniqueId } from '../unique-ids.ts';
import type {
  CreateInstanceProfileCommandInput,
  CreateInstanceProfileCommandOutput,
} from '@aws-sdk/client-iam';

/** @throws EntityAlreadyExistsException, ValidationError */
export async function createInstanceProfile(
  input: CreateInstanceProfileCommandInput,
  context: IamContext,
): Promise<Output<CreateInstanceProfileCommandOutput>> {
  const profile = await createEntity(context, 'instance-profiles', {
    name: checkedName('InstanceProfileName', input.InstanceProfileName, 128),
    id: uniqueId(context.random, 'AIPA'),
    path: checkedPath(input.Path),
    createdAtMs: context.clock.wallMs(),
    tags: withTags([], checkedTags(input.Tags)),
  });
  return { InstanceProfile: instanceProfileShape(context.store.account, profile, undefined) };
}
