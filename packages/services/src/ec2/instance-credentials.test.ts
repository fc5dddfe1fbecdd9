/** What a machine may: what the role of its profile may, and nothing where there is none. And who may give it one. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ResourceAsk } from '@rokka/gateway';
import { must } from '@rokka/kernel';
import { MemoryRegistry } from '@rokka/registry';
import { IdentityAuthorizer } from '../iam/identity-authorizer.ts';
import { IdentityCredentials } from '../iam/identity-credentials.ts';
import { createAccessKey } from '../iam/operations/create-access-key.ts';
import { createInstanceProfile } from '../iam/operations/create-instance-profile.ts';
import { createRole } from '../iam/operations/create-role.ts';
import { createUser } from '../iam/operations/create-user.ts';
import { deleteInstanceProfile } from '../iam/operations/delete-instance-profile.ts';
import { deleteRole } from '../iam/operations/delete-role.ts';
import { deleteRolePolicy } from '../iam/operations/delete-role-policy.ts';
import { addRoleToInstanceProfile } from '../iam/operations/add-role-to-instance-profile.ts';
import { putRolePolicy } from '../iam/operations/put-role-policy.ts';
import { putUserPolicy } from '../iam/operations/put-user-policy.ts';
import { removeRoleFromInstanceProfile } from '../iam/operations/remove-role-from-instance-profile.ts';
import { tagRole } from '../iam/operations/tag-role.ts';
import { updateAssumeRolePolicy } from '../iam/operations/update-assume-role-policy.ts';
import { Ec2Bench } from '../testing/ec2-bench.ts';
import { allow, deny, type Statement, when } from '../testing/decision-row.ts';
import { atEveryCrash, Crash, FailingRegistry } from '../testing/failing-registry.ts';
import { heldRegistry } from '../testing/held-registry.ts';
import { ACCOUNT, callIn, REGION } from '../testing/service-bench.ts';
import { ec2Operations } from './ec2-handlers.ts';
import { instanceCredentials, instanceRole } from './instance-credentials.ts';

const scope = { account: ACCOUNT, region: REGION };
const box = { InstanceProfileName: 'box', RoleName: 'box' };
const document = (...Statement: Statement[]) => JSON.stringify({ Version: '2012-10-17', Statement });
const trusting = (Principal: unknown, more: Statement = {}): Statement => ({
  Effect: 'Allow',
  Action: 'sts:AssumeRole',
  Principal,
  ...more,
});
const EC2 = { Service: 'ec2.amazonaws.com' };
const roleArn = `arn:aws:iam::${ACCOUNT}:role/box`;
const profileArn = `arn:aws:iam::${ACCOUNT}:instance-profile/box`;

class Box extends Ec2Bench {
  readonly authorizer = new IdentityAuthorizer({ ...this.context.identity, clock: this.clock });
  readonly credentials = new IdentityCredentials({ ...this.context.identity, clock: this.clock });

  /** A machine with a profile whose role may list instances. */
  static async made(): Promise<Box> {
    const bench = new Box(new MemoryRegistry());
    await bench.associate(await bench.profile('box'));
    const PolicyDocument = document(allow('ec2:DescribeInstances'));
    await putRolePolicy({ RoleName: 'box', PolicyName: 'p', PolicyDocument }, bench.iam);
    return bench;
  }

  async keys() {
    return instanceCredentials({ context: this.context, scope, instanceId: await this.instance() });
  }

  async keyId(): Promise<string> {
    const keys = await this.keys();
    return 'missing' in keys ? assert.fail(keys.missing) : keys.accessKeyId;
  }

  async missing(): Promise<string> {
    const keys = await this.keys();
    const role = await instanceRole({ context: this.context, scope, instanceId: await this.instance() });
    assert.deepEqual('missing' in keys && keys, role);
    return 'missing' in keys ? keys.missing : assert.fail('it has keys');
  }

  async decide(accessKeyId: string, { arn: resource, action = '', conditions: context = {} }: ResourceAsk) {
    const credential = must(await this.credentials.find(accessKeyId));
    return this.authorizer.decide({ credential, action, resource, context });
  }

  trust(...statements: Statement[]) {
    return updateAssumeRolePolicy({ RoleName: 'box', PolicyDocument: document(...statements) }, this.iam);
  }
}

