/**
 * The Condition element: all of its operators must hold, and of each operator all of its keys; of a key's values one is
 * enough (IAM User Guide, "Conditions with multiple context keys or values").
 */
import type { ContextValues } from './context-values.ts';
import { OPERATORS, type Operator, type Test } from './condition-operators.ts';
import type { Variables } from './pattern.ts';
import { isRecord, listOf, PolicyProblem } from './policy-problem.ts';

export interface Condition {
  /** Lower-case. */
  readonly key: string;
  readonly holds: (context: ContextValues, variables: Variables) => boolean;
}

type Quantifier = 'all' | 'any' | undefined;

/** @throws PolicyProblem */
export function compileConditions(where: string, element: unknown, variables: boolean): Condition[] {
  if (element === undefined) return [];
  if (!isRecord(element)) throw new PolicyProblem(where, 'must be an object');
  return Object.entries(element).flatMap(([operator, keys]) => {
    if (!isRecord(keys))
      throw new PolicyProblem(`${where}.${operator}`, 'must be an object of condition keys');
    return Object.entries(keys).map(([key, value]) =>
      compileCondition({
        where,
        operator,
        key,
        values: valuesOf(`${where}.${operator}.${key}`, value),
        variables,
      }),
    );
  });
}

/** JSON's numbers and booleans are written as text is. */
function valuesOf(where: string, value: unknown): string[] {
  return listOf(value).map((each) => {
    if (typeof each === 'string' || typeof each === 'number' || typeof each === 'boolean')
      return String(each);
    throw new PolicyProblem(where, 'must be strings, numbers or booleans');
  });
}

interface Source {
  where: string;
  operator: string;
  key: string;
  values: string[];
  variables: boolean;
}

function compileCondition(source: Source): Condition {
  const { where, operator, key: name } = source;
  const [, prefix, middle, suffix] =
    /^(?:(ForAllValues|ForAnyValue):)?([A-Za-z]+?)(IfExists)?$/i.exec(operator) ?? [];
  if (!/^[\w.-]+:[^\s]/.test(name))
    throw new PolicyProblem(where, `${JSON.stringify(name)} is no condition key`);
  const key = name.toLowerCase();
  if (middle?.toLowerCase() === 'null' && prefix === undefined && suffix === undefined)
    return { key, holds: nullTest(source) };
  const found = OPERATORS.get((middle ?? '').toLowerCase());
  if (!found) throw new PolicyProblem(where, `${operator} is no condition operator`);
  const quantifier = prefix ? (prefix.toLowerCase() === 'forallvalues' ? 'all' : 'any') : undefined;
  return {
    key,
    holds: valueTest(found, testsOf(found, source), { key, quantifier, ifExists: suffix !== undefined }),
  };
}

function testsOf(found: Operator, { where, operator, values, variables }: Source): Test[] {
  return values.map((value) => {
    const test = found.test(value, variables);
    if (test) return test;
    throw new PolicyProblem(where, `${operator} cannot compare with ${JSON.stringify(value)}`);
  });
}

/** `true`: the key is missing. `false`: it is there. */
function nullTest({ where, key, values }: Source): Condition['holds'] {
  const wanted = values.map((value) => value.toLowerCase());
  if (!wanted.every((value) => value === 'true' || value === 'false'))
    throw new PolicyProblem(where, 'Null compares with true or false only');
  const name = key.toLowerCase();
  return (context) => wanted.includes((context.get(name)?.length ?? 0) === 0 ? 'true' : 'false');
}

function valueTest(
  { negated }: Operator,
  tests: Test[],
  { key, quantifier, ifExists }: { key: string; quantifier: Quantifier; ifExists: boolean },
): Condition['holds'] {
  return (context, variables) => {
    const values = context.get(key) ?? [];
    if (values.length === 0) return missing({ quantifier, ifExists, negated });
    const one = (value: string) => tests.some((test) => test(value, variables)) !== negated;
    if (quantifier === 'all') return values.every(one);
    if (quantifier === 'any') return values.some(one);
    return negated ? values.every(one) : values.some(one);
  };
}

/** ForAllValues of nothing holds, ForAnyValue of nothing does not; a plain key that is missing is unequal to everything. */
function missing(of: { quantifier: Quantifier; ifExists: boolean; negated: boolean }): boolean {
  if (of.ifExists || of.quantifier === 'all') return true;
  return of.quantifier === undefined && of.negated;
}
