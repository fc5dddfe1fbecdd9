/** The role that a policy is carried out as. */
import { type ResourceAsk, sufficientActions } from '@rokka/gateway';
import { askForPassing } from '../iam/passed-role.ts';
import { roleByArn } from '../iam/role-by-arn.ts';
import type { Scope } from '../scope.ts';
import { type RoleAsk, serviceRole, type ServiceRole } from '../sts/service-role.ts';
import type { DlmServices } from './dlm-context.ts';

const PRINCIPAL = 'dlm.amazonaws.com';

/** Who could make a policy without being asked for its role would get whatever that role may. */
export async function askForRole(
  { identity }: Pick<DlmServices, 'identity'>,
  arn: string | undefined,
): Promise<ResourceAsk[]> {
  if (arn === undefined) return [];
  const role = await roleByArn(identity.store, arn);
  return [askForPassing({ arn, tags: role?.tags ?? [], service: PRINCIPAL })];
}

/** Or why there is none, as a sentence. */
export const executionRole = (
  { identity, clock }: Pick<DlmServices, 'identity' | 'clock'>,
  { region }: Scope,
  policy: { id: string; roleArn: string },
): Promise<ServiceRole | { readonly missing: string }> =>
  serviceRole({
    identity,
    clock,
    arn: policy.roleArn,
    service: PRINCIPAL,
    region,
    sessionName: policy.id,
  });

/** What the role may not do, as a sentence. */
export async function whyDenied(
  services: Pick<DlmServices, 'identity' | 'clock'>,
  scope: Scope,
  of: { policy: { id: string; roleArn: string }; asks: readonly RoleAsk[] },
): Promise<string | undefined> {
  const role = await executionRole(services, scope, of.policy);
  if ('missing' in role) return role.missing;
  const denied = await role.firstDenied(of.asks);
  return (
    denied &&
    `The policies of ${role.arn} do not allow ${sufficientActions(denied).join(' or ')} on ${denied.arn}.`
  );
}
