import type { CreateTagsCommand } from '@aws-sdk/client-ec2';
import type { Operation } from '@rokka/gateway';
import { checkedTags, withTags } from '../../tags.ts';
import type { Ec2Services } from '../ec2-context.ts';
import { ec2Failures } from '../ec2-failures.ts';
import { demandBuilt, scopeOf, tagRules } from '../ec2-inputs.ts';
import { askForTagged, changeTags } from '../ec2-tags.ts';

/** @throws the NotFound of what is not there, InvalidID, OperationNotPermitted, TagLimitExceeded, InvalidParameterValue */
export const createTags = (services: Ec2Services): Operation<typeof CreateTagsCommand> => ({
  resources: ({ Resources }, call) => askForTagged(services, call, Resources),
  async handle(input, call) {
    demandBuilt(input, ['Resources', 'Tags']);
    const more = checkedTags(input.Tags, tagRules);
    if (more.length === 0) throw ec2Failures.missing('Tags');
    await changeTags(services, scopeOf(call), {
      ids: input.Resources,
      change: (tags) => withTags(tags, more, tagRules),
    });
    return {};
  },
});