test('a machine is a session of its role, for an hour, and may what the role may', async () => {
  using bench = await Box.made();
  const keys = await bench.keys();
  if ('missing' in keys) assert.fail(keys.missing);
  assert.match(keys.accessKeyId, /^ASIA/);
  assert.equal(keys.expiration.getTime(), bench.clock.wallMs() + 3_600_000);
  const found = must(await bench.credentials.find(keys.accessKeyId));
  assert.deepEqual([found.secretAccessKey, found.sessionToken], [keys.secretAccessKey, keys.sessionToken]);
  const instanceId = await bench.instance();
  const { principal } = found;
  assert.deepEqual(
    [principal.kind, principal.arn],
    ['assumed-role', `arn:aws:sts::${ACCOUNT}:assumed-role/box/${instanceId}`],
  );
  assert.match(principal.userId, new RegExp(`^AROA[A-Z2-7]{17}:${instanceId}$`));
  const role = await instanceRole({ context: bench.context, scope, instanceId });
  if ('missing' in role) assert.fail(role.missing);
  assert.deepEqual([role.roleName, role.profileArn], ['box', profileArn]);
  const ask = (action: string) => bench.decide(keys.accessKeyId, { action, arn: '*' });
  assert.equal(await ask('ec2:DescribeInstances'), 'allowed');
  assert.equal(await ask('ec2:DescribeVolumes'), 'implicitDeny');
  assert.equal(await ask('iam:ListUsers'), 'implicitDeny');
  const PolicyDocument = document(deny('ec2:*'));
  await putRolePolicy({ RoleName: 'box', PolicyName: 'no', PolicyDocument }, bench.iam);
  assert.equal(await ask('ec2:DescribeInstances'), 'explicitDeny');
  assert.notEqual(await bench.keyId(), keys.accessKeyId, 'each time another session');
  bench.clock.advanceTo(bench.clock.nowMs() + 3_600_000);
  assert.equal(await bench.credentials.find(keys.accessKeyId), undefined);
});

test('keys end with the role, and not with the association', async () => {
  using bench = await Box.made();
  const id = await bench.keyId();
  const [association] =
    (await bench.call('DescribeIamInstanceProfileAssociations', {})).IamInstanceProfileAssociations ?? [];
  await bench.call('DisassociateIamInstanceProfile', { AssociationId: association.AssociationId });
  assert.match(await bench.missing(), /^No instance profile is associated with instance i-/);
  assert.ok(await bench.credentials.find(id));
  await removeRoleFromInstanceProfile(box, bench.iam);
  await deleteRolePolicy({ RoleName: 'box', PolicyName: 'p' }, bench.iam);
  await deleteRole(box, bench.iam);
  assert.equal(await bench.credentials.find(id), undefined);
});

test('why a machine has no keys', async () => {
  using bench = await Box.made();
  await removeRoleFromInstanceProfile(box, bench.iam);
  assert.equal(await bench.missing(), `${profileArn} has no role: add one to it.`);
  await deleteInstanceProfile(box, bench.iam);
  assert.match(await bench.missing(), /^arn:aws:iam::\d+:instance-profile\/box, .* was deleted\.$/);
  await createInstanceProfile(box, bench.iam);
  await addRoleToInstanceProfile(box, bench.iam);
  assert.match(await bench.missing(), /was deleted\.$/, 'it is another one');

  using other = await Box.made();
  // A role is deleted while it is put in: no operation in good order gets there.
  await removeRoleFromInstanceProfile(box, other.iam);
  await deleteRolePolicy({ RoleName: 'box', PolicyName: 'p' }, other.iam);
  const removed = { on: 'write', key: 'iam/roles/box' } as const;
  const slow = heldRegistry(other.registry as MemoryRegistry, [
    [removed, () => addRoleToInstanceProfile(box, other.iam)],
  ]);
  await deleteRole(box, { ...other.iam, store: other.contextOver(slow, 9).identity.store });
  const AssumeRolePolicyDocument = document(trusting(EC2));
  await createRole({ RoleName: 'box', AssumeRolePolicyDocument }, other.iam);
  assert.equal(await other.missing(), `The role box of ${profileArn} was deleted: add another one to it.`);
  await addRoleToInstanceProfile(box, other.iam);
  await other.keyId();
});

test('the trust policy says whether EC2 may take the role for a machine', async () => {
  using bench = await Box.made();
  const refused = async () =>
    assert.equal(
      await bench.missing(),
      `The trust policy of ${roleArn} does not allow ec2.amazonaws.com to assume it.`,
    );
  await bench.trust(trusting({ Service: 'ecs-tasks.amazonaws.com' }));
  await refused();
  await bench.trust(trusting({ AWS: ACCOUNT }));
  await refused();
  await bench.trust(trusting(EC2, { Action: 'sts:TagSession' }));
  await refused();
  await bench.trust(trusting({ Service: ['ecs-tasks.amazonaws.com', EC2.Service] }));
  await bench.keyId();
  await bench.trust(trusting('*'));
  await bench.keyId();
  await bench.trust(trusting(EC2), trusting('*', { Effect: 'Deny' }));
  await refused();
  const own = (instance: string) => when('StringEquals', 'sts:RoleSessionName', instance);
  await bench.trust(trusting(EC2, own('i-0123456789abcdef0')));
  await refused();
  await bench.trust(trusting(EC2, own(await bench.instance())));
  await bench.keyId();
  await bench.trust(trusting(EC2, when('Bool', 'aws:PrincipalIsAWSService', 'true')));
  await bench.keyId();
  await bench.trust(trusting(EC2, when('DateLessThan', 'aws:CurrentTime', '1969-01-01T00:00:00Z')));
  await refused();
});

