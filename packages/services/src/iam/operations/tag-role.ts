import { changeEntity } from '../entities.ts';
import type { IamContext } from '../iam-context.ts';
import { checkedName, checkedTags, withTags } from '../iam-names.ts';
import type { TagRoleCommandInput } from '@aws-sdk/client-iam';

/** @throws NoSuchEntityException, LimitExceededException, InvalidInputException, ValidationError */
export async function tagRole(input: TagRoleCommandInput, context: IamContext): Promise<object> {
  const name = checkedName('RoleName', input.RoleName, 64);
  const tags = checkedTags(input.Tags);
  await changeEntity(context, 'roles', name, (found) => ({ ...found, tags: withTags(found.tags, tags) }));
  return {};
}
