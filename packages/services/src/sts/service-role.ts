/**
 * What a service does on its own, as a role that somebody has handed to it. It gets no keys: trust and policies are those that a session of the
 * role would be held to, and are looked at anew each time.
 */
import { decideTogether, type ResourceAsk, sufficientActions } from '@rokka/gateway';
import type { Clock } from '@rokka/kernel';
import { callerContext } from '../iam/caller.ts';
import type { RoleDocument } from '../iam/documents.ts';
import { assumedRoleArn } from '../iam/iam-arns.ts';
import type { IdentityServices } from '../iam/iam-context.ts';
import { evaluate } from '../iam/policy/evaluation.ts';
import { policiesOf } from '../iam/principal-policies.ts';
import { questionContext } from '../iam/question-context.ts';
import { roleByArn } from '../iam/role-by-arn.ts';
import { mayServiceAssume } from './role-trust.ts';

/** `action` as policies name it. */
export type RoleAsk = ResourceAsk & { readonly action: string };

export interface ServiceRole {
  readonly arn: string;
  /** The first of these that it may not do. @throws errors of the registry */
  firstDenied(asks: readonly RoleAsk[]): Promise<RoleAsk | undefined>;
}

interface ServiceRoleOf {
  readonly identity: Pick<IdentityServices, 'store' | 'policies'>;
  readonly clock: Clock;
  readonly arn: string;
  /** `dlm.amazonaws.com`. */
  readonly service: string;
  readonly region: string;
  readonly sessionName: string;
}

/** Or why the service may not have it, as a sentence. @throws errors of the registry */
export async function serviceRole(of: ServiceRoleOf): Promise<ServiceRole | { readonly missing: string }> {
  const { identity, clock, arn, service, region, sessionName } = of;
  const role = await roleByArn(identity.store, arn);
  if (!role) return { missing: `There is no role ${arn}.` };
  if (!mayServiceAssume({ ...identity, clock }, { service, role, region, sessionName }))
    return { missing: `The trust policy of ${arn} does not allow ${service} to assume it.` };
  return {
    arn,
    async firstDenied(asks) {
      for (const ask of asks) if (!(await isAllowed(of, role, ask))) return ask;
      return undefined;
    },
  };
}

async function isAllowed(of: ServiceRoleOf, role: RoleDocument, ask: RoleAsk): Promise<boolean> {
  const { identity, clock, region, sessionName } = of;
  const policies = await policiesOf(identity, role);
  if (!policies) return false;
  const principal = {
    account: identity.store.account,
    arn: assumedRoleArn(identity.store.account, role.name, sessionName),
    userId: `${role.id}:${sessionName}`,
    kind: 'assumed-role',
  } as const;
  const ofRole = callerContext(
    { principal },
    { kind: 'roles', holder: role, session: undefined },
    clock.wallMs(),
  );
  const context = questionContext({ 'aws:RequestedRegion': region, ...ask.conditions }, ofRole);
  const decisions = sufficientActions(ask).map((action) =>
    evaluate(policies, { action, resource: ask.arn, context }),
  );
  return decideTogether(decisions) === 'allowed';
}
