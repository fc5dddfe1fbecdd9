import { changeEntity } from '../entities.ts';
import type { IamContext } from '../iam-context.ts';
import { checkedName, checkedTags, withTags } from '../iam-names.ts';
import type { TagInstanceProfileCommandInput } from '@aws-sdk/client-iam';

/** @throws NoSuchEntityException, LimitExceededException, InvalidInputException, ValidationError */
export async function tagInstanceProfile(
  input: TagInstanceProfileCommandInput,
  context: IamContext,
): Promise<object> {
  const name = checkedName('InstanceProfileName', input.InstanceProfileName, 128);
  const tags = checkedTags(input.Tags);
  await changeEntity(context, 'instance-profiles', name, (found) => ({
    ...found,
    tags: withTags(found.tags, tags),
  }));
  return {};
}
