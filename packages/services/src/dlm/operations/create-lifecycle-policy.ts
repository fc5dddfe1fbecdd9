import type { CreateLifecyclePolicyCommand } from '@aws-sdk/client-dlm';
import type { Operation } from '@rokka/gateway';
import type { DlmServices } from '../dlm-context.ts';
import { dlmFailures } from '../dlm-failures.ts';
import {
  checkedDescription,
  checkedEnabled,
  demandBuilt,
  given,
  mergedTags,
  scopeOf,
} from '../dlm-inputs.ts';
import { policiesPrefix, policyKey, type PolicyRecord } from '../dlm-records.ts';
import { askForRole } from '../execution-role.ts';
import { demandRole, newPolicyId } from '../policies.ts';
import { checkedDetails } from '../policy-details.ts';

/** AWS's limit, of a region. */
const POLICIES_MAX = 100;

/** Times that are due from now on count. @throws InvalidRequestException, LimitExceededException */
export const createLifecyclePolicy = (
  services: DlmServices,
): Operation<typeof CreateLifecyclePolicyCommand> => ({
  resources: async ({ ExecutionRoleArn }) => [
    { arn: '*' },
    ...(await askForRole(services, ExecutionRoleArn)),
  ],
  async handle(input, call) {
    const scope = scopeOf(call);
    const { store, clock, random } = services;
    demandBuilt(input, ['Description', 'ExecutionRoleArn', 'PolicyDetails', 'State', 'Tags']);
    const nowMs = clock.wallMs();
    const policy: PolicyRecord = {
      id: newPolicyId(random),
      description: checkedDescription(input.Description),
      roleArn: given(input.ExecutionRoleArn, 'ExecutionRoleArn'),
      isEnabled: checkedEnabled(input.State),
      tags: mergedTags({}, input.Tags),
      details: checkedDetails(input.PolicyDetails, nowMs),
      createdAtMs: nowMs,
      modifiedAtMs: nowMs,
      sinceMs: nowMs,
      courses: {},
    };
    await demandRole(services, scope, policy);
    if ((await store.list(policiesPrefix(scope))).length >= POLICIES_MAX)
      throw dlmFailures.limit(`There are ${POLICIES_MAX} policies in ${scope.region}, as many as may be.`);
    await store.enter(scope);
    await store.create(policyKey(scope, policy.id), policy);
    return { PolicyId: policy.id };
  },
});
