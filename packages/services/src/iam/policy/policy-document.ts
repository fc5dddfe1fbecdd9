/**
 * A policy's text, checked and made ready to be asked (IAM User Guide, "Grammar of the IAM JSON policy language"). What
 * is not in the grammar is refused when the policy is written, so that no statement is ever skipped when it is read.
 */
import { compileConditions, type Condition } from './conditions.ts';
import { Pattern } from './pattern.ts';
import { isRecord, listOf, PolicyProblem, textsOf } from './policy-problem.ts';
import { compilePrincipals, type Principals } from './trust-principals.ts';

/** `identity`: says what its holder may. `trust`: says who may assume the role that has it. */
export type PolicyKind = 'identity' | 'trust';

export interface Statement {
  readonly sid: string | undefined;
  readonly effect: 'Allow' | 'Deny';
  readonly actions: readonly Pattern[];
  /** Whether `actions` are those that the statement does not speak of. */
  readonly notActions: boolean;
  readonly resources: readonly Pattern[];
  readonly notResources: boolean;
  readonly conditions: readonly Condition[];
  /** Of a trust policy only. */
  readonly principals: Principals | undefined;
}

export interface CompiledPolicy {
  readonly statements: readonly Statement[];
}

const VERSIONS = ['2008-10-17', '2012-10-17'];
const TOP_MEMBERS = new Set(['Version', 'Id', 'Statement']);
const MEMBERS = new Set(['Sid', 'Effect', 'Action', 'NotAction', 'Resource', 'NotResource', 'Condition']);

/** @throws PolicyProblem */
export function compilePolicy(text: string, kind: PolicyKind): CompiledPolicy {
  const document = parse(text);
  for (const member of Object.keys(document))
    if (!TOP_MEMBERS.has(member)) throw new PolicyProblem('', `${member} has no place in a policy`);
  const version = document.Version ?? VERSIONS[0];
  if (typeof version !== 'string' || !VERSIONS.includes(version))
    throw new PolicyProblem('Version', `must be one of ${VERSIONS.join(', ')}`);
  if (document.Id !== undefined && typeof document.Id !== 'string')
    throw new PolicyProblem('Id', 'must be a string');
  const elements = document.Statement === undefined ? [] : listOf(document.Statement);
  if (elements.length === 0) throw new PolicyProblem('Statement', 'a policy needs at least one');
  const variables = version !== VERSIONS[0];
  const statements = elements.map((element, i) =>
    compileStatement({ where: `Statement[${i}]`, element, kind, variables }),
  );
  checkSids(statements);
  return { statements };
}

function parse(text: string): Record<string, unknown> {
  let document: unknown;
  try {
    document = JSON.parse(text);
  } catch (error) {
    throw new PolicyProblem('', `is no JSON: ${(error as Error).message}`);
  }
  if (isRecord(document)) return document;
  throw new PolicyProblem('', 'must be a JSON object');
}

interface Source {
  where: string;
  element: unknown;
  kind: PolicyKind;
  variables: boolean;
}

function compileStatement({ where, element, kind, variables }: Source): Statement {
  if (!isRecord(element)) throw new PolicyProblem(where, 'must be an object');
  for (const member of Object.keys(element))
    if (!MEMBERS.has(member) && !(kind === 'trust' && member === 'Principal'))
      throw new PolicyProblem(where, `${member} has no place in a statement of this kind of policy`);
  const { Effect: effect } = element;
  if (effect !== 'Allow' && effect !== 'Deny')
    throw new PolicyProblem(`${where}.Effect`, 'must be Allow or Deny');
  const actions = oneOf(where, element, 'Action');
  return {
    sid: sidOf(where, element.Sid),
    effect,
    actions: actions.texts.map((text) => actionPattern(where, text)),
    notActions: actions.negated,
    ...(kind === 'identity' ? resourcesOf(where, element, variables) : anyResource(where, element)),
    conditions: compileConditions(`${where}.Condition`, element.Condition, variables),
    principals: kind === 'trust' ? compilePrincipals(`${where}.Principal`, element.Principal) : undefined,
  };
}

/** Exactly one of NAME and NotNAME. */
function oneOf(where: string, element: Record<string, unknown>, name: string) {
  const negated = element[`Not${name}`] !== undefined;
  if (negated === (element[name] !== undefined))
    throw new PolicyProblem(where, `needs one of ${name} and Not${name}`);
  const member = negated ? `Not${name}` : name;
  return { negated, texts: textsOf(`${where}.${member}`, element[member]) };
}

function sidOf(where: string, sid: unknown): string | undefined {
  if (sid === undefined) return undefined;
  if (typeof sid === 'string' && /^[A-Za-z0-9]*$/.test(sid)) return sid;
  throw new PolicyProblem(`${where}.Sid`, 'must be of letters and digits');
}

function checkSids(statements: readonly Statement[]): void {
  const sids = statements.flatMap(({ sid }) => sid || []);
  if (new Set(sids).size < sids.length) throw new PolicyProblem('Statement', 'a Sid occurs twice');
}

function actionPattern(where: string, text: string): Pattern {
  if (text !== '*' && !/^[A-Za-z0-9.-]+:[A-Za-z0-9*?-]+$/.test(text))
    throw new PolicyProblem(`${where}.Action`, `${JSON.stringify(text)} is no action: write service:Action`);
  return new Pattern(text, { wildcards: true, variables: false, ignoreCase: true });
}

function resourcesOf(where: string, element: Record<string, unknown>, variables: boolean) {
  const { negated, texts } = oneOf(where, element, 'Resource');
  const resources = texts.map((text) => {
    if (text !== '*' && !isResource(text))
      throw new PolicyProblem(`${where}.Resource`, `${JSON.stringify(text)} is neither an ARN nor *`);
    return new Pattern(text, { wildcards: true, variables, arn: true });
  });
  return { resources, notResources: negated };
}

/** All six segments, or fewer and a star for the rest. */
const isResource = (text: string) =>
  /^arn:(aws(-[a-z-]+)?|\*):[^:]/.test(text) && (text.split(':').length >= 6 || text.endsWith('*'));

/** A trust policy speaks of the role that has it. */
function anyResource(where: string, element: Record<string, unknown>) {
  if (element.Resource !== undefined || element.NotResource !== undefined)
    throw new PolicyProblem(where, 'a trust policy names no resource');
  return { resources: [], notResources: true };
}
