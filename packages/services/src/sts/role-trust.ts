/**
 * Who may assume a role. Two have to agree: the role, by its trust policy, and the account of whoever calls. Where the
 * trust policy names the caller, that stands for the account's permission too; where it names the account, the caller's own
 * policies must allow it. What either denies, and what a boundary or session policies do not allow, is denied.
 */
import type { RoleDocument } from '../iam/documents.ts';
import { callerContext, type CallerState, serviceContext } from '../iam/caller.ts';
import { entityArn } from '../iam/iam-arns.ts';
import type { IamContext } from '../iam/iam-context.ts';
import { questionContext } from '../iam/question-context.ts';
import { evaluate, evaluateLayer, type Question } from '../iam/policy/evaluation.ts';
import { evaluateTrust } from '../iam/policy/trust.ts';
import { policiesOf } from '../iam/principal-policies.ts';

export interface Assumption {
  caller: CallerState;
  role: RoleDocument;
  roleArn: string;
  action: 'sts:AssumeRole' | 'sts:TagSession' | 'sts:SetSourceIdentity';
  /** `sts:ExternalId` and what else the input says. */
  conditionKeys: Readonly<Record<string, string | readonly string[]>>;
}

export async function mayAssume(context: IamContext, assumption: Assumption): Promise<boolean> {
  const { caller, role } = assumption;
  const { credential, policies } = context;
  const own = await policiesOf(context, caller.holder);
  if (!own) return false;
  const question = questionOf(context, assumption);
  const trust = evaluateTrust({
    policy: policies.compile(role.trust, 'trust'),
    ids: role.trustIds,
    caller: {
      account: credential.principal.account,
      id: caller.holder.id,
      sessionArn: caller.kind === 'roles' ? credential.principal.arn : undefined,
    },
    question,
  });
  if (trust === 'denied' || trust === 'no') return false;
  const session = credential.sessionPolicies?.map((text) => policies.compile(text));
  if (trust === 'account') return evaluate({ ...own, session }, question) === 'allowed';
  const limits = [own.boundary, session].flatMap((layer) => (layer ? [layer] : []));
  return (
    evaluateLayer(own.identity, question) !== 'explicitDeny' &&
    limits.every((layer) => evaluateLayer(layer, question) === 'allowed')
  );
}

export interface ServiceAssumption {
  /** `ec2.amazonaws.com`. */
  service: string;
  role: RoleDocument;
  region: string;
  sessionName: string;
}

/** A service has no account and no policies of its own: the trust policy alone decides. */
export function mayServiceAssume(
  { store, policies, clock }: Pick<IamContext, 'store' | 'policies' | 'clock'>,
  { service, role, region, sessionName }: ServiceAssumption,
): boolean {
  const ofRequest = { 'aws:RequestedRegion': region, 'sts:RoleSessionName': sessionName };
  const trust = evaluateTrust({
    policy: policies.compile(role.trust, 'trust'),
    ids: role.trustIds,
    caller: { service },
    question: {
      action: 'sts:AssumeRole',
      resource: entityArn(store.account, 'roles', role),
      context: questionContext(ofRequest, serviceContext(service, clock.wallMs())),
    },
  });
  return trust === 'named';
}

function questionOf(context: IamContext, { caller, action, roleArn, conditionKeys }: Assumption): Question {
  const { credential, clock, region } = context;
  const ofRequest = { 'aws:RequestedRegion': region, ...context.conditionKeys, ...conditionKeys };
  const ofCaller = callerContext(credential, caller, clock.wallMs());
  return { action, resource: roleArn, context: questionContext(ofRequest, ofCaller) };
}
