/** Policies by id or ARN; how they are changed, what a call must be allowed on them, and how they are shown. */
import type { LifecyclePolicy, LifecyclePolicySummary } from '@aws-sdk/client-dlm';
import type { ResourceAsk } from '@rokka/gateway';
import type { Random } from '@rokka/kernel';
import { arnOf } from '../arn.ts';
import type { Scope } from '../scope.ts';
import type { DlmServices } from './dlm-context.ts';
import { dlmFailures } from './dlm-failures.ts';
import { policyKey, type PolicyRecord } from './dlm-records.ts';
import { executionRole } from './execution-role.ts';
import { detailsShape } from './policy-details.ts';

const DIGITS = 17;
const ID = /^policy-[0-9a-f]{17}$/;
/** Of what its last runs have to say. */
const MESSAGES_MAX = 3;

export const newPolicyId = (random: Random) => `policy-${random.hex(Math.ceil(DIGITS / 2)).slice(0, DIGITS)}`;

const policyArn = ({ account, region }: Scope, id: string) =>
  arnOf({ service: 'dlm', region, account, resource: `policy/${id}` });

/** What of an ARN is no policy of this account and region is nobody's id. */
export function idInArn(scope: Scope, arn: string): string {
  const prefix = policyArn(scope, '');
  return arn.startsWith(prefix) ? arn.slice(prefix.length) : arn;
}

/** @throws ResourceNotFoundException */
export async function findPolicy(
  { store }: Pick<DlmServices, 'store'>,
  scope: Scope,
  id = '',
): Promise<PolicyRecord> {
  const found = ID.test(id) ? await store.get<PolicyRecord>(policyKey(scope, id)) : undefined;
  if (!found) throw dlmFailures.noPolicy(id);
  return found;
}

/** `change` may run several times, and may throw. @throws ResourceNotFoundException */
export async function changePolicy(
  services: Pick<DlmServices, 'store'>,
  scope: Scope,
  of: { id: string | undefined; change: (found: PolicyRecord) => PolicyRecord | undefined },
): Promise<void> {
  const { id } = await findPolicy(services, scope, of.id);
  await services.store.change<PolicyRecord>(policyKey(scope, id), (found) => {
    if (!found) throw dlmFailures.noPolicy(id);
    return of.change(found);
  });
}

/** Whether it is there, its operation says. */
export async function askForPolicy(
  { store }: Pick<DlmServices, 'store'>,
  scope: Scope,
  id = '',
): Promise<ResourceAsk> {
  const found = ID.test(id) ? await store.get<PolicyRecord>(policyKey(scope, id)) : undefined;
  const tags = Object.entries(found?.tags ?? {});
  return {
    arn: policyArn(scope, id.slice(0, 200)),
    conditions: Object.fromEntries(tags.map(([key, value]) => [`aws:ResourceTag/${key}`, value])),
  };
}

/** @throws InvalidRequestException where there is none, or not for this service */
export async function demandRole(
  services: Pick<DlmServices, 'identity' | 'clock'>,
  scope: Scope,
  policy: { id: string; roleArn: string },
): Promise<void> {
  const role = await executionRole(services, scope, policy);
  if ('missing' in role) throw dlmFailures.invalid(role.missing);
}

export function policyShape(scope: Scope, policy: PolicyRecord): LifecyclePolicy {
  return {
    PolicyId: policy.id,
    PolicyArn: policyArn(scope, policy.id),
    Description: policy.description,
    State: stateOf(policy),
    StatusMessage: statusMessage(policy),
    ExecutionRoleArn: policy.roleArn,
    DateCreated: new Date(policy.createdAtMs),
    DateModified: new Date(policy.modifiedAtMs),
    PolicyDetails: detailsShape(policy.details),
    Tags: { ...policy.tags },
    DefaultPolicy: false,
  };
}

export const summaryShape = (policy: PolicyRecord): LifecyclePolicySummary => ({
  PolicyId: policy.id,
  Description: policy.description,
  State: stateOf(policy),
  Tags: { ...policy.tags },
  PolicyType: 'EBS_SNAPSHOT_MANAGEMENT',
  DefaultPolicy: false,
});

export function stateOf({ isEnabled, error }: PolicyRecord): 'ENABLED' | 'DISABLED' | 'ERROR' {
  if (!isEnabled) return 'DISABLED';
  return error === undefined ? 'ENABLED' : 'ERROR';
}

/** Why it is in error; else what its last runs have to say, as far as there is room. */
function statusMessage({ error, courses }: PolicyRecord): string {
  if (error !== undefined) return error;
  const said = Object.entries(courses).flatMap(([schedule, { runs }]) =>
    Object.entries(runs).flatMap(([target, { dueMs, end }]) => {
      const text = end?.failure ?? end?.note;
      return text === undefined
        ? []
        : [`${schedule} of ${new Date(dueMs).toISOString()} on ${target}: ${text}.`];
    }),
  );
  return said.slice(0, MESSAGES_MAX).join(' ');
}
