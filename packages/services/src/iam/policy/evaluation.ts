/**
 * The decision (IAM User Guide, "Policy evaluation logic"): what any policy denies is denied; what is left must be
 * allowed by the identity's own policies, and by its boundary and its session's policies where it has them; all else is
 * denied. Pure, and the one place where it is decided: calls, AssumeRole and the simulator come here.
 *
 * The resource of a request is a text, never a pattern: whoever asks to delete `*` asks for a thing of that name. A call
 * that names no resource has `*`, which only a statement for everything matches.
 */
import type { Decision } from '@rokka/gateway';
import { type ContextValues, variablesOf } from './context-values.ts';
import type { Pattern, Variables } from './pattern.ts';
import type { CompiledPolicy, Statement } from './policy-document.ts';

export interface Question {
  /** `rds:CreateDBCluster`. */
  readonly action: string;
  readonly resource: string;
  readonly context: ContextValues;
}

export interface Policies {
  readonly identity: readonly CompiledPolicy[];
  /** Undefined where there is none; an empty list allows nothing. */
  readonly boundary?: readonly CompiledPolicy[] | undefined;
  readonly session?: readonly CompiledPolicy[] | undefined;
}

export function evaluate(policies: Policies, question: Question): Decision {
  const { identity, boundary, session } = policies;
  const layers = [identity, boundary, session].flatMap((layer) =>
    layer ? [evaluateLayer(layer, question)] : [],
  );
  if (layers.includes('explicitDeny')) return 'explicitDeny';
  return layers.every((decision) => decision === 'allowed') ? 'allowed' : 'implicitDeny';
}

/** Policies that count together: one that allows is enough. */
export function evaluateLayer(policies: readonly CompiledPolicy[], question: Question): Decision {
  let decision: Decision = 'implicitDeny';
  for (const { statements } of policies)
    for (const statement of statements) {
      // Once one allows, others that do change nothing.
      if (decision === 'allowed' && statement.effect === 'Allow') continue;
      if (!statementMatches(statement, question)) continue;
      if (statement.effect === 'Deny') return 'explicitDeny';
      decision = 'allowed';
    }
  return decision;
}

/** Everything but its principals. */
export function statementMatches(statement: Statement, { action, resource, context }: Question): boolean {
  const variables = variablesOf(context);
  const named = statement.actions.some((pattern) => pattern.matches(action, variables));
  return (
    named !== statement.notActions &&
    resourceMatches(statement, resource, variables) &&
    statement.conditions.every((condition) => condition.holds(context, variables))
  );
}

function resourceMatches(statement: Statement, resource: string, variables: Variables): boolean {
  const { resources, notResources, effect } = statement;
  // A resource that cannot be named is not known to be another one: that must not allow anything.
  if (notResources && effect === 'Allow' && resources.some((pattern) => pattern.lacks(variables)))
    return false;
  return resources.some((pattern: Pattern) => pattern.matches(resource, variables)) !== notResources;
}

/** Condition keys that the policies ask for and the request does not have. */
export function missingContextKeys(policies: Policies, { context }: Question): string[] {
  const all = [policies.identity, policies.boundary ?? [], policies.session ?? []].flat();
  const keys = all.flatMap(({ statements }) =>
    statements.flatMap((each) => each.conditions.map(({ key }) => key)),
  );
  return [...new Set(keys)].filter((key) => !context.has(key)).sort();
}
