/** What whoever asked for something may later, when it is done: as policies are then. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { must } from '@rokka/kernel';
import { type IdentityCluster, identityCluster, REGION } from '../testing/identity-cluster.ts';
import { assumeRole } from '../sts/assume-role.ts';
import { createAccessKey } from './operations/create-access-key.ts';
import { createRole } from './operations/create-role.ts';
import { createUser } from './operations/create-user.ts';
import { deleteAccessKey } from './operations/delete-access-key.ts';
import { deleteUser } from './operations/delete-user.ts';
import { deleteUserPolicy } from './operations/delete-user-policy.ts';
import { putRolePolicy } from './operations/put-role-policy.ts';
import { putUserPolicy } from './operations/put-user-policy.ts';
import { type StandIn, standingRights } from './standing-rights.ts';

const ARN = 'arn:aws:ec2:eu-west-1:1:instance/i-1';
const ASK = { action: 'ssm:SendCommand', arn: ARN, conditions: { 'ssm:resourceTag/team': 'red' } };

const document = (...statements: object[]) =>
  JSON.stringify({
    Version: '2012-10-17',
    Statement: statements.map((each) => ({ Effect: 'Allow', Resource: '*', ...each })),
  });
const SEND = { Action: 'ssm:SendCommand' };

function rightsOf(made: IdentityCluster) {
  const { store, policies } = made.context;
  const rights = standingRights({ identity: { store, policies }, clock: made.clock });
  const may = async (standIn: StandIn, ask = ASK) =>
    (await rights.firstDenied(standIn, { region: REGION, asks: [ask] })) === undefined;
  const standInOf = async (key: string) =>
    // As it is kept: what is no JSON would not be there again.
    JSON.parse(JSON.stringify(await rights.standInOf((await made.as(key)).credential))) as StandIn;
  return { rights, may, standInOf };
}

async function ann(made: IdentityCluster): Promise<string> {
  await createUser({ UserName: 'ann' }, made.context);
  const PolicyDocument = document({
    ...SEND,
    Condition: { StringEquals: { 'ssm:resourceTag/team': 'red' } },
  });
  await putUserPolicy({ UserName: 'ann', PolicyName: 'p', PolicyDocument }, made.context);
  return must((await createAccessKey({ UserName: 'ann' }, made.context)).AccessKey?.AccessKeyId);
}

test('a user: his policies as they are then, whatever became of his key', async () => {
  const made = await identityCluster();
  const { may, standInOf, rights } = rightsOf(made);
  const AccessKeyId = await ann(made);
  const standIn = await standInOf(AccessKeyId);
  assert.equal(await may(standIn), true);
  assert.equal(await may(standIn, { ...ASK, conditions: { 'ssm:resourceTag/team': 'green' } }), false);
  const other = { ...ASK, action: 'ssm:CancelCommand' };
  assert.deepEqual(await rights.firstDenied(standIn, { region: REGION, asks: [ASK, other, ASK] }), other);
  await deleteAccessKey({ UserName: 'ann', AccessKeyId }, made.context);
  assert.equal(await may(standIn), true);
  await deleteUserPolicy({ UserName: 'ann', PolicyName: 'p' }, made.context);
  assert.equal(await may(standIn), false);
});

test('a user who is gone may nothing, nor one who has taken his name', async () => {
  const made = await identityCluster();
  const { may, standInOf } = rightsOf(made);
  const AccessKeyId = await ann(made);
  const standIn = await standInOf(AccessKeyId);
  await deleteAccessKey({ UserName: 'ann', AccessKeyId }, made.context);
  await deleteUserPolicy({ UserName: 'ann', PolicyName: 'p' }, made.context);
  await deleteUser({ UserName: 'ann' }, made.context);
  assert.equal(await may(standIn), false);
  await ann(made);
  assert.equal(await may(standIn), false);
});

test('a session of a role: what narrowed it narrows it later, and it may outlive its keys', async () => {
  const made = await identityCluster();
  const { may, standInOf } = rightsOf(made);
  const { context } = made;
  const trust = {
    Action: ['sts:AssumeRole', 'sts:TagSession'],
    Principal: { AWS: made.administrator.principal.arn },
  };
  const AssumeRolePolicyDocument = JSON.stringify({
    Version: '2012-10-17',
    Statement: [{ Effect: 'Allow', ...trust }],
  });
  const { Role } = await createRole({ RoleName: 'night', AssumeRolePolicyDocument }, context);
  const PolicyDocument = document(SEND, {
    ...SEND,
    Effect: 'Deny',
    Condition: { StringEquals: { 'aws:PrincipalTag/team': 'blue' } },
  });
  await putRolePolicy({ RoleName: 'night', PolicyName: 'p', PolicyDocument }, context);
  const session = async (more: object) => {
    const of = { RoleArn: Role?.Arn, RoleSessionName: 'night', ...more };
    const { Credentials } = await assumeRole(of, context);
    return standInOf(must(Credentials?.AccessKeyId));
  };
  const whole = await session({});
  const narrow = await session({ Policy: document({ Action: 'ssm:ListCommands' }) });
  const tagged = await session({ Tags: [{ Key: 'team', Value: 'blue' }] });
  made.clock.advanceTo(made.clock.nowMs() + 24 * 3_600_000);
  assert.deepEqual([await may(whole), await may(narrow), await may(tagged)], [true, false, false]);
});
