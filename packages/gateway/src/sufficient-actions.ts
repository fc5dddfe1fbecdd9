/**
 * Some operations are allowed by more than one action: what a policy of years ago names is as good as what is named today. One that is allowed is
 * enough, but none of them may be denied: whoever denies the one that he knows means what it does. Pure.
 */
import type { Decision } from './identity.ts';

/** What is asked for, by the actions that suffice for it. */
export interface ActionsAsk {
  readonly action: string;
  /** Each as good as `action`. */
  readonly alternatives?: readonly string[];
}

export const sufficientActions = ({ action, alternatives = [] }: ActionsAsk): readonly string[] => [
  action,
  ...alternatives,
];

/** One decision for each action, in any order. */
export function decideTogether(decisions: readonly Decision[]): Decision {
  if (decisions.includes('explicitDeny')) return 'explicitDeny';
  return decisions.includes('allowed') ? 'allowed' : 'implicitDeny';
}
