import { changeEntity } from '../entities.ts';
import type { IamContext } from '../iam-context.ts';
import { checkedName, checkedTagKeys, withoutTags } from '../iam-names.ts';
import type { UntagRoleCommandInput } from '@aws-sdk/client-iam';

/** @throws NoSuchEntityException, ValidationError */
export async function untagRole(input: UntagRoleCommandInput, context: IamContext): Promise<object> {
  const name = checkedName('RoleName', input.RoleName, 64);
  const keys = checkedTagKeys(input.TagKeys);
  await changeEntity(context, 'roles', name, (found) => ({ ...found, tags: withoutTags(found.tags, keys) }));
  return {};
}
