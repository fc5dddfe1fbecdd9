import assert from 'node:assert/strict';
import { test } from 'node:test';
import { compileConditions } from './conditions.ts';
import { contextValues, variablesOf } from './context-values.ts';

type Values = string | boolean | number | string[];

function holds(
  operator: string,
  values: Values,
  found: string | string[] | undefined,
  key = 'aws:k',
): boolean {
  const conditions = compileConditions('Condition', { [operator]: { [key]: values } }, true);
  const context = contextValues({ ...(found !== undefined && { 'AWS:K': found }), 'aws:username': 'bob' });
  return conditions.every((condition) => condition.holds(context, variablesOf(context)));
}

const TABLE: [operator: string, values: Values, found: string | string[] | undefined, expected: boolean][] = [
  ['StringEquals', 'a', 'a', true],
  ['StringEquals', 'a', 'A', false],
  ['StringEquals', ['a', 'b'], 'b', true],
  ['StringEquals', 'a', undefined, false],
  ['StringEquals', '*', 'x', false],
  ['StringEquals', '${aws:username}', 'bob', true],
  ['StringEquals', '${aws:userid}', '${aws:userid}', false],
  ['StringNotEquals', ['a', 'b'], 'b', false],
  ['StringNotEquals', ['a', 'b'], 'c', true],
  ['StringNotEquals', 'a', undefined, true],
  ['StringEqualsIgnoreCase', 'a', 'A', true],
  ['StringNotEqualsIgnoreCase', 'a', 'A', false],
  ['StringLike', 'a*', 'abc', true],
  ['StringNotLike', 'a*', 'abc', false],
  ['StringEqualsIfExists', 'a', undefined, true],
  ['StringEqualsIfExists', 'a', 'b', false],
  ['StringNotEqualsIfExists', 'a', 'a', false],
  ['NumericEquals', 5, '5.0', true],
  ['NumericNotEquals', '5', '6', true],
  ['NumericLessThan', '5', '4', true],
  ['NumericLessThan', '5', '5', false],
  ['NumericLessThanEquals', '5', '5', true],
  ['NumericGreaterThan', '5', '10', true],
  ['NumericGreaterThanEquals', '5', '4', false],
  ['NumericLessThan', '5', 'four', false],
  ['DateGreaterThan', '2026-01-01T00:00:00Z', '2026-01-02T00:00:00Z', true],
  ['DateLessThan', '2026-01-01', '2026-01-02T00:00:00Z', false],
  ['DateEquals', '1767225600', '2026-01-01T00:00:00Z', true],
  ['Bool', 'true', 'true', true],
  ['Bool', true, 'TRUE', true],
  ['Bool', 'false', undefined, false],
  ['BoolIfExists', 'false', undefined, true],
  ['BinaryEquals', 'QUFB', 'QUFB', true],
  ['IpAddress', '10.0.0.0/8', '10.1.2.3', true],
  ['IpAddress', '10.0.0.0/8', '::ffff:10.1.2.3', true],
  ['IpAddress', '10.0.0.0/8', '11.1.2.3', false],
  ['IpAddress', '10.1.2.3', '10.1.2.3', true],
  ['IpAddress', '2001:db8::/32', '2001:db8::1', true],
  ['IpAddress', '10.0.0.0/8', 'not an address', false],
  ['NotIpAddress', '10.0.0.0/8', '11.1.2.3', true],
  ['ArnLike', 'arn:aws:iam::*:user/*', 'arn:aws:iam::111122223333:user/a/b', true],
  ['ArnLike', 'arn:aws:i*:*:*:role/a', 'arn:aws:iam::111122223333:user/a', false],
  ['ArnEquals', 'arn:aws:iam::111122223333:role/r', 'arn:aws:iam::111122223333:role/r', true],
  ['ArnEquals', 'arn:aws:iam::111122223333:user/${aws:username}', 'arn:aws:iam::111122223333:user/bob', true],
  ['ArnNotEquals', 'arn:aws:iam::111122223333:role/r', 'arn:aws:iam::111122223333:role/s', true],
  ['Null', 'true', undefined, true],
  ['Null', 'true', 'x', false],
  ['Null', 'false', 'x', true],
  ['Null', false, undefined, false],
  ['ForAllValues:StringEquals', ['a', 'b'], ['a', 'b'], true],
  ['ForAllValues:StringEquals', ['a', 'b'], ['a', 'c'], false],
  ['ForAllValues:StringEquals', ['a', 'b'], undefined, true],
  ['ForAnyValue:StringEquals', ['a', 'b'], ['c', 'b'], true],
  ['ForAnyValue:StringEquals', ['a', 'b'], ['c'], false],
  ['ForAnyValue:StringEquals', ['a', 'b'], undefined, false],
  ['ForAnyValue:StringNotEquals', 'a', undefined, false],
  ['ForAllValues:StringNotEquals', 'a', ['b', 'a'], false],
  ['ForAllValues:StringLike', 'a*', ['ab', 'ac'], true],
];

for (const [operator, values, found, expected] of TABLE)
  test(`${operator} ${JSON.stringify(values)} on ${JSON.stringify(found)}: ${expected}`, () => {
    assert.equal(holds(operator, values, found), expected);
  });

test('what cannot be compared is refused when it is written', () => {
  const wrong: [string, Values][] = [
    ['NumericEquals', 'five'],
    ['DateEquals', 'yesterday'],
    ['Bool', 'yes'],
    ['IpAddress', '10.0.0.0/33'],
    ['IpAddress', 'here'],
    ['ArnEquals', 'role/r'],
    ['ArnLike', 'arn:aws:*:user/a'],
    ['Null', 'perhaps'],
    ['NullIfExists', 'true'],
    ['StringSounds', 'a'],
    ['ForSomeValues:StringEquals', 'a'],
  ];
  for (const [operator, value] of wrong)
    assert.throws(() => holds(operator, value, 'x'), { name: 'PolicyProblem' }, operator);
  assert.throws(() => holds('StringEquals', 'a', 'x', 'nokey'), { name: 'PolicyProblem' });
});
