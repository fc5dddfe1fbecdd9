/** May they? From the policies of whoever calls, as they are now. */
import type { AuthorizationRequest, Authorizer, Decision } from '@rokka/gateway';
import type { Clock } from '@rokka/kernel';
import { callerContext, callerOf, type CallerState } from './caller.ts';
import type { IdentityServices } from './iam-context.ts';
import { questionContext } from './question-context.ts';
import { evaluate } from './policy/evaluation.ts';
import { policiesOf } from './principal-policies.ts';

/**
 * What the operation itself decides. Everybody may ask who they are and have a session of their own (STS API Reference,
 * GetCallerIdentity and GetSessionToken: "no permissions are required"). Who may assume a role, its trust policy says.
 */
export const DECIDED_BY_OPERATION: ReadonlySet<string> = new Set([
  'sts:GetCallerIdentity',
  'sts:GetSessionToken',
  'sts:AssumeRole',
]);

export class IdentityAuthorizer implements Authorizer {
  readonly #services: Pick<IdentityServices, 'store' | 'policies'>;
  readonly #clock: Clock;

  constructor(options: Pick<IdentityServices, 'store' | 'policies'> & { clock: Clock }) {
    this.#services = options;
    this.#clock = options.clock;
  }

  async decide(request: AuthorizationRequest): Promise<Decision> {
    const { credential, action } = request;
    const wallMs = this.#clock.wallMs();
    const caller = await callerOf(this.#services.store, credential, wallMs);
    if (!caller || isBeyondSession(caller, action)) return 'implicitDeny';
    if (DECIDED_BY_OPERATION.has(action)) return 'allowed';
    const policies = await policiesOf(this.#services, caller.holder);
    if (!policies) return 'implicitDeny';
    const session = credential.sessionPolicies?.map((text) => this.#services.policies.compile(text));
    const context = questionContext(request.context, callerContext(credential, caller, wallMs));
    return evaluate({ ...policies, session }, { action, resource: request.resource, context });
  }
}

/**
 * The session of a user that GetSessionToken gave may not use IAM, nor STS beyond these (STS API Reference,
 * GetSessionToken, "Permissions"): there is no second factor that it could have shown. Passing a role is no operation of IAM.
 */
function isBeyondSession({ kind, session }: CallerState, action: string): boolean {
  if (!session || kind !== 'users') return false;
  if (action.startsWith('sts:')) return !['sts:AssumeRole', 'sts:GetCallerIdentity'].includes(action);
  return action.startsWith('iam:') && action !== 'iam:PassRole';
}
