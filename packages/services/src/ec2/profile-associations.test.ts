/** Which machine has which instance profile: one at most, whoever does what at the same time. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { must } from '@rokka/kernel';
import { MemoryRegistry } from '@rokka/registry';
import { createInstanceProfile } from '../iam/operations/create-instance-profile.ts';
import { deleteInstanceProfile } from '../iam/operations/delete-instance-profile.ts';
import { removeRoleFromInstanceProfile } from '../iam/operations/remove-role-from-instance-profile.ts';
import { Ec2Bench, processOver } from '../testing/ec2-bench.ts';
import { heldRegistry, type Moment } from '../testing/held-registry.ts';
import { ACCOUNT } from '../testing/service-bench.ts';

const value = { code: 'InvalidParameterValue' };
const noAssociation = { code: 'InvalidAssociationID.NotFound' };
const written: Moment = { on: 'write', key: 'ec2/profile-associations/' };
const arn = (name: string) => `arn:aws:iam::${ACCOUNT}:instance-profile/${name}`;

/** A process that is held up before it writes an association, and others that do as they like meanwhile. */
const held = (bench: Ec2Bench, others: () => Promise<unknown>) =>
  processOver(bench.contextOver(heldRegistry(bench.registry as MemoryRegistry, [[written, others]]), 99));

test('a machine gets a profile, another one, and none', async () => {
  using bench = new Ec2Bench();
  await bench.profile('box');
  await bench.profile('case');
  const InstanceId = await bench.instance();
  const shown = async () => {
    const { Reservations } = await bench.call('DescribeInstances', { InstanceIds: [InstanceId] });
    return must(Reservations?.[0]?.Instances?.[0]).IamInstanceProfile;
  };
  assert.equal(await shown(), undefined);
  const made = await bench.call('AssociateIamInstanceProfile', {
    InstanceId,
    IamInstanceProfile: { Arn: arn('box') },
  });
  const { AssociationId = '', ...association } = must(made.IamInstanceProfileAssociation);
  assert.match(AssociationId, /^iip-assoc-[0-9a-f]{17}$/);
  const profile = must(association.IamInstanceProfile);
  assert.match(must(profile.Id), /^AIPA/);
  assert.deepEqual(
    [profile.Arn, association.InstanceId, association.State],
    [arn('box'), InstanceId, 'associated'],
  );
  assert.deepEqual(await shown(), profile);
  await assert.rejects(bench.associate('case'), {
    code: 'IncorrectState',
    message: `There is an existing association for instance ${InstanceId}`,
  });
  const IamInstanceProfile = { Name: 'CASE' };
  const replaced = await bench.call('ReplaceIamInstanceProfileAssociation', {
    AssociationId,
    IamInstanceProfile,
  });
  const next = must(replaced.IamInstanceProfileAssociation?.AssociationId);
  assert.notEqual(next, AssociationId);
  assert.equal((await shown())?.Arn, arn('case'));
  const old = { AssociationId, IamInstanceProfile };
  await assert.rejects(bench.call('ReplaceIamInstanceProfileAssociation', old), noAssociation);
  await assert.rejects(bench.call('DisassociateIamInstanceProfile', { AssociationId }), noAssociation);
  const ended = await bench.call('DisassociateIamInstanceProfile', { AssociationId: next });
  assert.equal(ended.IamInstanceProfileAssociation?.State, 'disassociated');
  assert.equal(await shown(), undefined);
  assert.deepEqual(await bench.associations(), []);
});

test('what is no profile, and what is empty, is refused', async () => {
  using bench = new Ec2Bench();
  await createInstanceProfile({ InstanceProfileName: 'empty' }, bench.iam);
  await bench.profile('box');
  const InstanceId = await bench.instance();
  const associate = (IamInstanceProfile: { Name?: string; Arn?: string }) =>
    bench.call('AssociateIamInstanceProfile', { InstanceId, IamInstanceProfile });
  await assert.rejects(associate({ Name: 'none' }), {
    ...value,
    message:
      'Value (none) for parameter iamInstanceProfile.name is invalid. Invalid IAM Instance Profile name',
  });
  for (const Arn of [arn('none'), arn('team/box'), arn('box').replace(ACCOUNT, '999999999999'), 'box'])
    await assert.rejects(associate({ Arn }), { ...value, message: /Invalid IAM Instance Profile ARN$/ }, Arn);
  for (const Name of ['ü', 'a/b', 'x'.repeat(129)]) await assert.rejects(associate({ Name }), value, Name);
  await assert.rejects(associate({ Name: 'empty' }), { ...value, message: /has no associated IAM Roles$/ });
  await assert.rejects(associate({}), { code: 'MissingParameter' });
  await assert.rejects(associate({ Name: 'box', Arn: arn('box') }), { code: 'InvalidParameterCombination' });
  const elsewhere = bench.call('AssociateIamInstanceProfile', {
    InstanceId: 'i-0123456789abcdef0',
    IamInstanceProfile: { Name: 'box' },
  });
  await assert.rejects(elsewhere, { code: 'InvalidInstanceID.NotFound' });
  assert.deepEqual(await bench.associations(), []);
});

