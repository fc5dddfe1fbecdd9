import type { DeleteTagsCommand } from '@aws-sdk/client-ec2';
import type { Operation } from '@rokka/gateway';
import type { Ec2Services } from '../ec2-context.ts';
import { demandBuilt, scopeOf } from '../ec2-inputs.ts';
import { askForTagged, changeTags } from '../ec2-tags.ts';

/**
 * Those with the key, and the value where one is said; all of them where no tag is. What is not there is no error.
 * @throws the NotFound of what is not there, InvalidID, OperationNotPermitted
 */
export const deleteTags = (services: Ec2Services): Operation<typeof DeleteTagsCommand> => ({
  resources: ({ Resources }, call) => askForTagged(services, call, Resources),
  async handle(input, call) {
    demandBuilt(input, ['Resources', 'Tags']);
    const { Resources: ids, Tags: going = [] } = input;
    await changeTags(services, scopeOf(call), {
      ids,
      change: (tags) =>
        going.length === 0
          ? []
          : tags.filter(
              (tag) =>
                !going.some(
                  ({ Key, Value }) => Key === tag.Key && (Value === undefined || Value === tag.Value),
                ),
            ),
    });
    return {};
  },
});
