import assert from 'node:assert/strict';
import { test } from 'node:test';
import { identityCluster } from '../testing/identity-cluster.ts';
import { iamAsks } from './iam-requests.ts';
import { createInstanceProfile } from './operations/create-instance-profile.ts';
import { createRole } from './operations/create-role.ts';
import { createUser } from './operations/create-user.ts';

test('what a call is about, and what conditions may ask of it', async () => {
  const { store, context, account, clock } = await identityCluster();
  await createUser({ UserName: 'Ann', Path: '/team/', Tags: [{ Key: 'cost', Value: '1' }] }, context);
  const asks = (operation: string, input: object) =>
    iamAsks({
      store,
      credential: context.credential,
      wallMs: clock.wallMs(),
      operation,
      input: { ...input },
    });
  const of = async (operation: string, input: object) => (await asks(operation, input))[0];
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
    assert.equal((await of(operation, input)).arn, resource, `${operation} ${JSON.stringify(input)}`);
  const attach = await of('AttachUserPolicy', { UserName: 'ann', PolicyArn: 'arn:aws:iam::aws:policy/X' });
  assert.deepEqual(attach.conditions, {
    'aws:ResourceTag/cost': '1',
    'iam:ResourceTag/cost': '1',
    'iam:PolicyARN': 'arn:aws:iam::aws:policy/X',
  });
  const create = await of('CreateUser', {
    UserName: 'new',
    PermissionsBoundary: 'arn:aws:iam::aws:policy/X',
    Tags: [{ Key: 'team', Value: 'core' }],
  });
  assert.deepEqual(create.conditions, {
    'aws:RequestTag/team': 'core',
    'aws:TagKeys': ['team'],
    'iam:PermissionsBoundary': 'arn:aws:iam::aws:policy/X',
  });
  assert.deepEqual(
    (await of('UntagUser', { UserName: 'ann', TagKeys: ['a', 'b'] })).conditions?.['aws:TagKeys'],
    ['a', 'b'],
  );
});

test('who puts a role into a profile hands it on, and what is asked of the role is not what is asked of the profile', async () => {
  const { store, context, account, clock } = await identityCluster();
  const { credential } = context;
  const AssumeRolePolicyDocument = JSON.stringify({
    Statement: { Effect: 'Allow', Action: 'sts:AssumeRole', Principal: { Service: 'ec2.amazonaws.com' } },
  });
  const Tags = (Value: string) => [{ Key: 'team', Value }];
  await createRole({ RoleName: 'R', Path: '/x/', AssumeRolePolicyDocument, Tags: Tags('red') }, context);
  await createInstanceProfile({ InstanceProfileName: 'i', Tags: Tags('green') }, context);
  const asked = (RoleName: string) =>
    iamAsks({
      store,
      credential,
      wallMs: clock.wallMs(),
      operation: 'AddRoleToInstanceProfile',
      input: { InstanceProfileName: 'i', RoleName },
    });
  assert.deepEqual(await asked('r'), [
    {
      arn: `arn:aws:iam::${account}:instance-profile/i`,
      conditions: { 'aws:ResourceTag/team': 'green', 'iam:ResourceTag/team': 'green' },
    },
    {
      arn: `arn:aws:iam::${account}:role/x/R`,
      action: 'iam:PassRole',
      conditions: {
        'iam:PassedToService': 'ec2.amazonaws.com',
        'aws:ResourceTag/team': 'red',
        'iam:ResourceTag/team': 'red',
      },
    },
  ]);
  assert.equal((await asked('none'))[1].arn, `arn:aws:iam::${account}:role/none`);
});
