import { changeEntity } from '../entities.ts';
import type { IamContext } from '../iam-context.ts';
import { checkedName, checkedTagKeys, withoutTags } from '../iam-names.ts';
import type { UntagInstanceProfileCommandInput } from '@aws-sdk/client-iam';

/** @throws NoSuchEntityException, ValidationError */
export async function untagInstanceProfile(
  input: UntagInstanceProfileCommandInput,
  context: IamContext,
): Promise<object> {
  const name = checkedName('InstanceProfileName', input.InstanceProfileName, 128);
  const keys = checkedTagKeys(input.TagKeys);
  await changeEntity(context, 'instance-profiles', name, (found) => ({
    ...found,
    tags: withoutTags(found.tags, keys),
  }));
  return {};
}
