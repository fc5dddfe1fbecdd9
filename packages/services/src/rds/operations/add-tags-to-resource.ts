import type { AddTagsToResourceCommand } from '@aws-sdk/client-rds';
import type { Operation } from '@rokka/gateway';
import type { RdsServices } from '../rds-context.ts';
import { tagRules } from '../rds-inputs.ts';
import { checkedTags, withTags } from '../../tags.ts';
import { canonicalArn, scopeOf } from '../rds-names.ts';
import { changeTags } from '../resource-tags.ts';

/** @throws the not-found fault of what is named, InvalidParameterValue */
export const addTagsToResource = (services: RdsServices): Operation<typeof AddTagsToResourceCommand> => ({
  resources: (input, call) => [canonicalArn(input.ResourceName, call)],
  async handle(input, call) {
    const more = checkedTags(input.Tags, tagRules);
    const arn = input.ResourceName;
    await changeTags(services, scopeOf(call), { arn, change: (tags) => withTags(tags, more, tagRules) });
    return {};
  },
});
