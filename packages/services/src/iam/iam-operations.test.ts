/** IAM's operations as its clients use them, over the registry in memory and in SQLite. */
import assert from 'node:assert/strict';
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import { test } from 'node:test';
import { must, systemClock } from '@rokka/kernel';
import { MemoryRegistry, openSqliteRegistry, type Registry } from '@rokka/registry';
import { type IdentityCluster, identityCluster } from '../testing/identity-cluster.ts';
import { iamHandlers } from './iam-handlers.ts';

type Iam = { [K in keyof ReturnType<typeof iamHandlers>]: Bound<ReturnType<typeof iamHandlers>[K]> };
type Bound<F> = F extends (input: infer I, call: never) => infer R ? (input: I) => R : never;

/** The operations as the administrator calls them. */
function asAdministrator({ context }: IdentityCluster): Iam {
  const handlers = iamHandlers(context) as unknown as Record<
    string,
    (input: unknown, call: unknown) => unknown
  >;
  const bound = Object.entries(handlers).map(([name, run]) => [
    name,
    (input: unknown) => run(input, context),
  ]);
  return Object.fromEntries(bound) as Iam;
}

const policy = (Effect: string, Action: string, Resource = '*') =>
  JSON.stringify({ Version: '2012-10-17', Statement: [{ Effect, Action, Resource }] });
const EVERYTHING = policy('Allow', '*');

async function withRegistry(
  kind: 'memory' | 'sqlite',
  run: (registry: Registry) => Promise<void>,
): Promise<void> {
  if (kind === 'memory') return run(new MemoryRegistry());
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'rokka-iam-'));
  try {
    await using registry = await openSqliteRegistry({
      path: path.join(directory, 'registry.db'),
      clock: systemClock,
    });
    await run(registry);
  } finally {
    fs.rmSync(directory, { recursive: true });
  }
}

/** The test over both registries. */
function onBoth(name: string, run: (iam: Iam, made: IdentityCluster) => Promise<void>): void {
  for (const kind of ['memory', 'sqlite'] as const)
    test(`${name} (${kind})`, () =>
      withRegistry(kind, async (registry) => {
        const made = await identityCluster({ registry });
        await run(asAdministrator(made), made);
      }));
}

const refused = (name: string, message?: RegExp) => ({ name, ...(message && { message }) });

onBoth('a user from its making to its end', async (iam, { account }) => {
  const { User } = await iam.CreateUser({
    UserName: 'Ann',
    Path: '/team/',
    Tags: [{ Key: 'cost', Value: '1' }],
  });
  assert.equal(User?.Arn, `arn:aws:iam::${account}:user/team/Ann`);
  assert.match(User.UserId ?? '', /^AIDA[A-Z2-7]{17}$/);
  assert.deepEqual((await iam.GetUser({ UserName: 'ANN' })).User, User);
  await assert.rejects(iam.CreateUser({ UserName: 'ann' }), refused('EntityAlreadyExistsException'));
  await iam.UpdateUser({ UserName: 'Ann', NewPath: '/other/' });
  assert.equal((await iam.GetUser({ UserName: 'Ann' })).User?.Path, '/other/');
  await assert.rejects(
    iam.UpdateUser({ UserName: 'Ann', NewUserName: 'Eve' }),
    refused('UnmodifiableEntityException'),
  );
  await iam.TagUser({ UserName: 'Ann', Tags: [{ Key: 'COST', Value: '2' }] });
  assert.deepEqual((await iam.ListUserTags({ UserName: 'Ann' })).Tags, [{ Key: 'COST', Value: '2' }]);
  await iam.UntagUser({ UserName: 'Ann', TagKeys: ['cost'] });
  assert.deepEqual((await iam.ListUserTags({ UserName: 'Ann' })).Tags, []);
  await iam.DeleteUser({ UserName: 'Ann' });
  await assert.rejects(iam.GetUser({ UserName: 'Ann' }), refused('NoSuchEntityException'));
  await assert.rejects(iam.DeleteUser({ UserName: 'Ann' }), refused('NoSuchEntityException'));
});

