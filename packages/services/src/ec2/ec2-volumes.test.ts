/** Volumes from call to call, over records that a fake controller carries out. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { must } from '@rokka/kernel';
import { Ec2Bench } from '../testing/ec2-bench.ts';
import { REGION } from '../testing/service-bench.ts';
import { GIB } from './ec2-records.ts';

const AvailabilityZone = `${REGION}a`;

test('a volume is made, opened once, and stands still until it is attached', async () => {
  using bench = new Ec2Bench();
  const { databases } = bench.context;
  const made = await bench.call('CreateVolume', {
    AvailabilityZone,
    Size: 8,
    TagSpecifications: [{ ResourceType: 'volume', Tags: [{ Key: 'Name', Value: 'data' }] }],
  });
  const VolumeId = must(made.VolumeId);
  assert.match(VolumeId, /^vol-[0-9a-f]{17}$/);
  assert.deepEqual(
    [made.State, made.Size, made.VolumeType, made.Iops, made.Throughput, made.Encrypted, made.Attachments],
    ['creating', 8, 'gp3', 3000, 125, false, []],
  );
  assert.deepEqual(made.Tags, [{ Key: 'Name', Value: 'data' }]);
  const [record] = await databases.list();
  assert.deepEqual(
    [record.name, record.engine, record.volumeId, record.desired, record.files, record.retentionDays],
    [VolumeId, 'files', VolumeId, 'running', { sizeBytes: 8 * GIB }, 1],
  );
  await bench.turns();
  assert.equal(await bench.state(VolumeId), 'available');
  assert.equal((await databases.get(VolumeId)).desired, 'stopped');
  assert.equal((await databases.state(VolumeId))?.phase, 'stopped');
});

test('attached is what is mounted; detached is what is not any more', async () => {
  using bench = new Ec2Bench();
  const { databases } = bench.context;
  const VolumeId = await bench.volume();
  const InstanceId = await bench.instance();
  const attachment = await bench.call('AttachVolume', { VolumeId, InstanceId, Device: '/dev/sdf' });
  assert.deepEqual(
    [attachment.State, attachment.Device, attachment.InstanceId, attachment.VolumeId],
    ['attaching', '/dev/sdf', InstanceId, VolumeId],
  );
  const { files, desired } = await databases.get(VolumeId);
  assert.deepEqual([files, desired], [{ sizeBytes: GIB, mount: 'sdf' }, 'running']);
  assert.equal(await bench.state(VolumeId), 'in-use attaching');
  await bench.turns();
  assert.equal(await bench.state(VolumeId), 'in-use attached');
  assert.equal((await databases.state(VolumeId))?.mountPoint, '/files/sdf');

  const again = bench.call('AttachVolume', { VolumeId, InstanceId, Device: '/dev/sdg' });
  await assert.rejects(again, { code: 'VolumeInUse' });
  await assert.rejects(bench.call('DeleteVolume', { VolumeId }), { code: 'VolumeInUse' });
  const other = { VolumeId, Device: '/dev/sdg' };
  await assert.rejects(bench.call('DetachVolume', other), { code: 'InvalidAttachment.NotFound' });

  const leaving = await bench.call('DetachVolume', { VolumeId, InstanceId, Device: '/dev/sdf' });
  assert.equal(leaving.State, 'detaching');
  assert.equal((await bench.call('DetachVolume', { VolumeId })).State, 'detaching', 'said again');
  assert.equal(await bench.state(VolumeId), 'in-use detaching');
  await bench.turns();
  assert.equal(await bench.state(VolumeId), 'available');
  assert.deepEqual((await databases.get(VolumeId)).files, { sizeBytes: GIB });
  assert.deepEqual(await bench.registry.list('ec2/claims/'), []);
  await assert.rejects(bench.call('DetachVolume', { VolumeId }), { code: 'IncorrectState' });
});

test('a volume may be attached before it stands still after its first start', async () => {
  using bench = new Ec2Bench();
  const { VolumeId } = await bench.call('CreateVolume', { AvailabilityZone, Size: 1 });
  const id = must(VolumeId);
  await assert.rejects(bench.attach(id, '/dev/sdf'), { code: 'IncorrectState' });
  while ((await bench.state(id)) === 'creating') {
    await bench.controller.step();
    await bench.process.keeper.settleVolume({ account: '123456789012', region: REGION }, id);
  }
  await bench.attach(id, '/dev/sdf');
  await bench.turns();
  assert.equal(await bench.state(id), 'in-use attached');
});

test('one that programs hold on to is busy while it is detached', async () => {
  using bench = new Ec2Bench();
  const VolumeId = await bench.attached();
  bench.controller.stopsFail = 'it is in use';
  await bench.call('DetachVolume', { VolumeId });
  await bench.turns();
  assert.equal(await bench.state(VolumeId), 'in-use busy');
  bench.controller.stopsFail = undefined;
  await bench.turns();
  assert.equal(await bench.state(VolumeId), 'available');
});

test('a device has one volume, whichever region asks', async () => {
  using bench = new Ec2Bench();
  await bench.attached('/dev/sdf');
  const second = await bench.volume();
  const taken = { code: 'InvalidParameterValue', message: /Attachment point \/dev\/sdf is already in use/ };
  const before = await bench.registry.list('');
  await assert.rejects(bench.attach(second, '/dev/sdf'), taken);
  assert.deepEqual(await bench.registry.list(''), before, 'not even for a moment');
  assert.equal(await bench.state(second), 'available');
  const where = { region: 'eu-west-9' };
  const elsewhere = await bench.volume({}, where);
  const InstanceId = await bench.instance('one.example', where);
  const input = { VolumeId: elsewhere, InstanceId, Device: '/dev/sdf' };
  await assert.rejects(bench.call('AttachVolume', input, where), taken);
  await bench.attach(second, '/dev/xvdf');
  await bench.call('AttachVolume', { ...input, Device: '/dev/sdg' }, where);
  await bench.turns();
  assert.equal(await bench.state(second), 'in-use attached');
  assert.equal(await bench.state(elsewhere, where), 'in-use attached');
});

test('what cannot be attached', async () => {
  using bench = new Ec2Bench();
  const VolumeId = await bench.volume();
  const InstanceId = await bench.instance();
  const attach = (part: object) =>
    bench.call('AttachVolume', { VolumeId, InstanceId, Device: '/dev/sdf', ...part });
  for (const Device of [
    'sdf',
    '/dev/sda1',
    '/dev/xvda',
    '/dev/sdq',
    '/dev/sdf1',
    '/dev/xvdea',
    '/dev/../x',
    '/dev/nvme1n1',
  ])
    await assert.rejects(attach({ Device }), { code: 'InvalidParameterValue' }, Device);
  for (const Device of ['/dev/sdb', '/dev/sdp', '/dev/xvdb', '/dev/xvdz', '/dev/xvddz']) {
    await attach({ Device });
    await bench.turns();
    assert.equal(await bench.state(VolumeId), 'in-use attached', Device);
    await bench.call('DetachVolume', { VolumeId });
    await bench.turns();
  }
  await assert.rejects(attach({ InstanceId: 'i-0123456789abcdef0' }), { code: 'InvalidInstanceID.NotFound' });
  await assert.rejects(attach({ InstanceId: 'i-nothing' }), { code: 'InvalidInstanceID.Malformed' });
  await assert.rejects(attach({ VolumeId: 'vol-0123456789abcdef0' }), { code: 'InvalidVolume.NotFound' });
  await assert.rejects(attach({ Device: undefined }), { code: 'MissingParameter' });
  await assert.rejects(attach({ EbsCardIndex: 1 }), { code: 'UnsupportedOperation' });
});

test("on another machine it is attached there, to a directory that is not the first one's", async () => {
  using bench = new Ec2Bench();
  const { databases } = bench.context;
  const [one, other] = [await bench.volume(), await bench.volume()];
  await bench.attach(one, '/dev/sdf');
  const InstanceId = await bench.instance('two.example');
  const told = await bench.call('AttachVolume', { VolumeId: other, InstanceId, Device: '/dev/sdf' });
  assert.deepEqual([told.State, told.InstanceId], ['attaching', InstanceId]);
  assert.deepEqual((await databases.get(other)).files, { sizeBytes: GIB, mount: 'sdf', machine: 'second' });
  await bench.turns();
  assert.deepEqual(
    [await bench.state(one), await bench.state(other)],
    ['in-use attached', 'in-use attached'],
  );
  const { Reservations = [] } = await bench.call('DescribeInstances', { InstanceIds: [InstanceId] });
  const mappings = must(Reservations[0]?.Instances?.[0]?.BlockDeviceMappings);
  assert.deepEqual(
    mappings.map(({ Ebs }) => Ebs?.VolumeId),
    [other],
  );
  const third = await bench.volume();
  const again = bench.call('AttachVolume', { VolumeId: third, InstanceId, Device: '/dev/sdf' });
  await assert.rejects(again, { code: 'InvalidParameterValue' });
  await bench.call('DetachVolume', { VolumeId: other, InstanceId });
  await bench.turns();
  assert.equal(await bench.state(other), 'available');
  assert.deepEqual((await databases.get(other)).files, { sizeBytes: GIB });
  await bench.attach(other, '/dev/sdg');
  assert.deepEqual((await databases.get(other)).files, { sizeBytes: GIB, mount: 'sdg' });
});

test('by force it is let go of a machine that does not answer, once it was opened elsewhere', async () => {
  using bench = new Ec2Bench();
  const { databases } = bench.context;
  const VolumeId = await bench.volume();
  const InstanceId = await bench.instance('two.example');
  await bench.call('AttachVolume', { VolumeId, InstanceId, Device: '/dev/sdf' });
  await bench.turns();
  bench.controller.stopsFail = 'the machine is not heard';
  await bench.call('DetachVolume', { VolumeId });
  await bench.turns();
  assert.equal(await bench.state(VolumeId), 'in-use busy');
  const before = await databases.get(VolumeId);
  const told = await bench.call('DetachVolume', { VolumeId, Force: true });
  assert.notEqual(told.State, 'detached');
  assert.deepEqual((await databases.get(VolumeId)).files, { sizeBytes: GIB });
  bench.controller.stopsFail = undefined;
  await bench.turns(10);
  assert.equal(await bench.state(VolumeId), 'available');
  assert.ok((await databases.get(VolumeId)).generation > before.generation);
  await assert.rejects(bench.call('DetachVolume', { VolumeId, Force: true }), { code: 'IncorrectState' });
});

test('deleted with everything on it', async () => {
  using bench = new Ec2Bench();
  const VolumeId = await bench.volume();
  await bench.call('DeleteVolume', { VolumeId });
  assert.equal(await bench.state(VolumeId), 'deleting');
  await assert.rejects(bench.attach(VolumeId, '/dev/sdf'), { code: 'IncorrectState' });
  await assert.rejects(bench.call('CreateSnapshot', { VolumeId }), { code: 'IncorrectState' });
  await assert.rejects(bench.call('ModifyVolume', { VolumeId, Size: 2 }), { code: 'IncorrectState' });
  await bench.turns();
  await assert.rejects(bench.state(VolumeId), { code: 'InvalidVolume.NotFound' });
  await assert.rejects(bench.call('DeleteVolume', { VolumeId }), { code: 'InvalidVolume.NotFound' });
  assert.deepEqual(await bench.context.databases.list(), []);
});

test('one that cannot be opened is in error, and may be deleted', async () => {
  using bench = new Ec2Bench();
  bench.controller.startsFail = 'no quorum';
  const VolumeId = await bench.volume();
  assert.equal(await bench.state(VolumeId), 'error');
  const { VolumeStatuses } = await bench.call('DescribeVolumeStatus', { VolumeIds: [VolumeId] });
  assert.equal(VolumeStatuses?.[0].VolumeStatus?.Status, 'impaired');
  await assert.rejects(bench.attach(VolumeId, '/dev/sdf'), { code: 'IncorrectState' });
  bench.controller.startsFail = undefined;
  await bench.turns();
  assert.equal(await bench.state(VolumeId), 'available', 'it was tried again');
  bench.controller.startsFail = 'no quorum';
  const other = await bench.volume();
  await bench.call('DeleteVolume', { VolumeId: other });
  await bench.turns();
  await assert.rejects(bench.state(other), { code: 'InvalidVolume.NotFound' });
});

test('a volume grows at once while it is in use, and when it is opened again else', async () => {
  using bench = new Ec2Bench();
  const used = await bench.attached('/dev/sdf', { Size: 2 });
  const generation = (await bench.context.databases.get(used)).generation;
  const { VolumeModification: begun } = await bench.call('ModifyVolume', { VolumeId: used, Size: 3 });
  assert.deepEqual(
    [begun?.ModificationState, begun?.OriginalSize, begun?.TargetSize, begun?.Progress],
    ['modifying', 2, 3, 0],
  );
  const size = async (id: string) =>
    (await bench.call('DescribeVolumes', { VolumeIds: [id] })).Volumes?.[0].Size;
  assert.equal(await size(used), 2);
  const again = bench.call('ModifyVolume', { VolumeId: used, Size: 4 });
  await assert.rejects(again, { code: 'IncorrectModificationState' });
  await bench.turns(1);
  assert.equal(await size(used), 3);
  const { VolumesModifications } = await bench.call('DescribeVolumesModifications', {});
  assert.deepEqual(
    [VolumesModifications?.[0].ModificationState, VolumesModifications?.[0].Progress],
    ['completed', 100],
  );
  assert.equal((await bench.context.databases.get(used)).generation, generation, 'it was not restarted');
  assert.equal((await bench.context.databases.state(used))?.sizeBytes, 3 * GIB);
  assert.equal(await bench.state(used), 'in-use attached');

  const still = await bench.volume();
  const { VolumeModification } = await bench.call('ModifyVolume', {
    VolumeId: still,
    Size: 5,
    VolumeType: 'gp2',
  });
  assert.deepEqual(
    [
      VolumeModification?.ModificationState,
      VolumeModification?.TargetVolumeType,
      VolumeModification?.TargetIops,
    ],
    ['completed', 'gp2', 100],
  );
  assert.deepEqual((await bench.context.databases.get(still)).files, { sizeBytes: 5 * GIB });
  const modify = (part: object) => bench.call('ModifyVolume', { VolumeId: still, ...part });
  await assert.rejects(modify({ Size: 4 }), {
    code: 'InvalidParameterValue',
    message: /New size cannot be smaller/,
  });
  await assert.rejects(modify({ Size: 16_385 }), { code: 'InvalidParameterValue' });
  await assert.rejects(modify({ MultiAttachEnabled: true }), { code: 'UnsupportedOperation' });
  await assert.rejects(modify({ VolumeType: 'io2' }), { code: 'UnsupportedOperation' });
  await assert.rejects(modify({ Iops: 3000 }), { code: 'InvalidParameterCombination' });
  await modify({ VolumeType: 'gp3', Iops: 3000, Throughput: 125 });
});

test('what cannot be had is refused, and leaves nothing', async () => {
  using bench = new Ec2Bench();
  const make = (part: object) => bench.call('CreateVolume', { AvailabilityZone, Size: 1, ...part });
  for (const [code, parts] of Object.entries({
    UnsupportedOperation: [
      { Encrypted: true },
      { KmsKeyId: 'k' },
      { OutpostArn: 'arn' },
      { MultiAttachEnabled: true },
      { VolumeType: 'io1' },
      { VolumeType: 'standard' },
      { AvailabilityZoneId: 'eun1-az1' },
      { VolumeInitializationRate: 100 },
    ],
    UnknownVolumeType: [{ VolumeType: 'gp9' }],
    InvalidParameterValue: [
      { Size: 0 },
      { Size: 1.5 },
      { Size: 65_537 },
      { Size: 16_385, VolumeType: 'gp2' },
      { Iops: 4000 },
      { Throughput: 250 },
      { ClientToken: 't'.repeat(65) },
      { ClientToken: 'ä' },
      { TagSpecifications: [{ ResourceType: 'snapshot', Tags: [] }] },
      { TagSpecifications: [{ ResourceType: 'volume', Tags: [{ Key: 'aws:x' }] }] },
      { TagSpecifications: [{ ResourceType: 'volume', Tags: [{ Key: 'k'.repeat(128) }] }] },
    ],
    InvalidParameterCombination: [{ VolumeType: 'gp2', Iops: 3000 }],
    TagLimitExceeded: [
      {
        TagSpecifications: [
          { ResourceType: 'volume', Tags: Array.from({ length: 51 }, (_, n) => ({ Key: `k${n}` })) },
        ],
      },
    ],
    MissingParameter: [{ Size: undefined }, { AvailabilityZone: undefined }],
    'InvalidZone.NotFound': [{ AvailabilityZone: 'eu-north-1d' }, { AvailabilityZone: 'us-east-1a' }],
    'InvalidSnapshot.NotFound': [{ SnapshotId: 'snap-0123456789abcdef0' }],
    'InvalidSnapshotID.Malformed': [{ SnapshotId: 'snap-x' }],
  }))
    for (const part of parts) await assert.rejects(make(part), { code }, JSON.stringify(part));
  await assert.rejects(bench.call('CreateVolume', { AvailabilityZone, Size: 1 }, { region: 'a b' }), {
    code: 'InvalidParameterValue',
  });
  assert.deepEqual(await bench.registry.list(''), []);
  await make({ Encrypted: false, Iops: 3000, Throughput: 125, VolumeType: 'gp3', Size: 65_536 });
});

test('the disk of a machine is told, and left alone', async () => {
  using bench = new Ec2Bench();
  const { Volumes = [] } = await bench.call('DescribeVolumes', {});
  assert.deepEqual(
    Volumes.map(({ State, Size }) => [State, Size]),
    [['in-use', 42]],
  );
  const InstanceId = await bench.instance();
  const { VolumeId } = must(Volumes.find(({ Attachments }) => Attachments?.[0].InstanceId === InstanceId));
  const refused = { code: 'OperationNotPermitted', message: /is the boot volume of i-/ };
  await assert.rejects(bench.call('DeleteVolume', { VolumeId }), refused);
  await assert.rejects(bench.call('DetachVolume', { VolumeId }), refused);
  await assert.rejects(bench.call('ModifyVolume', { VolumeId, Size: 99 }), refused);
  await assert.rejects(bench.call('AttachVolume', { VolumeId, InstanceId, Device: '/dev/sdf' }), refused);
  await assert.rejects(
    bench.call('CreateTags', { Resources: [must(VolumeId)], Tags: [{ Key: 'a' }] }),
    refused,
  );
});

test('a token makes one volume, whoever says it and how often', async () => {
  using bench = new Ec2Bench();
  const make = (part: object = {}) =>
    bench.call('CreateVolume', { AvailabilityZone, Size: 1, ClientToken: 'mine', ...part });
  const made = await Promise.all([make(), make(), make()]);
  assert.equal(new Set(made.map(({ VolumeId }) => VolumeId)).size, 1);
  assert.equal((await make()).VolumeId, made[0].VolumeId);
  await assert.rejects(make({ Size: 2 }), { code: 'IdempotentParameterMismatch' });
  assert.notEqual((await make({ ClientToken: 'other' })).VolumeId, made[0].VolumeId);
  await bench.turns();
  assert.equal((await bench.context.databases.list()).length, 2);
  const elsewhere = { AvailabilityZone: 'eu-west-1a', Size: 1, ClientToken: 'mine' };
  const other = await bench.call('CreateVolume', elsewhere, { region: 'eu-west-1' });
  assert.notEqual(other.VolumeId, made[0].VolumeId);
  await bench.call('DeleteVolume', { VolumeId: made[0].VolumeId });
  await bench.turns();
  assert.notEqual((await make()).VolumeId, made[0].VolumeId, 'what is gone has no token');
});

test('a database that somebody else deletes takes its volume with it', async () => {
  using bench = new Ec2Bench();
  const VolumeId = await bench.attached();
  await bench.context.databases.setDesired(VolumeId, 'deleted');
  assert.equal(await bench.state(VolumeId), 'deleting attached');
  await bench.turns();
  await assert.rejects(bench.state(VolumeId), { code: 'InvalidVolume.NotFound' });
  assert.deepEqual(await bench.registry.list('ec2/claims/'), []);
});
