import type { GetLifecyclePolicyCommand } from '@aws-sdk/client-dlm';
import type { Operation } from '@rokka/gateway';
import type { DlmServices } from '../dlm-context.ts';
import { demandBuilt, scopeOf } from '../dlm-inputs.ts';
import { askForPolicy, findPolicy, policyShape } from '../policies.ts';

/** @throws ResourceNotFoundException */
export const getLifecyclePolicy = (services: DlmServices): Operation<typeof GetLifecyclePolicyCommand> => ({
  resources: async ({ PolicyId }, call) => [await askForPolicy(services, call, PolicyId)],
  async handle(input, call) {
    const scope = scopeOf(call);
    demandBuilt(input, ['PolicyId']);
    return { Policy: policyShape(scope, await findPolicy(services, scope, input.PolicyId)) };
  },
});