onBoth('a user who has something stays', async (iam) => {
  await iam.CreateUser({ UserName: 'ann' });
  await iam.CreateGroup({ GroupName: 'g' });
  const PolicyArn = 'arn:aws:iam::aws:policy/ReadOnlyAccess';
  const AccessKeyId = must((await iam.CreateAccessKey({ UserName: 'ann' })).AccessKey?.AccessKeyId);
  await iam.AttachUserPolicy({ UserName: 'ann', PolicyArn });
  await iam.PutUserPolicy({ UserName: 'ann', PolicyName: 'p', PolicyDocument: EVERYTHING });
  await iam.AddUserToGroup({ UserName: 'ann', GroupName: 'g' });
  const remains = (message: RegExp) =>
    assert.rejects(iam.DeleteUser({ UserName: 'ann' }), refused('DeleteConflictException', message));
  await remains(/access keys/);
  await iam.DeleteAccessKey({ UserName: 'ann', AccessKeyId });
  await remains(/group/);
  await assert.rejects(iam.DeleteGroup({ GroupName: 'g' }), refused('DeleteConflictException'));
  await iam.RemoveUserFromGroup({ UserName: 'ann', GroupName: 'g' });
  await remains(/detach/);
  await iam.DetachUserPolicy({ UserName: 'ann', PolicyArn });
  await remains(/delete policies/);
  await iam.DeleteUserPolicy({ UserName: 'ann', PolicyName: 'p' });
  await iam.DeleteUser({ UserName: 'ann' });
  await iam.DeleteGroup({ GroupName: 'g' });
});

onBoth('access keys: two, active or not, found by their id', async (iam, { credentials }) => {
  await iam.CreateUser({ UserName: 'ann' });
  const first = must((await iam.CreateAccessKey({ UserName: 'ann' })).AccessKey);
  const second = must((await iam.CreateAccessKey({ UserName: 'ann' })).AccessKey);
  await assert.rejects(iam.CreateAccessKey({ UserName: 'ann' }), refused('LimitExceededException'));
  const id = must(first.AccessKeyId);
  assert.equal((await credentials.find(id))?.secretAccessKey, first.SecretAccessKey);
  await iam.UpdateAccessKey({ UserName: 'ann', AccessKeyId: id, Status: 'Inactive' });
  assert.equal(await credentials.find(id), undefined, 'at once');
  const listed = (await iam.ListAccessKeys({ UserName: 'ann' })).AccessKeyMetadata ?? [];
  assert.deepEqual(
    new Map(listed.map((key) => [key.AccessKeyId, key.Status])),
    new Map([
      [id, 'Inactive'],
      [second.AccessKeyId, 'Active'],
    ]),
  );
  await iam.UpdateAccessKey({ UserName: 'ann', AccessKeyId: id, Status: 'Active' });
  assert.ok(await credentials.find(id));
  await iam.DeleteAccessKey({ UserName: 'ann', AccessKeyId: id });
  assert.equal(await credentials.find(id), undefined);
  await assert.rejects(
    iam.DeleteAccessKey({ UserName: 'ann', AccessKeyId: id }),
    refused('NoSuchEntityException'),
  );
  await assert.rejects(
    iam.UpdateAccessKey({ UserName: 'ann', AccessKeyId: id, Status: 'Active' }),
    refused('NoSuchEntityException'),
  );
});

onBoth('of many who ask at once, two get a key', async (iam, { registry }) => {
  await iam.CreateUser({ UserName: 'ann' });
  const asked = await Promise.allSettled(
    [1, 2, 3, 4, 5, 6].map(() => iam.CreateAccessKey({ UserName: 'ann' })),
  );
  assert.equal(asked.filter(({ status }) => status === 'fulfilled').length, 2);
  assert.equal((await iam.ListAccessKeys({ UserName: 'ann' })).AccessKeyMetadata?.length, 2);
  const pointers = await registry.list('identity/access-keys/');
  assert.equal(pointers.length, 3, 'these two and the administrator’s');
});

