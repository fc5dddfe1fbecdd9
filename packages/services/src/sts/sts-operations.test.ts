import assert from 'node:assert/strict';
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import { test } from 'node:test';
import type { AssumeRoleCommandInput } from '@aws-sdk/client-sts';
import { must, SeededRandom, systemClock } from '@rokka/kernel';
import { MemoryRegistry, openSqliteRegistry } from '@rokka/registry';
import { createAccessKey } from '../iam/operations/create-access-key.ts';
import { createRole } from '../iam/operations/create-role.ts';
import { createUser } from '../iam/operations/create-user.ts';
import { deleteRole } from '../iam/operations/delete-role.ts';
import { deleteAccessKey } from '../iam/operations/delete-access-key.ts';
import { deleteRolePolicy } from '../iam/operations/delete-role-policy.ts';
import { deleteUser } from '../iam/operations/delete-user.ts';
import { deleteUserPolicy } from '../iam/operations/delete-user-policy.ts';
import { putRolePolicy } from '../iam/operations/put-role-policy.ts';
import { putUserPermissionsBoundary } from '../iam/operations/put-user-permissions-boundary.ts';
import { putUserPolicy } from '../iam/operations/put-user-policy.ts';
import { updateAssumeRolePolicy } from '../iam/operations/update-assume-role-policy.ts';
import { updateRole } from '../iam/operations/update-role.ts';
import { updateUser } from '../iam/operations/update-user.ts';
import { type IdentityCluster, identityCluster } from '../testing/identity-cluster.ts';
import { assumeRole } from './assume-role.ts';
import { getCallerIdentity } from './get-caller-identity.ts';
import { getSessionToken } from './get-session-token.ts';

const document = (...Statement: object[]) => JSON.stringify({ Version: '2012-10-17', Statement });
const allow = (Action: string | string[], more: object = {}) => ({
  Effect: 'Allow',
  Action,
  Resource: '*',
  ...more,
});
const DENIED = { name: 'AccessDenied', $metadata: { httpStatusCode: 403 } };
const INVALID = { name: 'ValidationError' };

interface Fixture extends IdentityCluster {
  /** Ann's key. */
  key: string;
  roleArn: string;
  trust(...statements: object[]): Promise<unknown>;
  assume(input?: Partial<AssumeRoleCommandInput>, key?: string): ReturnType<typeof assumeRole>;
}

/** Ann, who may nothing yet, and a role that trusts her. */
async function fixture(): Promise<Fixture> {
  const made = await identityCluster();
  const { context, account } = made;
  await createUser({ UserName: 'ann' }, context);
  const key = must((await createAccessKey({ UserName: 'ann' }, context)).AccessKey?.AccessKeyId);
  const roleArn = `arn:aws:iam::${account}:role/worker`;
  await createRole(
    { RoleName: 'worker', AssumeRolePolicyDocument: document(trusting(`arn:aws:iam::${account}:user/ann`)) },
    context,
  );
  await putRolePolicy(
    { RoleName: 'worker', PolicyName: 'p', PolicyDocument: document(allow('rds:*')) },
    context,
  );
  return {
    ...made,
    key,
    roleArn,
    trust: (...statements) =>
      updateAssumeRolePolicy({ RoleName: 'worker', PolicyDocument: document(...statements) }, context),
    assume: async (input = {}, by = key) =>
      assumeRole({ RoleArn: roleArn, RoleSessionName: 'run', ...input }, await made.as(by)),
  };
}

const trusting = (AWS: string, more: object = {}) => ({
  Effect: 'Allow',
  Action: 'sts:AssumeRole',
  Principal: { AWS },
  ...more,
});

test('who am I', async () => {
  const made = await fixture();
  const identity = await getCallerIdentity({}, await made.as(made.key));
  assert.equal(identity.Arn, `arn:aws:iam::${made.account}:user/ann`);
  assert.equal(identity.Account, made.account);
  assert.match(identity.UserId ?? '', /^AIDA/);
});

test('a session of a role is what the role is', async () => {
  const made = await fixture();
  const { Credentials, AssumedRoleUser } = await made.assume();
  const id = must(Credentials?.AccessKeyId);
  assert.match(id, /^ASIA[A-Z2-7]{16}$/);
  const credential = must(await made.credentials.find(id));
  assert.equal(credential.sessionToken, Credentials?.SessionToken);
  assert.equal(credential.secretAccessKey, Credentials?.SecretAccessKey);
  assert.equal(credential.principal.arn, `arn:aws:sts::${made.account}:assumed-role/worker/run`);
  const identity = await getCallerIdentity({}, await made.as(id));
  assert.deepEqual([identity.Arn, identity.UserId], [AssumedRoleUser?.Arn, AssumedRoleUser?.AssumedRoleId]);
  const ask = (action: string) => made.decide(id, { action, resource: '*', context: {} });
  assert.equal(await ask('rds:DescribeDBClusters'), 'allowed');
  assert.equal(await ask('ec2:DescribeInstances'), 'implicitDeny');
  await made.trust(trusting(made.account));
  assert.equal(await ask('rds:DescribeDBClusters'), 'allowed', 'a session outlives the trust that began it');
});

