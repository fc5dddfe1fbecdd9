import assert from 'node:assert/strict';
import { test } from 'node:test';
import { authorize } from './authorization.ts';
import { Failure } from './failures.ts';
import { untyped } from './operation.ts';
import { requestTags } from './request-tags.ts';
import { ACCOUNT, ALICE, CALL, SESSION, TestAuthorizer } from './testing/identity.ts';

const context = { ...CALL, atMs: Date.UTC(2026, 0, 31, 12, 0, 0, 500) };
const operation = untyped('AddTags', { handle: () => ({}), resources: () => ['a', 'b', 'c'] });
const ask = { action: 'x:AddTags', operation, credential: ALICE, context };

test('condition keys are those of AWS', async () => {
  const authorizer = new TestAuthorizer();
  await authorize(authorizer, {
    ...ask,
    input: { Tags: [{ Key: 'team', Value: 'shop' }, { Key: 'empty' }] },
  });
  assert.deepEqual(authorizer.asked[0].context, {
    'aws:SourceIp': '192.0.2.7',
    'aws:RequestedRegion': 'eu-north-1',
    'aws:CurrentTime': '2026-01-31T12:00:00.500Z',
    'aws:EpochTime': '1769860800',
    'aws:UserAgent': 'aws-cli/2',
    'aws:SecureTransport': 'false',
    'aws:PrincipalAccount': ACCOUNT,
    'aws:PrincipalArn': ALICE.principal.arn,
    'aws:PrincipalType': 'User',
    'aws:userid': 'AIDAALICE',
    'aws:username': 'alice',
    'aws:RequestTag/team': 'shop',
    'aws:RequestTag/empty': '',
    'aws:TagKeys': ['team', 'empty'],
  });
});

test("a session is asked for by its role's ARN, and has no user name", async () => {
  const authorizer = new TestAuthorizer();
  const { principal } = SESSION;
  await authorize(authorizer, { ...ask, input: {}, credential: SESSION, context: { ...context, principal } });
  const { context: keys } = authorizer.asked[0];
  assert.equal(keys['aws:PrincipalArn'], `arn:aws:iam::${ACCOUNT}:role/deployer`);
  assert.equal(keys['aws:PrincipalType'], 'AssumedRole');
  assert.ok(!('aws:username' in keys));
  assert.ok(!('aws:TagKeys' in keys));
});

test('every resource must be allowed; the first that is not is named', async () => {
  const authorizer = new TestAuthorizer();
  authorizer.deny.set('b', 'explicitDeny').set('c', 'implicitDeny');
  await assert.rejects(authorize(authorizer, { ...ask, input: {} }), (error: unknown) => {
    assert.ok(error instanceof Failure);
    assert.equal(error.kind, 'denied');
    assert.match(
      error.message,
      /to perform: x:AddTags on resource: b with an explicit deny in an identity-based policy$/,
    );
    return true;
  });
  assert.deepEqual(
    authorizer.asked.map(({ resource }) => resource),
    ['a', 'b'],
  );
});

test('a resource may be asked for with an action and keys of its own', async () => {
  const authorizer = new TestAuthorizer();
  const more = { arn: 'b', action: 'x:Tag', conditions: { 'x:CreateAction': 'AddTags' } };
  const own = untyped('AddTags', {
    handle: () => ({}),
    resources: () => ['a', more],
    conditions: () => ({ 'x:Kind': 'k' }),
  });
  await authorize(authorizer, { ...ask, operation: own, input: {} });
  assert.deepEqual(
    authorizer.asked.map(({ action, resource, context: keys }) => [
      action,
      resource,
      keys['x:CreateAction'],
      keys['x:Kind'],
    ]),
    [
      ['x:AddTags', 'a', undefined, 'k'],
      ['x:Tag', 'b', 'AddTags', 'k'],
    ],
  );
});

test('what is made is asked for with the tags that it will have, and not with those of others', async () => {
  const authorizer = new TestAuthorizer();
  const operation = untyped('Make', {
    handle: () => ({}),
    resources: () => [{ arn: 'a', tagged: 'image' }, { arn: 'b', tagged: 'snapshot' }, 'c'],
  });
  const TagSpecifications = [
    { ResourceType: 'snapshot', Tags: [{ Key: 'team', Value: 'theirs' }] },
    {
      ResourceType: 'image',
      Tags: [
        { Key: 'team', Value: 'ours' },
        { Key: 'own', Value: '1' },
      ],
    },
  ];
  await authorize(authorizer, { ...ask, operation, input: { TagSpecifications } });
  assert.deepEqual(
    authorizer.asked.map(({ resource, context: keys }) => [
      resource,
      keys['aws:RequestTag/team'],
      keys['aws:RequestTag/own'],
      keys['aws:TagKeys'],
    ]),
    [
      ['a', 'ours', '1', ['team', 'own']],
      ['b', 'theirs', undefined, ['team']],
      ['c', 'ours', '1', ['team', 'own']],
    ],
  );
});

test('tags are found wherever a service writes them', () => {
  const found = (input: unknown) => [Object.fromEntries(requestTags(input).values), requestTags(input).keys];
  assert.deepEqual(found({ tags: { a: '1' } }), [{ a: '1' }, ['a']]);
  assert.deepEqual(found({ tags: [{ key: 'a', value: '1' }] }), [{ a: '1' }, ['a']]);
  const specification = { ResourceType: 'snapshot', Tags: [{ Key: 'a', Value: '1' }] };
  assert.deepEqual(found({ TagSpecifications: [specification, { Tags: [{ Key: 'b' }] }] }), [
    { a: '1', b: '' },
    ['a', 'b'],
  ]);
  assert.deepEqual(found({ TagKeys: ['a', 'b', 'a'] }), [{}, ['a', 'b']]);
  assert.deepEqual(found({ Tags: 'none', TagKeys: [1] }), [{}, []]);
  assert.deepEqual(found(undefined), [{}, []]);
});