onBoth('versions of a policy', async (iam, { account }) => {
  const { Policy } = await iam.CreatePolicy({ PolicyName: 'p', PolicyDocument: EVERYTHING, Path: '/x/' });
  const PolicyArn = must(Policy?.Arn);
  assert.equal(PolicyArn, `arn:aws:iam::${account}:policy/x/p`);
  for (let i = 2; i <= 5; i++)
    await iam.CreatePolicyVersion({
      PolicyArn,
      PolicyDocument: policy('Deny', `s${i}:*`),
      SetAsDefault: i === 3,
    });
  await assert.rejects(
    iam.CreatePolicyVersion({ PolicyArn, PolicyDocument: EVERYTHING }),
    refused('LimitExceededException'),
  );
  assert.equal((await iam.GetPolicy({ PolicyArn })).Policy?.DefaultVersionId, 'v3');
  const { PolicyVersion } = await iam.GetPolicyVersion({ PolicyArn, VersionId: 'v3' });
  assert.equal(decodeURIComponent(PolicyVersion?.Document ?? ''), policy('Deny', 's3:*'));
  await assert.rejects(
    iam.DeletePolicyVersion({ PolicyArn, VersionId: 'v3' }),
    refused('DeleteConflictException'),
  );
  await iam.DeletePolicyVersion({ PolicyArn, VersionId: 'v5' });
  const again = await iam.CreatePolicyVersion({ PolicyArn, PolicyDocument: EVERYTHING });
  assert.equal(again.PolicyVersion?.VersionId, 'v6', 'numbers are not used twice');
  await iam.SetDefaultPolicyVersion({ PolicyArn, VersionId: 'v6' });
  await assert.rejects(iam.DeletePolicy({ PolicyArn }), refused('DeleteConflictException', /versions/));
  for (const VersionId of ['v1', 'v2', 'v3', 'v4']) await iam.DeletePolicyVersion({ PolicyArn, VersionId });
  assert.deepEqual(
    (await iam.ListPolicyVersions({ PolicyArn })).Versions?.map(({ VersionId }) => VersionId),
    ['v6'],
  );
  await iam.DeletePolicy({ PolicyArn });
  await assert.rejects(iam.GetPolicy({ PolicyArn }), refused('NoSuchEntityException'));
});

onBoth('a policy that somebody has stays, and its count is right', async (iam) => {
  const PolicyArn = must(
    (await iam.CreatePolicy({ PolicyName: 'p', PolicyDocument: EVERYTHING })).Policy?.Arn,
  );
  await iam.CreateUser({ UserName: 'ann', PermissionsBoundary: PolicyArn });
  await iam.CreateGroup({ GroupName: 'g' });
  await iam.AttachUserPolicy({ UserName: 'ann', PolicyArn });
  await iam.AttachUserPolicy({ UserName: 'ann', PolicyArn });
  await iam.AttachGroupPolicy({ GroupName: 'g', PolicyArn });
  const { Policy } = await iam.GetPolicy({ PolicyArn });
  assert.deepEqual([Policy?.AttachmentCount, Policy?.PermissionsBoundaryUsageCount], [2, 1]);
  const entities = await iam.ListEntitiesForPolicy({ PolicyArn });
  assert.deepEqual(
    [
      entities.PolicyUsers?.map(({ UserName }) => UserName),
      entities.PolicyGroups?.map(({ GroupName }) => GroupName),
    ],
    [['ann'], ['g']],
  );
  await assert.rejects(iam.DeletePolicy({ PolicyArn }), refused('DeleteConflictException'));
  await iam.DetachUserPolicy({ UserName: 'ann', PolicyArn });
  await iam.DetachGroupPolicy({ GroupName: 'g', PolicyArn });
  await assert.rejects(iam.DeletePolicy({ PolicyArn }), refused('DeleteConflictException'));
  await iam.DeleteUserPermissionsBoundary({ UserName: 'ann' });
  await iam.DeletePolicy({ PolicyArn });
  await assert.rejects(
    iam.DetachUserPolicy({ UserName: 'ann', PolicyArn }),
    refused('NoSuchEntityException'),
  );
});