test('the trust policy decides together with the account', async () => {
  const made = await fixture();
  const { context, account } = made;
  await made.assume();
  await made.trust(trusting(account));
  await assert.rejects(made.assume(), DENIED, 'the account is trusted, and ann is allowed nothing');
  await putUserPolicy(
    { UserName: 'ann', PolicyName: 'p', PolicyDocument: document(allow('sts:AssumeRole')) },
    context,
  );
  await made.assume();
  await made.trust(trusting(account), { ...trusting(`arn:aws:iam::${account}:user/ann`), Effect: 'Deny' });
  await assert.rejects(made.assume(), DENIED);
  await made.trust(trusting(`arn:aws:iam::${account}:user/administrator`));
  await assert.rejects(made.assume(), DENIED);
  await made.trust({ ...trusting(account), Principal: { Service: 'ec2.amazonaws.com' } });
  await assert.rejects(made.assume(), DENIED);
  await made.trust({ ...trusting(account), Principal: '*' });
  await made.assume();
  await putUserPolicy(
    { UserName: 'ann', PolicyName: 'p', PolicyDocument: document({ ...allow('sts:*'), Effect: 'Deny' }) },
    context,
  );
  await assert.rejects(made.assume(), DENIED, 'her own policy denies it');
  await deleteUserPolicy({ UserName: 'ann', PolicyName: 'p' }, context);
  await made.assume();
  const PermissionsBoundary = 'arn:aws:iam::aws:policy/ReadOnlyAccess';
  await putUserPermissionsBoundary({ UserName: 'ann', PermissionsBoundary }, context);
  await assert.rejects(made.assume(), DENIED, 'her boundary does not reach so far');
});

test('a role that is not there is refused as one that may not be had', async () => {
  const made = await fixture();
  const RoleArn = `arn:aws:iam::${made.account}:role/other`;
  const refusal = async (input: object) =>
    made.assume(input).then(
      () => assert.fail('it was not refused'),
      (error: Error) => error.message,
    );
  const gone = await refusal({ RoleArn });
  await made.trust(trusting(`arn:aws:iam::${made.account}:user/administrator`));
  const closed = await refusal({});
  assert.equal(gone.replace('role/other', 'role/worker'), closed);
  await assert.rejects(made.assume({ RoleArn: 'arn:aws:iam::999999999999:role/worker' }), DENIED);
  await assert.rejects(made.assume({ RoleArn: 'worker' }), INVALID);
});

test('whom a trust policy names is who had the name when it was written', async () => {
  const made = await fixture();
  const { context } = made;
  await deleteAccessKey({ UserName: 'ann', AccessKeyId: made.key }, context);
  await deleteUser({ UserName: 'ann' }, context);
  await createUser({ UserName: 'ann' }, context);
  const key = must((await createAccessKey({ UserName: 'ann' }, context)).AccessKey?.AccessKeyId);
  await assert.rejects(made.assume({}, key), DENIED);
});

test('a user who was moved to another path is the same', async () => {
  const made = await fixture();
  await updateUser({ UserName: 'ann', NewPath: '/moved/' }, made.context);
  await made.assume();
});

test('external id, session name, tags and source identity are asked for by conditions', async () => {
  const made = await fixture();
  const { account } = made;
  const ann = `arn:aws:iam::${account}:user/ann`;
  await made.trust(trusting(ann, { Condition: { StringEquals: { 'sts:ExternalId': 'x-1' } } }));
  await assert.rejects(made.assume(), DENIED);
  await assert.rejects(made.assume({ ExternalId: 'x-2' }), DENIED);
  await made.assume({ ExternalId: 'x-1' });
  await made.trust(
    trusting(ann, { Condition: { StringEquals: { 'sts:RoleSessionName': '${aws:username}' } } }),
  );
  await assert.rejects(made.assume(), DENIED);
  await made.assume({ RoleSessionName: 'ann' });
  await made.trust(trusting(ann));
  const Tags = [{ Key: 'team', Value: 'core' }];
  await assert.rejects(made.assume({ Tags }), DENIED, 'sts:TagSession is a permission of its own');
  await assert.rejects(made.assume({ SourceIdentity: 'ann' }), DENIED);
  await made.trust(trusting(ann, { Action: ['sts:AssumeRole', 'sts:TagSession', 'sts:SetSourceIdentity'] }));
  const { Credentials, SourceIdentity } = await made.assume({ Tags, SourceIdentity: 'ann' });
  assert.equal(SourceIdentity, 'ann');
  const Condition = { StringEquals: { 'aws:PrincipalTag/Team': 'core', 'aws:SourceIdentity': 'ann' } };
  const PolicyDocument = document(allow('ec2:*', { Condition }));
  await putRolePolicy({ RoleName: 'worker', PolicyName: 'q', PolicyDocument }, made.context);
  const asked = { action: 'ec2:DescribeInstances', resource: '*', context: {} };
  assert.equal(await made.decide(must(Credentials?.AccessKeyId), asked), 'allowed');
  const plain = await made.assume();
  assert.equal(await made.decide(must(plain.Credentials?.AccessKeyId), asked), 'implicitDeny');
});

