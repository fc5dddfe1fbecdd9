/** Whether a role's trust policy lets somebody assume it. */
import { statementMatches, type Question } from './evaluation.ts';
import type { CompiledPolicy } from './policy-document.ts';
import type { Principals } from './trust-principals.ts';

export type Caller = Identity | Service;

interface Identity {
  readonly account: string;
  /** `AIDA…` or `AROA…`: who is meant by a name is decided when the policy is written. */
  readonly id: string;
  /** Of a role's session: a policy may name one alone. */
  readonly sessionArn: string | undefined;
}

/** Of AWS, which takes the role for somebody: for a machine. */
interface Service {
  /** `ec2.amazonaws.com`. */
  readonly service: string;
}

/**
 * - `named`: the policy allows this caller by name.
 * - `account`: it allows whoever the account's policies allow it to.
 * - `denied`: it denies it; `no`: it says nothing of it.
 */
export type Trust = 'named' | 'account' | 'denied' | 'no';

export interface TrustQuestion {
  readonly policy: CompiledPolicy;
  /** The unique id behind each ARN that the policy names, as it was when the policy was written. */
  readonly ids: Readonly<Record<string, string>>;
  readonly caller: Caller;
  readonly question: Question;
}

export function evaluateTrust({ policy, ids, caller, question }: TrustQuestion): Trust {
  let trust: Trust = 'no';
  for (const statement of policy.statements) {
    const how = statement.principals && named(statement.principals, caller, ids);
    if (!how || !statementMatches(statement, question)) continue;
    if (statement.effect === 'Deny') return 'denied';
    if (trust !== 'named') trust = how;
  }
  return trust;
}

function named(
  principals: Principals,
  caller: Caller,
  ids: TrustQuestion['ids'],
): 'named' | 'account' | undefined {
  if (principals.everybody) return 'named';
  if ('service' in caller) return principals.services.includes(caller.service) ? 'named' : undefined;
  const byName = principals.arns.some(
    (arn) => ids[arn] === caller.id && (!arn.startsWith('arn:aws:sts:') || arn === caller.sessionArn),
  );
  if (byName) return 'named';
  return principals.accounts.includes(caller.account) ? 'account' : undefined;
}