onBoth('built-in policies are there and stay as they are', async (iam) => {
  const PolicyArn = 'arn:aws:iam::aws:policy/AdministratorAccess';
  assert.equal((await iam.GetPolicy({ PolicyArn })).Policy?.Arn, PolicyArn);
  await assert.rejects(iam.DeletePolicy({ PolicyArn }), refused('InvalidInputException'));
  await assert.rejects(
    iam.CreatePolicyVersion({ PolicyArn, PolicyDocument: EVERYTHING }),
    refused('InvalidInputException'),
  );
  const names = async (Scope: 'AWS' | 'Local' | 'All') =>
    (await iam.ListPolicies({ Scope })).Policies?.map(({ PolicyName }) => PolicyName);
  await iam.CreatePolicy({ PolicyName: 'own', PolicyDocument: EVERYTHING });
  assert.deepEqual(await names('Local'), ['own']);
  assert.ok((await names('AWS'))?.includes('ReadOnlyAccess'));
  assert.equal((await names('All'))?.length, 1 + ((await names('AWS'))?.length ?? 0));
  const attached = await iam.ListPolicies({ OnlyAttached: true });
  assert.deepEqual(
    attached.Policies?.map(({ PolicyName }) => PolicyName),
    ['AdministratorAccess'],
  );
});

onBoth('inline policies of users, roles and groups', async (iam, { account }) => {
  await iam.CreateUser({ UserName: 'n' });
  await iam.CreateGroup({ GroupName: 'n' });
  const trust = JSON.stringify({
    Version: '2012-10-17',
    Statement: { Effect: 'Allow', Action: 'sts:AssumeRole', Principal: { AWS: account } },
  });
  await iam.CreateRole({ RoleName: 'n', AssumeRolePolicyDocument: trust });
  const input = { PolicyName: 'p', PolicyDocument: EVERYTHING };
  await iam.PutUserPolicy({ UserName: 'n', ...input });
  await iam.PutRolePolicy({ RoleName: 'n', ...input });
  await iam.PutGroupPolicy({ GroupName: 'n', ...input });
  const got = [
    await iam.GetUserPolicy({ UserName: 'n', PolicyName: 'p' }),
    await iam.GetRolePolicy({ RoleName: 'n', PolicyName: 'p' }),
    await iam.GetGroupPolicy({ GroupName: 'n', PolicyName: 'p' }),
  ];
  for (const { PolicyDocument } of got) assert.equal(decodeURIComponent(PolicyDocument ?? ''), EVERYTHING);
  assert.deepEqual((await iam.ListRolePolicies({ RoleName: 'n' })).PolicyNames, ['p']);
  await assert.rejects(iam.DeleteRole({ RoleName: 'n' }), refused('DeleteConflictException'));
  await iam.DeleteRolePolicy({ RoleName: 'n', PolicyName: 'p' });
  await assert.rejects(
    iam.GetRolePolicy({ RoleName: 'n', PolicyName: 'p' }),
    refused('NoSuchEntityException'),
  );
  await iam.DeleteRole({ RoleName: 'n' });
  const long = policy('Allow', `s3:${'a'.repeat(2048)}`);
  await assert.rejects(
    iam.PutUserPolicy({ UserName: 'n', PolicyName: 'q', PolicyDocument: long }),
    refused('LimitExceededException'),
  );
  await assert.rejects(
    iam.PutUserPolicy({ UserName: 'n', PolicyName: 'q', PolicyDocument: '{"Statement":[]}' }),
    refused('MalformedPolicyDocumentException'),
  );
});

