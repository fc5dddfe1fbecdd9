import type { ListTagsForResourceCommand } from '@aws-sdk/client-rds';
import type { Operation } from '@rokka/gateway';
import type { RdsServices } from '../rds-context.ts';
import { demandBuilt } from '../rds-inputs.ts';
import { canonicalArn, scopeOf } from '../rds-names.ts';
import { tagsOf } from '../resource-tags.ts';

/** @throws the not-found fault of what is named, InvalidParameterValue */
export const listTagsForResource = (services: RdsServices): Operation<typeof ListTagsForResourceCommand> => ({
  resources: (input, call) => [canonicalArn(input.ResourceName, call)],
  async handle(input, call) {
    demandBuilt(input, ['ResourceName']);
    return { TagList: [...(await tagsOf(services, scopeOf(call), input.ResourceName))] };
  },
});
