import { changeEntity } from '../entities.ts';
import type { IamContext } from '../iam-context.ts';
import { checkedName, checkedTags, withTags } from '../iam-names.ts';
import type { TagUserCommandInput } from '@aws-sdk/client-iam';

/** @throws NoSuchEntityException, LimitExceededException, InvalidInputException, ValidationError */
export async function tagUser(input: TagUserCommandInput, context: IamContext): Promise<object> {
  const name = checkedName('UserName', input.UserName, 64);
  const tags = checkedTags(input.Tags);
  await changeEntity(context, 'users', name, (found) => ({ ...found, tags: withTags(found.tags, tags) }));
  return {};
}