onBoth('a trust policy names who exists', async (iam, { account }) => {
  const trust = (AWS: string) =>
    JSON.stringify({
      Version: '2012-10-17',
      Statement: { Effect: 'Allow', Action: 'sts:AssumeRole', Principal: { AWS } },
    });
  const create = (AWS: string) => iam.CreateRole({ RoleName: 'r', AssumeRolePolicyDocument: trust(AWS) });
  for (const nobody of [`arn:aws:iam::${account}:user/eve`, 'arn:aws:iam::999999999999:root', '999999999999'])
    await assert.rejects(create(nobody), refused('MalformedPolicyDocumentException', /Invalid principal/));
  await assert.rejects(
    iam.CreateRole({ RoleName: 'r', AssumeRolePolicyDocument: EVERYTHING }),
    refused('MalformedPolicyDocumentException'),
  );
  const { Role } = await create(account);
  assert.equal(decodeURIComponent(Role?.AssumeRolePolicyDocument ?? ''), trust(account));
  assert.equal(Role?.MaxSessionDuration, 3600);
  await iam.UpdateRole({ RoleName: 'r', MaxSessionDuration: 7200, Description: 'work' });
  const { Role: updated } = await iam.GetRole({ RoleName: 'r' });
  assert.deepEqual([updated?.MaxSessionDuration, updated?.Description], [7200, 'work']);
  await assert.rejects(iam.UpdateRole({ RoleName: 'r', MaxSessionDuration: 60 }), refused('ValidationError'));
});

onBoth('pages that go on where they ended', async (iam) => {
  for (let i = 0; i < 25; i++)
    await iam.CreateUser({ UserName: `u${String(i).padStart(2, '0')}`, Path: '/p/' });
  const names: (string | undefined)[] = [];
  let Marker: string | undefined;
  let pages = 0;
  do {
    const page = await iam.ListUsers({ PathPrefix: '/p/', MaxItems: 10, Marker });
    names.push(...(page.Users ?? []).map(({ UserName }) => UserName));
    // What is deleted between two pages shifts nothing.
    if (pages++ === 0) await iam.DeleteUser({ UserName: 'u03' });
    assert.equal(page.IsTruncated, page.Marker !== undefined);
    Marker = page.Marker;
  } while (Marker !== undefined);
  assert.equal(pages, 3);
  assert.deepEqual(
    names,
    Array.from({ length: 25 }, (_, i) => `u${String(i).padStart(2, '0')}`),
  );
  await assert.rejects(iam.ListUsers({ Marker: 'x' }), refused('ValidationError'));
  await assert.rejects(iam.ListUsers({ MaxItems: 0 }), refused('ValidationError'));
  await assert.rejects(iam.ListUsers({ MaxItems: 1001 }), refused('ValidationError'));
});

onBoth('names and paths that IAM does not take', async (iam) => {
  for (const UserName of ['', 'a b', 'a/b', 'ü', 'x'.repeat(65), '*', undefined])
    await assert.rejects(iam.CreateUser({ UserName }), refused('ValidationError'), String(UserName));
  for (const Path of ['x', '/x', 'x/', '/a b/', '//', `/${'x'.repeat(512)}/`])
    await assert.rejects(iam.CreateUser({ UserName: 'u', Path }), refused('ValidationError'), Path);
  await assert.rejects(
    iam.UntagUser({ UserName: 'administrator', TagKeys: ['a<b'] }),
    refused('ValidationError'),
  );
  for (const Key of ['', 'aws:x', 'a<b'])
    await assert.rejects(
      iam.CreateUser({ UserName: 'u', Tags: [{ Key, Value: '' }] }),
      refused('ValidationError'),
    );
  await iam.CreateUser({ UserName: '__proto__' });
  await iam.PutUserPolicy({ UserName: '__proto__', PolicyName: '__proto__', PolicyDocument: EVERYTHING });
  assert.deepEqual((await iam.ListUserPolicies({ UserName: '__proto__' })).PolicyNames, ['__proto__']);
});

