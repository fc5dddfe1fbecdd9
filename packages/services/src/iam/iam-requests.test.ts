import assert from 'node:assert/strict';
import { test } from 'node:test';
import { identityCluster } from '../testing/identity-cluster.ts';
import { iamRequest } from './iam-requests.ts';
import { createUser } from './operations/create-user.ts';

test('what a call is about, and what conditions may ask of it', async () => {
  const { store, context, account, clock } = await identityCluster();
  await createUser({ UserName: 'Ann', Path: '/team/', Tags: [{ Key: 'cost', Value: '1' }] }, context);
  const of = (operation: string, input: object) =>
    iamRequest({
      store,
      credential: context.credential,
      wallMs: clock.wallMs(),
      operation,
      input: { ...input },
    });
  const arn = (rest: string) => `arn:aws:iam::${account}:${rest}`;
  const cases: [operation: string, input: object, resource: string][] = [
    ['GetUser', { UserName: 'ann' }, arn('user/team/Ann')],
    ['GetUser', {}, arn('user/administrator')],
    ['CreateAccessKey', {}, arn('user/administrator')],
    ['CreateUser', { UserName: 'bob', Path: '/x/' }, arn('user/x/bob')],
    ['CreateUser', { UserName: 'ü b' }, arn('user/ü b')],
    ['ListUsers', {}, '*'],
    ['AttachUserPolicy', { UserName: 'ann', PolicyArn: 'arn:aws:iam::aws:policy/X' }, arn('user/team/Ann')],
    ['AddUserToGroup', { UserName: 'ann', GroupName: 'g' }, arn('group/g')],
    ['AddRoleToInstanceProfile', { RoleName: 'r', InstanceProfileName: 'i' }, arn('instance-profile/i')],
    ['CreatePolicy', { PolicyName: 'p', Path: '/x/' }, arn('policy/x/p')],
    ['GetPolicy', { PolicyArn: arn('policy/x/p') }, arn('policy/x/p')],
    ['PutUserPolicy', { UserName: 'ann', PolicyName: 'p' }, arn('user/team/Ann')],
    ['SimulatePrincipalPolicy', { PolicySourceArn: arn('user/team/Ann') }, arn('user/team/Ann')],
    ['SimulateCustomPolicy', {}, '*'],
  ];
  for (const [operation, input, resource] of cases)
    assert.equal((await of(operation, input)).resource, resource, `${operation} ${JSON.stringify(input)}`);
  const attach = await of('AttachUserPolicy', { UserName: 'ann', PolicyArn: 'arn:aws:iam::aws:policy/X' });
  assert.deepEqual(attach.context, {
    'aws:ResourceTag/cost': '1',
    'iam:ResourceTag/cost': '1',
    'iam:PolicyARN': 'arn:aws:iam::aws:policy/X',
  });
  const create = await of('CreateUser', {
    UserName: 'new',
    PermissionsBoundary: 'arn:aws:iam::aws:policy/X',
    Tags: [{ Key: 'team', Value: 'core' }],
  });
  assert.deepEqual(create.context, {
    'aws:RequestTag/team': 'core',
    'aws:TagKeys': ['team'],
    'iam:PermissionsBoundary': 'arn:aws:iam::aws:policy/X',
  });
  assert.deepEqual((await of('UntagUser', { UserName: 'ann', TagKeys: ['a', 'b'] })).context['aws:TagKeys'], [
    'a',
    'b',
  ]);
});
