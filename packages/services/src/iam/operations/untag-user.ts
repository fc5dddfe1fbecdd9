import { changeEntity } from '../entities.ts';
import type { IamContext } from '../iam-context.ts';
import { checkedName, checkedTagKeys, withoutTags } from '../iam-names.ts';
import type { UntagUserCommandInput } from '@aws-sdk/client-iam';

/** @throws NoSuchEntityException, ValidationError */
export async function untagUser(input: UntagUserCommandInput, context: IamContext): Promise<object> {
  const name = checkedName('UserName', input.UserName, 64);
  const keys = checkedTagKeys(input.TagKeys);
  await changeEntity(context, 'users', name, (found) => ({ ...found, tags: withoutTags(found.tags, keys) }));
  return {};
}
