/**
 * Whether a verified caller may do what the request asks: the authorizer is asked for each resource, and one refusal is enough.
 * An authorizer that fails has not allowed anything.
 */
import { Failure } from './failures.ts';
import type { Authorizer, Credential } from './identity.ts';
import type { AnyOperation, CallContext, ResourceAsk } from './operation.ts';
import { requestTags } from './request-tags.ts';
import { decideTogether, sufficientActions } from './sufficient-actions.ts';

export type ConditionKeys = Record<string, string | readonly string[]>;

export interface AuthorizationAsk {
  /** `rds:CreateDBCluster`. */
  readonly action: string;
  readonly operation: AnyOperation;
  readonly input: unknown;
  readonly credential: Credential;
  readonly context: CallContext;
}

/** @throws Failure denied, in AWS's words */
export async function authorize(authorizer: Authorizer, ask: AuthorizationAsk): Promise<void> {
  const { operation, input, credential, context } = ask;
  const resources = await operation.resources(input, context);
  if (resources.length === 0) return;
  const ofOperation = operation.conditions(input, context);
  for (const each of resources) {
    const one: ResourceAsk = typeof each === 'string' ? { arn: each } : each;
    const { arn: resource, conditions, tagged } = one;
    const keys = { ...globalKeys(ask, tagged), ...ofOperation };
    const actions = sufficientActions({ ...one, action: one.action ?? ask.action });
    const decide = (action: string) =>
      authorizer.decide({ credential, action, resource, context: { ...keys, ...conditions } });
    const decisions = await Promise.all(actions.map(decide));
    const decision = decideTogether(decisions);
    if (decision === 'allowed') continue;
    const isDenied = decision === 'explicitDeny';
    const why = isDenied
      ? 'with an explicit deny in an identity-based policy'
      : `because no identity-based policy allows the ${actions.join(' or ')} action`;
    const action = actions[isDenied ? decisions.indexOf('explicitDeny') : 0];
    throw new Failure(
      'denied',
      `User: ${credential.principal.arn} is not authorized to perform: ${action} on resource: ${resource} ${why}`,
    );
  }
}

/** https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html */
function globalKeys({ input, context }: AuthorizationAsk, tagged: string | undefined): ConditionKeys {
  const { principal } = context;
  const keys: ConditionKeys = {
    'aws:SourceIp': context.sourceAddress,
    'aws:RequestedRegion': context.region,
    'aws:CurrentTime': new Date(context.atMs).toISOString(),
    'aws:EpochTime': String(Math.floor(context.atMs / 1000)),
    'aws:UserAgent': context.userAgent,
    'aws:SecureTransport': 'false',
    'aws:PrincipalAccount': principal.account,
    'aws:PrincipalArn': principalArn(principal.arn),
    'aws:PrincipalType': principal.kind === 'user' ? 'User' : 'AssumedRole',
    'aws:userid': principal.userId,
  };
  if (principal.kind === 'user')
    keys['aws:username'] = principal.arn.slice(principal.arn.lastIndexOf('/') + 1);
  const tags = requestTags(input, tagged);
  for (const [key, value] of tags.values) keys[`aws:RequestTag/${key}`] = value;
  if (tags.keys.length > 0) keys['aws:TagKeys'] = tags.keys;
  return keys;
}

/** Of a session the role's own, as policies are written against it. */
function principalArn(arn: string): string {
  return arn.replace(/^arn:aws:sts::(\d{12}):assumed-role\/([^/]+)\/.*$/, 'arn:aws:iam::$1:role/$2');
}
