import type { GetLifecyclePoliciesCommand } from '@aws-sdk/client-dlm';
import type { InputOf, Operation } from '@rokka/gateway';
import type { Tag } from '../../tags.ts';
import type { DlmServices } from '../dlm-context.ts';
import { dlmFailures } from '../dlm-failures.ts';
import { demandBuilt, scopeOf } from '../dlm-inputs.ts';
import { policiesPrefix, type PolicyRecord } from '../dlm-records.ts';
import { stateOf, summaryShape } from '../policies.ts';

type Input = InputOf<typeof GetLifecyclePoliciesCommand>;

/** Those that all that is given says, in the order of their ids. @throws ResourceNotFoundException for an id that is not there */
export const getLifecyclePolicies =
  (services: DlmServices): Operation<typeof GetLifecyclePoliciesCommand> =>
  async (input, call) => {
    const scope = scopeOf(call);
    demandBuilt(input, [
      'DefaultPolicyType',
      'PolicyIds',
      'ResourceTypes',
      'State',
      'TagsToAdd',
      'TargetTags',
    ]);
    const all = await services.store.list<PolicyRecord>(policiesPrefix(scope));
    const missing = input.PolicyIds?.find((id) => !all.some((policy) => policy.id === id));
    if (missing !== undefined) throw dlmFailures.noPolicy(missing);
    return { Policies: all.filter((policy) => passes(policy, input)).map(summaryShape) };
  };

/** None is a default policy. */
function passes(policy: PolicyRecord, input: Input): boolean {
  const { PolicyIds = [], State, ResourceTypes = [], TargetTags = [], TagsToAdd = [] } = input;
  const { resourceType, targetTags, schedules } = policy.details;
  return (
    input.DefaultPolicyType === undefined &&
    (PolicyIds.length === 0 || PolicyIds.includes(policy.id)) &&
    (State === undefined || State === stateOf(policy)) &&
    (ResourceTypes.length === 0 || ResourceTypes.includes(resourceType)) &&
    hasAny(targetTags, TargetTags) &&
    hasAny(
      schedules.flatMap(({ tagsToAdd }) => tagsToAdd),
      TagsToAdd,
    )
  );
}

/** @param texts `key=value` */
const hasAny = (tags: readonly Tag[], texts: readonly string[]) =>
  texts.length === 0 || tags.some(({ Key, Value }) => texts.includes(`${Key}=${Value}`));