test('policies of the session narrow it', async () => {
  const made = await fixture();
  const asked = (action: string) => ({ action, resource: '*', context: {} });
  const Policy = document(allow('rds:Describe*'), allow('ec2:*'));
  const { Credentials } = await made.assume({ Policy });
  const id = must(Credentials?.AccessKeyId);
  assert.equal(await made.decide(id, asked('rds:DescribeDBClusters')), 'allowed');
  assert.equal(await made.decide(id, asked('rds:DeleteDBCluster')), 'implicitDeny');
  assert.equal(await made.decide(id, asked('ec2:DescribeInstances')), 'implicitDeny');
  const PolicyArns = [{ arn: 'arn:aws:iam::aws:policy/ReadOnlyAccess' }];
  const managed = must((await made.assume({ PolicyArns })).Credentials?.AccessKeyId);
  assert.equal(await made.decide(managed, asked('rds:DescribeDBClusters')), 'allowed');
  assert.equal(await made.decide(managed, asked('rds:DeleteDBCluster')), 'implicitDeny');
  await assert.rejects(made.assume({ Policy: '{' }), { name: 'MalformedPolicyDocumentException' });
  await assert.rejects(made.assume({ Policy: document(allow(`s3:${'a'.repeat(2048)}`)) }), {
    name: 'PackedPolicyTooLargeException',
  });
  await assert.rejects(made.assume({ PolicyArns: [{ arn: 'arn:aws:iam::aws:policy/None' }] }), INVALID);
});

test('how long a session may last', async () => {
  const made = await fixture();
  for (const DurationSeconds of [899, 3601, 900.5])
    await assert.rejects(made.assume({ DurationSeconds }), INVALID);
  await updateRole({ RoleName: 'worker', MaxSessionDuration: 7200 }, made.context);
  const long = await made.assume({ DurationSeconds: 7200 });
  assert.equal(long.Credentials?.Expiration?.getTime(), made.clock.wallMs() + 7_200_000);
  await made.trust(trusting(made.account));
  await putRolePolicy(
    { RoleName: 'worker', PolicyName: 'a', PolicyDocument: document(allow('sts:*')) },
    made.context,
  );
  const id = must(long.Credentials?.AccessKeyId);
  await assert.rejects(
    made.assume({ DurationSeconds: 7200 }, id),
    INVALID,
    'from one role to another: an hour',
  );
  await made.assume({}, id);
});

test('a session ends with its time, or with its role', async () => {
  const made = await fixture();
  const first = must((await made.assume({ DurationSeconds: 900 })).Credentials?.AccessKeyId);
  const credential = must(await made.credentials.find(first));
  made.clock.advanceTo(899_999);
  assert.ok(await made.credentials.find(first));
  made.clock.advanceTo(900_000);
  assert.equal(await made.credentials.find(first), undefined);
  const asked = { action: 'rds:DescribeDBClusters', resource: '*', context: {} };
  assert.equal(await made.authorizer.decide({ ...asked, credential }), 'implicitDeny');
  const second = must((await made.assume()).Credentials?.AccessKeyId);
  const { context } = made;
  await deleteRolePolicy({ RoleName: 'worker', PolicyName: 'p' }, context);
  await deleteRole({ RoleName: 'worker' }, context);
  assert.equal(await made.credentials.find(second), undefined);
});

test('a place is taken again once its session has expired, and not before', async () => {
  const registry = new MemoryRegistry();
  const made = await identityCluster({ registry });
  const { context, clock } = made;
  await createRole({ RoleName: 'r', AssumeRolePolicyDocument: document(trusting(made.account)) }, context);
  const input = {
    RoleArn: `arn:aws:iam::${made.account}:role/r`,
    RoleSessionName: 'run',
    DurationSeconds: 900,
  };
  // Ids whose last three letters are always the same, so that all want one place.
  const seeded = new SeededRandom(5);
  let drawn = 0;
  const random = {
    hex: (count: number) => seeded.hex(count),
    below: (below: number) => (below === 32 && drawn++ % 16 >= 13 ? 0 : seeded.below(below)),
  };
  const narrow = { ...context, random };
  const first = must((await assumeRole(input, narrow)).Credentials?.AccessKeyId);
  assert.match(first, /AAA$/);
  await assert.rejects(assumeRole(input, narrow), { name: 'Throttling' });
  assert.ok(await made.credentials.find(first), 'it is not displaced');
  clock.advanceTo(900_000);
  const second = must((await assumeRole(input, narrow)).Credentials?.AccessKeyId);
  assert.notEqual(second, first);
  assert.deepEqual(
    [await made.credentials.find(first), (await made.credentials.find(second))?.accessKeyId],
    [undefined, second],
  );
  assert.equal((await registry.list('identity/sessions/')).length, 1);
});