onBoth('instance profiles hand out one role', async (iam, { account }) => {
  const AssumeRolePolicyDocument = JSON.stringify({
    Statement: { Effect: 'Allow', Action: 'sts:AssumeRole', Principal: { Service: 'ec2.amazonaws.com' } },
  });
  await iam.CreateRole({ RoleName: 'r', AssumeRolePolicyDocument });
  const InstanceProfileName = 'box';
  const { InstanceProfile } = await iam.CreateInstanceProfile({ InstanceProfileName });
  assert.equal(InstanceProfile?.Arn, `arn:aws:iam::${account}:instance-profile/box`);
  await iam.AddRoleToInstanceProfile({ InstanceProfileName, RoleName: 'r' });
  await assert.rejects(
    iam.AddRoleToInstanceProfile({ InstanceProfileName, RoleName: 'r' }),
    refused('LimitExceededException'),
  );
  const roles = async () =>
    (await iam.GetInstanceProfile({ InstanceProfileName })).InstanceProfile?.Roles?.map(
      ({ RoleName }) => RoleName,
    );
  assert.deepEqual(await roles(), ['r']);
  assert.equal((await iam.ListInstanceProfilesForRole({ RoleName: 'r' })).InstanceProfiles?.length, 1);
  await assert.rejects(iam.DeleteRole({ RoleName: 'r' }), refused('DeleteConflictException'));
  await assert.rejects(
    iam.DeleteInstanceProfile({ InstanceProfileName }),
    refused('DeleteConflictException'),
  );
  await iam.RemoveRoleFromInstanceProfile({ InstanceProfileName, RoleName: 'r' });
  assert.deepEqual(await roles(), []);
  await iam.DeleteInstanceProfile({ InstanceProfileName });
  assert.deepEqual((await iam.ListInstanceProfiles({})).InstanceProfiles, []);
});

onBoth('the simulator says what would be decided', async (iam, { account }) => {
  await iam.CreateUser({ UserName: 'ann' });
  await iam.PutUserPolicy({ UserName: 'ann', PolicyName: 'p', PolicyDocument: policy('Allow', 'rds:*') });
  const PolicySourceArn = `arn:aws:iam::${account}:user/ann`;
  const { EvaluationResults } = await iam.SimulatePrincipalPolicy({
    PolicySourceArn,
    ActionNames: ['rds:DeleteDBCluster', 'ec2:RunInstances'],
    PolicyInputList: [policy('Deny', 'rds:Delete*', `arn:aws:rds:*:${account}:cluster:prod`)],
    ResourceArns: [
      `arn:aws:rds:eu-west-1:${account}:cluster:prod`,
      `arn:aws:rds:eu-west-1:${account}:cluster:test`,
    ],
  });
  assert.deepEqual(
    EvaluationResults?.map(({ EvalDecision }) => EvalDecision),
    ['explicitDeny', 'allowed', 'implicitDeny', 'implicitDeny'],
  );
  assert.deepEqual(EvaluationResults[1].MatchedStatements, [
    { SourcePolicyId: 'p', SourcePolicyType: 'user' },
  ]);
  const conditional = JSON.stringify({
    Version: '2012-10-17',
    Statement: {
      Effect: 'Allow',
      Action: '*',
      Resource: '*',
      Condition: { StringEquals: { 'aws:RequestedRegion': 'eu-west-1' } },
    },
  });
  const custom = (more: object) =>
    iam.SimulateCustomPolicy({
      PolicyInputList: [conditional],
      ActionNames: ['rds:CreateDBCluster'],
      ...more,
    });
  const [without] = (await custom({})).EvaluationResults ?? [];
  assert.deepEqual(
    [without.EvalDecision, without.MissingContextValues],
    ['implicitDeny', ['aws:requestedregion']],
  );
  const ContextEntries = [{ ContextKeyName: 'aws:RequestedRegion', ContextKeyValues: ['eu-west-1'] }];
  assert.equal((await custom({ ContextEntries })).EvaluationResults?.[0].EvalDecision, 'allowed');
  const bounded = await custom({
    ContextEntries,
    PermissionsBoundaryPolicyInputList: [policy('Allow', 's3:*')],
  });
  assert.equal(bounded.EvaluationResults?.[0].EvalDecision, 'implicitDeny');
  assert.equal(
    bounded.EvaluationResults[0].PermissionsBoundaryDecisionDetail?.AllowedByPermissionsBoundary,
    false,
  );
  await assert.rejects(custom({ ResourcePolicy: EVERYTHING }), refused('InvalidInputException'));
});
