import type { UpdateLifecyclePolicyCommand } from '@aws-sdk/client-dlm';
import type { InputOf, Operation } from '@rokka/gateway';
import type { DlmServices } from '../dlm-context.ts';
import { checkedDescription, checkedEnabled, demandBuilt, scopeOf } from '../dlm-inputs.ts';
import type { PolicyRecord } from '../dlm-records.ts';
import { askForRole } from '../execution-role.ts';
import { askForPolicy, changePolicy, demandRole, findPolicy } from '../policies.ts';
import { checkedDetails } from '../policy-details.ts';

type Input = InputOf<typeof UpdateLifecyclePolicyCommand>;

/**
 * What is given takes the place of what was. Where the details change, or it is enabled, times that are due from now on count; runs of schedules
 * that keep their name go on.
 * @throws ResourceNotFoundException, InvalidRequestException
 */
export const updateLifecyclePolicy = (
  services: DlmServices,
): Operation<typeof UpdateLifecyclePolicyCommand> => ({
  resources: async ({ PolicyId, ExecutionRoleArn }, call) => [
    await askForPolicy(services, call, PolicyId),
    ...(await askForRole(services, ExecutionRoleArn)),
  ],
  async handle(input, call) {
    const scope = scopeOf(call);
    demandBuilt(input, ['Description', 'ExecutionRoleArn', 'PolicyDetails', 'PolicyId', 'State']);
    const change = changeOf(input, services.clock.wallMs());
    const known = change(await findPolicy(services, scope, input.PolicyId));
    if (input.ExecutionRoleArn !== undefined) await demandRole(services, scope, known);
    await changePolicy(services, scope, { id: known.id, change });
    return {};
  },
});

/** @throws InvalidRequestException */
function changeOf(input: Input, nowMs: number): (found: PolicyRecord) => PolicyRecord {
  const description = input.Description === undefined ? undefined : checkedDescription(input.Description);
  const enabled = input.State === undefined ? undefined : checkedEnabled(input.State);
  const details = input.PolicyDetails === undefined ? undefined : checkedDetails(input.PolicyDetails, nowMs);
  return (found) => {
    const { error, ...rest } = found;
    const next = {
      ...rest,
      description: description ?? found.description,
      roleArn: input.ExecutionRoleArn ?? found.roleArn,
      isEnabled: enabled ?? found.isEnabled,
      details: details ?? found.details,
      modifiedAtMs: nowMs,
    };
    const names = next.details.schedules.map(({ name }) => name);
    const isAnew = details !== undefined || (next.isEnabled && !found.isEnabled);
    return {
      ...next,
      ...(isAnew && { sinceMs: nowMs }),
      courses: Object.fromEntries(Object.entries(found.courses).filter(([name]) => names.includes(name))),
      // Whoever enables it has seen to it.
      ...(error !== undefined && enabled !== true && { error }),
    };
  };
}
