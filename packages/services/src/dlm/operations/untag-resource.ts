import type { UntagResourceCommand } from '@aws-sdk/client-dlm';
import type { Operation } from '@rokka/gateway';
import type { DlmServices } from '../dlm-context.ts';
import { scopeOf } from '../dlm-inputs.ts';
import { askForPolicy, changePolicy, idInArn } from '../policies.ts';

/** A key that is not there is no error. @throws ResourceNotFoundException */
export const untagResource = (services: DlmServices): Operation<typeof UntagResourceCommand> => ({
  resources: async ({ ResourceArn = '' }, call) => [
    await askForPolicy(services, call, idInArn(call, ResourceArn)),
  ],
  async handle({ ResourceArn = '', TagKeys = [] }, call) {
    const scope = scopeOf(call);
    await changePolicy(services, scope, {
      id: idInArn(scope, ResourceArn),
      change: (found) => ({
        ...found,
        tags: Object.fromEntries(Object.entries(found.tags).filter(([key]) => !TagKeys.includes(key))),
      }),
    });
    return {};
  },
});