test('associations are listed, found and filtered, and an instance by its profile', async () => {
  using bench = new Ec2Bench();
  const id = await bench.associate(await bench.profile('box'));
  const InstanceId = await bench.instance('two.example');
  const IamInstanceProfile = { Name: await bench.profile('case') };
  await bench.call('AssociateIamInstanceProfile', { InstanceId, IamInstanceProfile });
  const listed = async (input: object) =>
    (await bench.call('DescribeIamInstanceProfileAssociations', input)).IamInstanceProfileAssociations?.map(
      (each) => each.IamInstanceProfile?.Arn,
    );
  const by = (Name: string, ...Values: string[]) => listed({ Filters: [{ Name, Values }] });
  assert.equal((await listed({ MaxResults: 5 }))?.length, 2);
  assert.deepEqual(await listed({ AssociationIds: [id] }), [arn('box')]);
  assert.deepEqual(await by('instance-id', InstanceId), [arn('case')]);
  assert.equal((await by('state', 'associated'))?.length, 2);
  assert.deepEqual(await by('state', 'associating'), []);
  await assert.rejects(by('colour', 'red'), value);
  await assert.rejects(listed({ AssociationIds: [id, 'iip-assoc-1'] }), noAssociation);
  const Filters = [{ Name: 'iam-instance-profile.arn', Values: ['*/case'] }];
  const { Reservations = [] } = await bench.call('DescribeInstances', { Filters });
  assert.deepEqual(
    Reservations.map(({ Instances }) => Instances?.[0].InstanceId),
    [InstanceId],
  );
  const other = await bench.call('DescribeIamInstanceProfileAssociations', {}, { region: 'eu-west-9' });
  assert.deepEqual(other.IamInstanceProfileAssociations, []);
});

test('of two who associate a machine one does', async () => {
  using bench = new Ec2Bench(new MemoryRegistry());
  await bench.profile('box');
  await bench.profile('case');
  const slow = held(bench, () => bench.associate('case'));
  await assert.rejects(bench.associate('box', slow), { code: 'IncorrectState' });
  assert.deepEqual(await bench.associations(), ['case associated']);
});

test('of two who replace an association, or replace and end it, one does', async () => {
  for (const others of ['Replace', 'End'] as const) {
    using bench = new Ec2Bench(new MemoryRegistry());
    await bench.profile('box');
    const AssociationId = await bench.associate(await bench.profile('case'));
    const replace = { AssociationId, IamInstanceProfile: { Name: 'box' } };
    const slow = held(bench, () =>
      others === 'End'
        ? bench.call('DisassociateIamInstanceProfile', { AssociationId })
        : bench.call('ReplaceIamInstanceProfileAssociation', replace),
    );
    const late = { AssociationId, IamInstanceProfile: { Name: 'case' } };
    await assert.rejects(slow.call('ReplaceIamInstanceProfileAssociation', late), noAssociation);
    assert.deepEqual(await bench.associations(), others === 'End' ? [] : ['box associated']);
  }
  using bench = new Ec2Bench(new MemoryRegistry());
  const AssociationId = await bench.associate(await bench.profile('box'));
  const replace = { AssociationId, IamInstanceProfile: { Name: 'box' } };
  const slow = held(bench, () => bench.call('ReplaceIamInstanceProfileAssociation', replace));
  await assert.rejects(slow.call('DisassociateIamInstanceProfile', { AssociationId }), noAssociation);
  assert.deepEqual(await bench.associations(), ['box associated']);
});

test('a profile that is deleted stays the one that the machine was given, and another of its name is not it', async () => {
  using bench = new Ec2Bench();
  await bench.associate(await bench.profile('box'));
  const one = { InstanceProfileName: 'box', RoleName: 'box' };
  await removeRoleFromInstanceProfile(one, bench.iam);
  await deleteInstanceProfile(one, bench.iam);
  assert.deepEqual(await bench.associations(), ['box associated']);
  const { InstanceProfile } = await createInstanceProfile(one, bench.iam);
  const { IamInstanceProfileAssociations: all } = await bench.call(
    'DescribeIamInstanceProfileAssociations',
    {},
  );
  assert.notEqual(all?.[0].IamInstanceProfile?.Id, InstanceProfile?.InstanceProfileId);
});
