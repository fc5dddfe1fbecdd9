/**
 * What somebody may who is not there: for what a service does later, on behalf of whoever asked for it. Policies are those of then, of the session
 * too; so it ends with the user or the role, and with its rights. A key or a session that has ended since ends nothing.
 */
import {
  type Credential,
  decideTogether,
  type Principal,
  type ResourceAsk,
  sufficientActions,
} from '@rokka/gateway';
import type { Clock } from '@rokka/kernel';
import { callerContext, type SessionFacts } from './caller.ts';
import { entityKey, type RoleDocument, type UserDocument } from './documents.ts';
import { findSession } from './find-session.ts';
import type { IdentityServices } from './iam-context.ts';
import { evaluate } from './policy/evaluation.ts';
import { policiesOf } from './principal-policies.ts';
import { questionContext } from './question-context.ts';

/** As it is kept until then. */
export interface StandIn {
  readonly principal: Principal;
  /** Of temporary keys. */
  readonly session?: SessionFacts;
  readonly sessionPolicies?: readonly string[];
}

/** `action` as policies name it. */
export type StandInAsk = ResourceAsk & { readonly action: string };

export interface StandingRights {
  /** Whoever makes a call. @throws errors of the registry */
  standInOf(credential: Credential): Promise<StandIn>;
  /** The first of these that he may not do. @throws errors of the registry */
  firstDenied(
    standIn: StandIn,
    of: { region: string; asks: readonly StandInAsk[] },
  ): Promise<StandInAsk | undefined>;
}

export const standingRights = (of: {
  identity: Pick<IdentityServices, 'store' | 'policies'>;
  clock: Clock;
}): StandingRights => ({
  async standInOf(credential) {
    const { principal, accessKeyId, sessionToken, sessionPolicies } = credential;
    const found = sessionToken === undefined ? undefined : await findSession(of.identity.store, accessKeyId);
    return {
      principal,
      ...(found && { session: factsOf(found) }),
      ...(sessionPolicies && { sessionPolicies }),
    };
  },
  async firstDenied(standIn, { region, asks }) {
    const mayDo = await mayDoOf(of, standIn, region);
    return asks.find((ask) => !mayDo(ask));
  },
});

const factsOf = ({ issuedAtMs, tags, sourceIdentity }: SessionFacts): SessionFacts => ({
  issuedAtMs,
  ...(tags && { tags }),
  ...(sourceIdentity !== undefined && { sourceIdentity }),
});

/** Nobody who is gone may do anything, nor another one who has taken the name. */
async function mayDoOf(
  { identity, clock }: Parameters<typeof standingRights>[0],
  { principal, session, sessionPolicies }: StandIn,
  region: string,
): Promise<(ask: StandInAsk) => boolean> {
  const { kind, name, id } = holderOf(principal);
  const key = entityKey(principal.account, kind, name);
  const holder = await identity.store.read<UserDocument | RoleDocument>(key);
  const policies = holder?.id === id ? await policiesOf(identity, holder) : undefined;
  if (!holder || !policies) return () => false;
  const ofCaller = callerContext({ principal }, { kind, holder, session }, clock.wallMs());
  const narrowed = { ...policies, session: sessionPolicies?.map((text) => identity.policies.compile(text)) };
  return (ask) => {
    const context = questionContext({ 'aws:RequestedRegion': region, ...ask.conditions }, ofCaller);
    const decisions = sufficientActions(ask).map((action) =>
      evaluate(narrowed, { action, resource: ask.arn, context }),
    );
    return decideTogether(decisions) === 'allowed';
  };
}

/** By its parts: `…:user/PATH/NAME` with its id, `…:assumed-role/NAME/SESSION` with `ID:SESSION`. */
function holderOf({ kind, arn, userId }: Principal): { kind: 'users' | 'roles'; name: string; id: string } {
  const parts = arn.split('/');
  return kind === 'user'
    ? { kind: 'users', name: parts[parts.length - 1], id: userId }
    : { kind: 'roles', name: parts[1], id: userId.split(':', 1)[0] };
}
