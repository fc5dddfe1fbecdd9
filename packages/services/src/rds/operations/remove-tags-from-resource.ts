import type { RemoveTagsFromResourceCommand } from '@aws-sdk/client-rds';
import type { Operation } from '@rokka/gateway';
import type { RdsServices } from '../rds-context.ts';
import { canonicalArn, scopeOf } from '../rds-names.ts';
import { changeTags } from '../resource-tags.ts';

/** Keys that are not there are no error. @throws the not-found fault of what is named, InvalidParameterValue */
export const removeTagsFromResource = (
  services: RdsServices,
): Operation<typeof RemoveTagsFromResourceCommand> => ({
  resources: (input, call) => [canonicalArn(input.ResourceName, call)],
  async handle(input, call) {
    const keys = input.TagKeys ?? [];
    await changeTags(services, scopeOf(call), {
      arn: input.ResourceName,
      change: (tags) => tags.filter(({ Key }) => !keys.includes(Key)),
    });
    return {};
  },
});