test('a process that dies while it makes keys', async () => {
  const crashes = await atEveryCrash(async (at) => {
    using bench = await Box.made();
    const failing = new FailingRegistry((bench.registry as MemoryRegistry).another(), at);
    const context = bench.contextOver(failing, 77);
    await instanceCredentials({ context, scope, instanceId: await bench.instance() }).catch(
      (error: unknown) => assert.ok(error instanceof Crash, String(error)),
    );
    await bench.keyId();
    return failing.crashed;
  });
  assert.equal(crashes, 2);
});

/** Ann, who may do anything with EC2, and these. @returns what she may of what is asked for a call */
async function annAsks(bench: Box, statements: readonly Statement[]) {
  await createUser({ UserName: 'ann' }, bench.iam);
  const { AccessKey } = await createAccessKey({ UserName: 'ann' }, bench.iam);
  const PolicyDocument = document(allow('ec2:*'), ...statements);
  await putUserPolicy({ UserName: 'ann', PolicyName: 'p', PolicyDocument }, bench.iam);
  return (asks: readonly (string | ResourceAsk)[] = []) =>
    Promise.all(
      asks.map(async (each) => {
        const { action = 'ec2:AssociateIamInstanceProfile', ...ask } =
          typeof each === 'string' ? { arn: each } : each;
        return `${action} ${await bench.decide(must(AccessKey?.AccessKeyId), { ...ask, action })}`;
      }),
    );
}

test('who gives a machine a role must be allowed to pass it on', async () => {
  using plain = await Box.made();
  const InstanceId = await plain.instance('two.example');
  const input = { InstanceId, IamInstanceProfile: { Name: 'box' } };
  const rows: [expected: string, ...Statement[]][] = [
    ['implicitDeny'],
    ['allowed', allow('iam:PassRole', roleArn)],
    ['implicitDeny', allow('iam:PassRole', roleArn.replace('box', 'case'))],
    ['explicitDeny', allow('iam:*'), deny('iam:PassRole', roleArn)],
    ['allowed', allow('iam:PassRole', '*', when('StringEquals', 'iam:PassedToService', EC2.Service))],
    [
      'implicitDeny',
      allow('iam:PassRole', '*', when('StringEquals', 'iam:PassedToService', 'rds.amazonaws.com')),
    ],
    ['allowed', allow('iam:PassRole', '*', when('StringEquals', 'iam:ResourceTag/team', 'red'))],
    [
      'allowed',
      allow(
        'iam:PassRole',
        '*',
        when('ArnLike', 'iam:AssociatedResourceArn', `arn:aws:ec2:*:*:instance/${InstanceId}`),
      ),
    ],
  ];
  for (const [expected, ...statements] of rows) {
    using bench = await Box.made();
    await tagRole({ RoleName: 'box', Tags: [{ Key: 'team', Value: 'red' }] }, bench.iam);
    const may = await annAsks(bench, statements);
    const { AssociateIamInstanceProfile: operation } = ec2Operations(bench.context);
    if (typeof operation === 'function') assert.fail('it asks for resources');
    assert.deepEqual(
      await may(await operation.resources?.(input, callIn(scope))),
      ['ec2:AssociateIamInstanceProfile allowed', `iam:PassRole ${expected}`],
      JSON.stringify(statements),
    );
  }
});

test('the instance, its profile and the new one are asked for', async () => {
  using bench = await Box.made();
  await bench.profile('case');
  const { IamInstanceProfileAssociations: [{ AssociationId, InstanceId }] = [{}] } = await bench.call(
    'DescribeIamInstanceProfileAssociations',
    {},
  );
  const table = ec2Operations(bench.context);
  const { ReplaceIamInstanceProfileAssociation: replace, DisassociateIamInstanceProfile: end } = table;
  if (typeof replace === 'function' || typeof end === 'function') assert.fail('they ask for resources');
  const arn = `arn:aws:ec2:${REGION}:${ACCOUNT}:instance/${InstanceId}`;
  const conditions = { 'ec2:InstanceProfile': profileArn };
  assert.deepEqual(await end.resources?.({ AssociationId }, callIn(scope)), [{ arn, conditions }]);
  const IamInstanceProfile = { Name: 'case' };
  const asked = await replace.resources?.({ AssociationId, IamInstanceProfile }, callIn(scope));
  assert.deepEqual(asked?.[0], {
    arn,
    conditions: { ...conditions, 'ec2:NewInstanceProfile': profileArn.replace('box', 'case') },
  });
  const all = arn.replace(/i-.*/, '*');
  assert.deepEqual(await end.resources?.({ AssociationId: 'iip-assoc-1' }, callIn(scope)), [{ arn: all }]);
});

test('a profile that is made after the caller was asked about is not the one that is had', async () => {
  using bench = await Box.made();
  const { AssociateIamInstanceProfile: operation } = ec2Operations(bench.context);
  if (typeof operation === 'function') assert.fail('it asks for resources');
  const input = { InstanceId: await bench.instance('two.example'), IamInstanceProfile: { Name: 'case' } };
  const asked = await operation.resources?.(input, callIn(scope));
  assert.equal(asked?.length, 1, 'there is no role to pass');
  await bench.profile('case');
  await assert.rejects(async () => operation.handle(input, callIn(scope)), { code: 'InvalidParameterValue' });
  assert.deepEqual(await bench.associations(), ['box associated']);
});