test('a session that another process put into a remembered place is found', async () => {
  const registry = new MemoryRegistry();
  const made = await identityCluster({ registry });
  const { Credentials } = await getSessionToken({ DurationSeconds: 900 }, made.context);
  const first = must(Credentials?.AccessKeyId);
  made.clock.advanceTo(899_999);
  assert.ok(await made.credentials.find(first));
  made.clock.advanceTo(900_000);
  const key = `identity/sessions/${first.slice(-3)}`;
  const entry = must(await registry.get<Record<string, unknown>>(key));
  const second = `ASIAZZZZZZZZZZZZZ${first.slice(-3)}`;
  const taken = { ...entry.value, accessKeyId: second, expiresAtMs: made.clock.wallMs() + 1000 };
  await registry.another().put(key, taken, entry.revision);
  assert.equal((await made.credentials.find(second))?.accessKeyId, second);
});

test('a session of a role is not one of another role that takes the name', async () => {
  const made = await fixture();
  const { context } = made;
  const id = must((await made.assume()).Credentials?.AccessKeyId);
  const credential = must(await made.credentials.find(id));
  await deleteRolePolicy({ RoleName: 'worker', PolicyName: 'p' }, context);
  await deleteRole({ RoleName: 'worker' }, context);
  await createRole(
    { RoleName: 'worker', AssumeRolePolicyDocument: document(trusting(made.account)) },
    context,
  );
  await putRolePolicy({ RoleName: 'worker', PolicyName: 'p', PolicyDocument: document(allow('*')) }, context);
  assert.equal(await made.credentials.find(id), undefined);
  const asked = { action: 'rds:DescribeDBClusters', resource: '*', context: {}, credential };
  assert.equal(await made.authorizer.decide(asked), 'implicitDeny');
});

test('a session of a user may what the user may, but for IAM', async () => {
  const made = await fixture();
  await putUserPolicy(
    { UserName: 'ann', PolicyName: 'p', PolicyDocument: document(allow('*')) },
    made.context,
  );
  const { Credentials } = await getSessionToken({}, await made.as(made.key));
  const id = must(Credentials?.AccessKeyId);
  const ask = (action: string) => made.decide(id, { action, resource: '*', context: {} });
  assert.equal(await ask('rds:DescribeDBClusters'), 'allowed');
  assert.equal(await ask('iam:ListUsers'), 'implicitDeny');
  assert.equal(await ask('iam:PassRole'), 'allowed', 'it is no operation of IAM');
  assert.equal(await ask('sts:GetSessionToken'), 'implicitDeny');
  assert.equal(await ask('sts:GetCallerIdentity'), 'allowed');
  assert.equal((await made.credentials.find(id))?.principal.arn, `arn:aws:iam::${made.account}:user/ann`);
  await assert.rejects(getSessionToken({}, await made.as(id)), DENIED);
  await made.assume({}, id);
  for (const DurationSeconds of [899, 129_601])
    await assert.rejects(getSessionToken({ DurationSeconds }, await made.as(made.key)), INVALID);
});

test('what is not supported is refused', async () => {
  const made = await fixture();
  await assert.rejects(made.assume({ TokenCode: '123456', SerialNumber: 'x' }), DENIED);
  await assert.rejects(made.assume({ TransitiveTagKeys: ['a'] }), INVALID);
  for (const RoleSessionName of [undefined, 'a', 'a b', 'x'.repeat(65)])
    await assert.rejects(made.assume({ RoleSessionName }), INVALID);
});

test('sessions outlive a restart', async () => {
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'rokka-sts-'));
  const open = () => openSqliteRegistry({ path: path.join(directory, 'registry.db'), clock: systemClock });
  try {
    let id = '';
    {
      await using registry = await open();
      const made = await identityCluster({ registry });
      id = must((await getSessionToken({}, made.context)).Credentials?.AccessKeyId);
    }
    await using registry = await open();
    const made = await identityCluster({ registry, seed: 2 });
    assert.equal((await made.credentials.find(id))?.principal.userId, made.administrator.principal.userId);
  } finally {
    fs.rmSync(directory, { recursive: true });
  }
});
