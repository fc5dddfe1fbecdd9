import assert from 'node:assert/strict';
import { test } from 'node:test';
import { compilePolicy, type PolicyKind } from './policy-document.ts';

const ALLOW = { Effect: 'Allow', Action: 'rds:*', Resource: '*' };
const TRUST = { Effect: 'Allow', Action: 'sts:AssumeRole', Principal: { AWS: '111122223333' } };
const of = (Statement: unknown, more = {}) => JSON.stringify({ Version: '2012-10-17', Statement, ...more });

test('what the grammar allows', () => {
  const fine: [PolicyKind, string][] = [
    ['identity', of(ALLOW)],
    ['identity', of([ALLOW, { ...ALLOW, Effect: 'Deny', Sid: 'a1' }], { Id: 'x' })],
    ['identity', JSON.stringify({ Statement: ALLOW })],
    ['identity', of({ Effect: 'Deny', NotAction: ['iam:*'], NotResource: 'arn:aws:iam::1:user/a' })],
    ['identity', of({ ...ALLOW, Condition: {} })],
    ['identity', of({ ...ALLOW, Resource: ['arn:aws:rds:*', 'arn:*:s3:::b/*', 'arn:aws-cn:s3:::b'] })],
    ['trust', of(TRUST)],
    ['trust', of({ ...TRUST, Principal: '*' })],
    ['trust', of({ ...TRUST, Principal: { Service: ['ec2.amazonaws.com'] } })],
    ['trust', of({ ...TRUST, Principal: { AWS: ['arn:aws:iam::111122223333:root', '*'] } })],
  ];
  for (const [kind, text] of fine) assert.ok(compilePolicy(text, kind).statements.length > 0, text);
});

test('what it does not is refused, with the place', () => {
  const wrong: [PolicyKind, string, RegExp][] = [
    ['identity', '{', /JSON/],
    ['identity', '[]', /object/],
    ['identity', '{}', /Statement/],
    ['identity', of([]), /at least one/],
    ['identity', of(ALLOW, { Version: '2013-01-01' }), /Version/],
    ['identity', of(ALLOW, { Statements: [] }), /Statements has no place/],
    ['identity', of('x'), /Statement\[0\]/],
    ['identity', of({ ...ALLOW, Effect: 'allow' }), /Effect/],
    ['identity', of({ ...ALLOW, Action: undefined }), /Action/],
    ['identity', of({ ...ALLOW, NotAction: 'x:y' }), /one of Action/],
    ['identity', of({ ...ALLOW, Action: [] }), /empty/],
    ['identity', of({ ...ALLOW, Action: 'rds' }), /no action/],
    ['identity', of({ ...ALLOW, Action: 5 }), /string/],
    ['identity', of({ ...ALLOW, Action: '*:*' }), /no action/],
    ['identity', of({ ...ALLOW, Resource: undefined }), /Resource/],
    ['identity', of({ ...ALLOW, Resource: 'cluster' }), /neither/],
    ['identity', of({ ...ALLOW, Resource: 'arn:aws:s3::bucket' }), /neither/],
    ['identity', of({ ...ALLOW, Resource: 'arn:error:s3:::bucket' }), /neither/],
    ['identity', of(ALLOW, { Id: {} }), /Id/],
    ['identity', of({ ...ALLOW, Principal: '*' }), /Principal has no place/],
    ['identity', of({ ...ALLOW, Conditions: {} }), /Conditions has no place/],
    ['identity', of({ ...ALLOW, Condition: [] }), /object/],
    ['identity', of({ ...ALLOW, Condition: { StringEquals: 'x' } }), /object/],
    ['identity', of({ ...ALLOW, Sid: 'a b' }), /Sid/],
    [
      'identity',
      of([
        { ...ALLOW, Sid: 'a' },
        { ...ALLOW, Sid: 'a' },
      ]),
      /twice/,
    ],
    ['trust', of({ ...TRUST, Principal: undefined }), /Principal/],
    ['trust', of({ ...TRUST, Principal: undefined, NotPrincipal: '*' }), /NotPrincipal/],
    ['trust', of({ ...TRUST, Resource: '*' }), /names no resource/],
    ['trust', of({ ...TRUST, Principal: { Federated: 'x' } }), /Federated/],
    ['trust', of({ ...TRUST, Principal: { AWS: 'bob' } }), /Invalid principal/],
    ['trust', of({ ...TRUST, Principal: { Service: 'ec2' } }), /Invalid principal/],
  ];
  for (const [kind, text, message] of wrong)
    assert.throws(() => compilePolicy(text, kind), { name: 'PolicyProblem', message }, text);
});

test('variables are replaced from version 2012-10-17 on only', () => {
  const resource = 'arn:aws:iam::1:user/${aws:username}';
  const [now] = compilePolicy(of({ ...ALLOW, Resource: resource }), 'identity').statements;
  const [then] = compilePolicy(
    JSON.stringify({ Statement: { ...ALLOW, Resource: resource } }),
    'identity',
  ).statements;
  const bob = () => 'bob';
  assert.ok(now.resources[0].matches('arn:aws:iam::1:user/bob', bob));
  assert.ok(!then.resources[0].matches('arn:aws:iam::1:user/bob', bob));
  assert.ok(then.resources[0].matches(resource, bob));
});
