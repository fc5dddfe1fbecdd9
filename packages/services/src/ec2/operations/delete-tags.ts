import type { DeleteTagsCommand } from '@aws-sdk/client-ec2';
import type { Operation } from '@rokka/gateway';
import { isReserved } from '../../tags.ts';
import type { Ec2Services } from '../ec2-context.ts';
import { ec2Failures } from '../ec2-failures.ts';
import { demandBuilt, scopeOf } from '../ec2-inputs.ts';
import { askForTagged, changeTags } from '../ec2-tags.ts';

/**
 * Those with the key, and the value where one is said; all of one's own where no tag is. What is not there is no error.
 * @throws the NotFound of what is not there, InvalidID, OperationNotPermitted, InvalidParameterValue for those of a service
 */
export const deleteTags = (services: Ec2Services): Operation<typeof DeleteTagsCommand> => ({
  resources: ({ Resources }, call) => askForTagged(services, call, Resources),
  async handle(input, call) {
    demandBuilt(input, ['Resources', 'Tags']);
    const { Resources: ids, Tags: going = [] } = input;
    const reserved = going.find(({ Key = '' }) => isReserved(Key));
    if (reserved)
      throw ec2Failures.parameter(
        `Tag keys starting with 'aws:' are reserved for internal use: ${reserved.Key?.slice(0, 127)}.`,
      );
    await changeTags(services, scopeOf(call), {
      ids,
      change: (tags) =>
        going.length === 0
          ? tags.filter(({ Key }) => isReserved(Key))
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
