import type { DeleteLifecyclePolicyCommand } from '@aws-sdk/client-dlm';
import type { Operation } from '@rokka/gateway';
import type { DlmServices } from '../dlm-context.ts';
import { demandBuilt, scopeOf } from '../dlm-inputs.ts';
import { askForPolicy, changePolicy } from '../policies.ts';

/** Its snapshots stay, and nobody deletes them any more. @throws ResourceNotFoundException */
export const deleteLifecyclePolicy = (
  services: DlmServices,
): Operation<typeof DeleteLifecyclePolicyCommand> => ({
  resources: async ({ PolicyId }, call) => [await askForPolicy(services, call, PolicyId)],
  async handle(input, call) {
    demandBuilt(input, ['PolicyId']);
    await changePolicy(services, scopeOf(call), { id: input.PolicyId, change: () => undefined });
    return {};
  },
});
