/** What IAM's policy simulator answers, by the evaluation that decides real calls. */
import type { ContextEntry, EvaluationResult, PolicySourceType } from '@aws-sdk/client-iam';
import type { Decision } from '@rokka/gateway';
import type { IamContext } from './iam-context.ts';
import { iamFailures } from './iam-failures.ts';
import { pageOf, type PageInput } from './pages.ts';
import { contextValues } from './policy/context-values.ts';
import {
  evaluate,
  evaluateLayer,
  missingContextKeys,
  type Policies,
  type Question,
  statementMatches,
} from './policy/evaluation.ts';
import type { CompiledPolicy } from './policy/policy-document.ts';
import { checkedPolicy } from './policy-texts.ts';

/** Actions times resources. */
const RESULTS_MAX = 10_000;

export interface SourcedPolicy {
  readonly id: string;
  readonly type: PolicySourceType;
  readonly policy: CompiledPolicy;
}

export interface SimulationInput extends PageInput {
  ActionNames: string[] | undefined;
  ResourceArns?: string[] | undefined;
  ContextEntries?: ContextEntry[] | undefined;
  ResourcePolicy?: string | undefined;
}

interface Simulation {
  readonly input: SimulationInput;
  readonly identity: readonly SourcedPolicy[];
  readonly boundary: readonly CompiledPolicy[] | undefined;
  /** What is known of whoever would call; entries of the input stand above it. */
  readonly known: Readonly<Record<string, string | readonly string[]>>;
}

/** @throws InvalidInputException, ValidationError */
export function simulate({ input, identity, boundary, known }: Simulation) {
  if (input.ResourcePolicy !== undefined)
    throw iamFailures.invalidInput(
      'ResourcePolicy is not supported: no resource has a policy of its own here.',
    );
  const actions = checkedActions(input.ActionNames);
  const resources = input.ResourceArns?.length ? input.ResourceArns : ['*'];
  if (actions.length * resources.length > RESULTS_MAX)
    throw iamFailures.invalidInput(`more than ${RESULTS_MAX} results; ask for fewer actions or resources.`);
  const context = contextValues({ ...known, ...entriesOf(input.ContextEntries) });
  const questions = actions
    .flatMap((action) => resources.map((resource) => ({ action, resource, context })))
    .map((question, i) => ({ question, place: String(i).padStart(6, '0') }));
  const { items, more } = pageOf(questions, input, ({ place }) => place);
  return {
    EvaluationResults: items.map(({ question }) => resultOf({ identity, boundary, question })),
    ...more,
  };
}

function resultOf(of: Pick<Simulation, 'identity' | 'boundary'> & { question: Question }): EvaluationResult {
  const { identity, boundary, question } = of;
  const policies: Policies = { identity: identity.map(({ policy }) => policy), boundary };
  const decision = evaluate(policies, question);
  const effect = decision === 'explicitDeny' ? 'Deny' : 'Allow';
  const matched = identity.filter(({ policy }) =>
    policy.statements.some((each) => each.effect === effect && statementMatches(each, question)),
  );
  return {
    EvalActionName: question.action,
    EvalResourceName: question.resource,
    EvalDecision: decision satisfies Decision,
    MatchedStatements: matched.map(({ id, type }) => ({ SourcePolicyId: id, SourcePolicyType: type })),
    MissingContextValues: missingContextKeys(policies, question),
    ...(boundary && {
      PermissionsBoundaryDecisionDetail: {
        AllowedByPermissionsBoundary: evaluateLayer(boundary, question) === 'allowed',
      },
    }),
  };
}

function checkedActions(actions: readonly string[] | undefined): readonly string[] {
  if (!actions?.length) throw iamFailures.invalidInput('ActionNames must name an action.');
  const bad = actions.find((action) => !/^[A-Za-z0-9-]+:[A-Za-z0-9]+$/.test(action));
  if (bad !== undefined) throw iamFailures.invalidInput(`${bad} is no action: write service:Action.`);
  return actions;
}

function entriesOf(entries: readonly ContextEntry[] | undefined): Record<string, string[]> {
  return Object.fromEntries(
    (entries ?? []).map((each) => [each.ContextKeyName ?? '', each.ContextKeyValues ?? []]),
  );
}

/** Policies that come with the request. @throws MalformedPolicyDocumentException, ValidationError */
export function givenPolicies(
  { policies }: IamContext,
  texts: readonly string[] | undefined,
): SourcedPolicy[] {
  return (texts ?? []).map((text, i) => {
    checkedPolicy(policies, text, 'identity');
    return { id: `PolicyInputList.${i + 1}`, type: 'none', policy: policies.compile(text) };
  });
}

/** @throws MalformedPolicyDocumentException, ValidationError */
export function givenBoundary(
  context: IamContext,
  texts: readonly string[] | undefined,
): CompiledPolicy[] | undefined {
  return texts?.length ? givenPolicies(context, texts).map(({ policy }) => policy) : undefined;
}
