import type { TagResourceCommand } from '@aws-sdk/client-dlm';
import type { Operation } from '@rokka/gateway';
import type { DlmServices } from '../dlm-context.ts';
import { mergedTags, scopeOf } from '../dlm-inputs.ts';
import { askForPolicy, changePolicy, idInArn } from '../policies.ts';

/** @throws ResourceNotFoundException, InvalidRequestException */
export const tagResource = (services: DlmServices): Operation<typeof TagResourceCommand> => ({
  resources: async ({ ResourceArn = '' }, call) => [
    await askForPolicy(services, call, idInArn(call, ResourceArn)),
  ],
  async handle({ ResourceArn = '', Tags }, call) {
    const scope = scopeOf(call);
    await changePolicy(services, scope, {
      id: idInArn(scope, ResourceArn),
      change: (found) => ({ ...found, tags: mergedTags(found.tags, Tags) }),
    });
    return {};
  },
});
