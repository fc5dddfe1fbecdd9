import type { ListTagsForResourceCommand } from '@aws-sdk/client-dlm';
import type { Operation } from '@rokka/gateway';
import type { DlmServices } from '../dlm-context.ts';
import { scopeOf } from '../dlm-inputs.ts';
import { askForPolicy, findPolicy, idInArn } from '../policies.ts';

/** @throws ResourceNotFoundException */
export const listTagsForResource = (services: DlmServices): Operation<typeof ListTagsForResourceCommand> => ({
  resources: async ({ ResourceArn = '' }, call) => [
    await askForPolicy(services, call, idInArn(call, ResourceArn)),
  ],
  async handle({ ResourceArn = '' }, call) {
    const scope = scopeOf(call);
    const { tags } = await findPolicy(services, scope, idInArn(scope, ResourceArn));
    return { Tags: { ...tags } };
  },
});
