/** The official client and its waiters, against a gateway over SQLite, while a fake controller goes on by itself. */
import assert from 'node:assert/strict';
import * as path from 'node:path';
import { test } from 'node:test';
import {
  AttachVolumeCommand,
  CopySnapshotCommand,
  CreateImageCommand,
  CreateSnapshotCommand,
  CreateSnapshotsCommand,
  CreateTagsCommand,
  CreateVolumeCommand,
  DeleteSnapshotCommand,
  DeleteTagsCommand,
  DeleteVolumeCommand,
  DeregisterImageCommand,
  DescribeAvailabilityZonesCommand,
  DescribeImagesCommand,
  DescribeInstancesCommand,
  DescribeInstanceStatusCommand,
  DescribeRegionsCommand,
  DescribeSnapshotsCommand,
  DescribeTagsCommand,
  DescribeVolumesCommand,
  DescribeVolumesModificationsCommand,
  DescribeVolumeStatusCommand,
  DetachVolumeCommand,
  EC2Client,
  EC2ServiceException,
  ModifyVolumeCommand,
  paginateDescribeVolumes,
  RegisterImageCommand,
  RunInstancesCommand,
  waitUntilImageAvailable,
  waitUntilImageExists,
  waitUntilInstanceRunning,
  waitUntilSnapshotCompleted,
  waitUntilVolumeAvailable,
  waitUntilVolumeDeleted,
  waitUntilVolumeInUse,
} from '@aws-sdk/client-ec2';
import { must, systemClock } from '@rokka/kernel';
import { openSqliteRegistry } from '@rokka/registry';
import { Ec2Bench } from '../testing/ec2-bench.ts';
import { until } from '../testing/until.ts';
import { serve } from '../testing/served-service.ts';
import { REGION } from '../testing/service-bench.ts';
import { ec2Service } from './ec2-service.ts';

const timeout = 600_000;
const AvailabilityZone = `${REGION}a`;
const arn = (resource: string) => `arn:aws:ec2:${REGION}:123456789012:${resource}`;
const imageArn = (id: string) => `arn:aws:ec2:${REGION}::image/${id}`;
const snapshotArn = (id: string) => `arn:aws:ec2:${REGION}::snapshot/${id}`;

test('a life of volumes, as the SDK and its waiters see it', { timeout }, async () => {
  using directory = new Ec2Bench();
  await using registry = await openSqliteRegistry({
    path: path.join(directory.directory, 'registry.db'),
    create: true,
    clock: systemClock,
  });
  using bench = new Ec2Bench(registry);
  await using served = await serve(ec2Service(bench.context), bench);
  const client = new EC2Client(served.client);
  const waits = { client, maxWaitTime: 180, minDelay: 1, maxDelay: 1 };

  const { Reservations } = await client.send(
    new DescribeInstancesCommand({ Filters: [{ Name: 'private-dns-name', Values: ['one.*'] }] }),
  );
  const InstanceId = must(Reservations?.[0]?.Instances?.[0]?.InstanceId);
  await waitUntilInstanceRunning(waits, { InstanceIds: [InstanceId] });

  const input = { AvailabilityZone, Size: 2, VolumeType: 'gp3', ClientToken: 'mine' } as const;
  const made = await client.send(new CreateVolumeCommand(input));
  assert.deepEqual([made.State, made.Iops, made.$metadata.httpStatusCode], ['creating', 3000, 200]);
  const again = await client.send(new CreateVolumeCommand(input));
  assert.equal(again.VolumeId, made.VolumeId);
  const VolumeId = must(made.VolumeId);
  const one = { VolumeIds: [VolumeId] };
  await waitUntilVolumeAvailable(waits, one);
  await client.send(new AttachVolumeCommand({ VolumeId, InstanceId, Device: '/dev/sdf' }));
  const attached = [{ Name: 'attachment.status', Values: ['attached'] }];
  await waitUntilVolumeInUse(waits, { Filters: [...attached, { Name: 'volume-id', Values: [VolumeId] }] });

  const modified = await client.send(new ModifyVolumeCommand({ VolumeId, Size: 3 }));
  assert.equal(modified.VolumeModification?.TargetSize, 3);
  const completed = [{ Name: 'modification-state', Values: ['completed'] }];
  await until(async () => {
    const command = new DescribeVolumesModificationsCommand({ ...one, Filters: completed });
    return (await client.send(command)).VolumesModifications?.length === 1;
  });

  const snapshot = await client.send(new CreateSnapshotCommand({ VolumeId, Description: 'one' }));
  await waitUntilSnapshotCompleted(waits, { SnapshotIds: [must(snapshot.SnapshotId)] });
  const { Snapshots: set = [] } = await client.send(
    new CreateSnapshotsCommand({
      InstanceSpecification: { InstanceId, ExcludeBootVolume: true },
      CopyTagsFromSource: 'volume',
    }),
  );
  assert.equal(set.length, 1);
  await waitUntilSnapshotCompleted(waits, { SnapshotIds: set.map(({ SnapshotId }) => must(SnapshotId)) });
  // Its middleware adds a presigned URL and where it goes.
  const copied = await client.send(
    new CopySnapshotCommand({ SourceRegion: REGION, SourceSnapshotId: snapshot.SnapshotId }),
  );
  await waitUntilSnapshotCompleted(waits, { SnapshotIds: [must(copied.SnapshotId)] });
  await client.send(new DeleteSnapshotCommand({ SnapshotId: snapshot.SnapshotId }));
  await assert.rejects(
    client.send(new DescribeSnapshotsCommand({ SnapshotIds: [must(snapshot.SnapshotId)] })),
    { name: 'InvalidSnapshot.NotFound' },
  );

  const created = await client.send(
    new CreateImageCommand({ InstanceId, Name: 'of the instance', NoReboot: true }),
  );
  await waitUntilImageAvailable(waits, { ImageIds: [must(created.ImageId)] });
  const mappings = [
    { DeviceName: '/dev/xvda', Ebs: { SnapshotId: copied.SnapshotId } },
    { DeviceName: '/dev/sdf', Ebs: { SnapshotId: set[0].SnapshotId, DeleteOnTermination: false } },
  ];
  const image = {
    Name: 'of snapshots',
    Description: 'ä & <b>',
    RootDeviceName: '/dev/xvda',
    BlockDeviceMappings: mappings,
    TagSpecifications: [{ ResourceType: 'image' as const, Tags: [{ Key: 'a', Value: 'ä' }] }],
  };
  const registered = await client.send(new RegisterImageCommand(image));
  await assert.rejects(client.send(new RegisterImageCommand(image)), { name: 'InvalidAMIName.Duplicate' });
  await waitUntilImageExists(waits, { ImageIds: [must(registered.ImageId)] });
  const ofTag = { Owners: ['self'], Filters: [{ Name: 'tag:a', Values: ['ä'] }] };
  const shown = (await client.send(new DescribeImagesCommand(ofTag))).Images ?? [];
  assert.deepEqual(
    shown.map(({ ImageId, Description, State }) => [ImageId, Description, State]),
    [[registered.ImageId, 'ä & <b>', 'available']],
  );
  assert.deepEqual(
    shown[0].BlockDeviceMappings?.map(({ DeviceName, Ebs }) => [
      DeviceName,
      Ebs?.SnapshotId,
      Ebs?.DeleteOnTermination,
    ]),
    [
      ['/dev/xvda', copied.SnapshotId, true],
      ['/dev/sdf', set[0].SnapshotId, false],
    ],
  );
  await assert.rejects(client.send(new DeleteSnapshotCommand({ SnapshotId: copied.SnapshotId })), {
    name: 'InvalidSnapshot.InUse',
  });
  for (const { ImageId } of [created, registered]) {
    assert.equal((await client.send(new DeregisterImageCommand({ ImageId }))).Return, true);
    await assert.rejects(client.send(new DescribeImagesCommand({ ImageIds: [must(ImageId)] })), {
      name: 'InvalidAMIID.NotFound',
    });
  }

  const from = await client.send(
    new CreateVolumeCommand({ AvailabilityZone, SnapshotId: copied.SnapshotId }),
  );
  await waitUntilVolumeAvailable(waits, { VolumeIds: [must(from.VolumeId)] });
  await client.send(
    new CreateTagsCommand({
      Resources: [VolumeId, must(copied.SnapshotId)],
      Tags: [
        { Key: 'a', Value: 'ä & <b>' },
        { Key: 'c', Value: '' },
      ],
    }),
  );
  await client.send(new DeleteTagsCommand({ Resources: [VolumeId], Tags: [{ Key: 'c', Value: '' }] }));
  const { Tags } = await client.send(new DescribeTagsCommand({ Filters: [{ Name: 'key', Values: ['*'] }] }));
  assert.deepEqual(
    new Set(Tags?.map(({ ResourceType, Key, Value }) => `${ResourceType} ${Key}=${Value}`)),
    new Set(['volume a=ä & <b>', 'snapshot a=ä & <b>', 'snapshot c=']),
  );

  await client.send(new DetachVolumeCommand({ VolumeId }));
  await waitUntilVolumeAvailable(waits, one);
  await client.send(new DeleteVolumeCommand({ VolumeId }));
  await waitUntilVolumeDeleted(waits, one);
  const pages = await Array.fromAsync(paginateDescribeVolumes({ client, pageSize: 5 }, {}));
  const ids = pages.flatMap(({ Volumes = [] }) => Volumes.map((volume) => volume.VolumeId));
  assert.equal(ids.length, 2);
  assert.ok(ids.includes(from.VolumeId));
  const { VolumeStatuses } = await client.send(new DescribeVolumeStatusCommand({}));
  assert.equal(VolumeStatuses?.[0].VolumeStatus?.Status, 'ok');
  const { InstanceStatuses } = await client.send(new DescribeInstanceStatusCommand({}));
  assert.equal(InstanceStatuses?.length, 2);
  assert.equal((await client.send(new DescribeAvailabilityZonesCommand({}))).AvailabilityZones?.length, 3);
  assert.equal((await client.send(new DescribeRegionsCommand({}))).Regions?.[0].RegionName, REGION);
  assert.deepEqual(served.log, []);
});

test('what is not built, and what errors are called', { timeout }, async () => {
  using bench = new Ec2Bench();
  await using served = await serve(ec2Service(bench.context), bench);
  const client = new EC2Client(served.client);
  const run = new RunInstancesCommand({ ImageId: 'ami-1', MinCount: 1, MaxCount: 1 });
  await assert.rejects(client.send(run), { name: 'NotImplemented' });
  const none = new DescribeVolumesCommand({ VolumeIds: ['vol-0123456789abcdef0'] });
  await assert.rejects(client.send(none), (error: unknown) => {
    assert.ok(error instanceof EC2ServiceException);
    assert.deepEqual(
      [error.name, error.message, error.$metadata.httpStatusCode],
      ['InvalidVolume.NotFound', "The volume 'vol-0123456789abcdef0' does not exist.", 400],
    );
    return true;
  });
  const encrypted = new CreateVolumeCommand({ AvailabilityZone, Size: 1, Encrypted: true });
  await assert.rejects(client.send(encrypted), { name: 'UnsupportedOperation' });
  const dry = new CreateVolumeCommand({ AvailabilityZone, Size: 1, DryRun: true });
  await assert.rejects(client.send(dry), { name: 'DryRunOperation' });
  assert.deepEqual(await bench.registry.list(''), []);
  assert.deepEqual(served.log, []);
});

test('what callers must be allowed', { timeout }, async () => {
  using bench = new Ec2Bench();
  await using served = await serve(ec2Service(bench.context), bench);
  const client = new EC2Client(served.client);
  const asked = async (call: Promise<unknown>) => {
    served.asked.length = 0;
    await call.catch(() => {});
    return served.asked.map(({ action, resource }) => `${action} ${resource}`);
  };
  const TagSpecifications = [{ ResourceType: 'volume' as const, Tags: [{ Key: 'team', Value: 'a' }] }];
  const create = { AvailabilityZone, Size: 1 };
  assert.deepEqual(await asked(client.send(new CreateVolumeCommand(create))), [
    `ec2:CreateVolume ${arn('volume/*')}`,
  ]);
  assert.deepEqual(await asked(client.send(new CreateVolumeCommand({ ...create, TagSpecifications }))), [
    `ec2:CreateVolume ${arn('volume/*')}`,
    `ec2:CreateTags ${arn('volume/*')}`,
  ]);
  assert.deepEqual(
    [served.asked[1].context['ec2:CreateAction'], served.asked[1].context['aws:RequestTag/team']],
    ['CreateVolume', 'a'],
  );
  const { Volumes } = await client.send(
    new DescribeVolumesCommand({ Filters: [{ Name: 'tag:team', Values: ['a'] }] }),
  );
  const VolumeId = must(Volumes?.[0]?.VolumeId);
  const InstanceId = await bench.instance();
  const attach = new AttachVolumeCommand({ VolumeId, InstanceId, Device: '/dev/sdf' });
  assert.deepEqual(await asked(client.send(attach)), [
    `ec2:AttachVolume ${arn(`instance/${InstanceId}`)}`,
    `ec2:AttachVolume ${arn(`volume/${VolumeId}`)}`,
  ]);
  assert.deepEqual(
    [served.asked[1].context['aws:ResourceTag/team'], served.asked[1].context['ec2:ResourceTag/team']],
    ['a', 'a'],
  );
  const snapshot = {
    VolumeId,
    TagSpecifications: [{ ...TagSpecifications[0], ResourceType: 'snapshot' as const }],
  };
  assert.deepEqual(await asked(client.send(new CreateSnapshotCommand(snapshot))), [
    `ec2:CreateSnapshot ${arn(`volume/${VolumeId}`)}`,
    `ec2:CreateSnapshot ${snapshotArn('*')}`,
    `ec2:CreateTags ${snapshotArn('*')}`,
  ]);
  const SnapshotId = 'snap-0123456789abcdef0';
  assert.deepEqual(await asked(client.send(new CreateVolumeCommand({ ...create, SnapshotId }))), [
    `ec2:CreateVolume ${arn('volume/*')}`,
    `ec2:CreateVolume ${snapshotArn(SnapshotId)}`,
  ]);
  assert.deepEqual(await asked(client.send(new DeleteSnapshotCommand({ SnapshotId }))), [
    `ec2:DeleteSnapshot ${snapshotArn(SnapshotId)}`,
  ]);
  const tags = new CreateTagsCommand({ Resources: [VolumeId, SnapshotId], Tags: [{ Key: 'b', Value: '' }] });
  assert.deepEqual(await asked(client.send(tags)), [
    `ec2:CreateTags ${arn(`volume/${VolumeId}`)}`,
    `ec2:CreateTags ${snapshotArn(SnapshotId)}`,
  ]);
  assert.deepEqual(await asked(client.send(new DescribeVolumesCommand({}))), ['ec2:DescribeVolumes *']);
  const ImageId = 'ami-0123456789abcdef0';
  assert.deepEqual(await asked(client.send(new DeregisterImageCommand({ ImageId }))), [
    `ec2:DeregisterImage ${imageArn(ImageId)}`,
  ]);
  const register = new RegisterImageCommand({
    Name: 'one',
    RootDeviceName: '/dev/xvda',
    BlockDeviceMappings: [{ DeviceName: '/dev/xvda', Ebs: { SnapshotId } }],
    TagSpecifications: [{ ...TagSpecifications[0], ResourceType: 'image' }],
  });
  // Who may make one of an instance may make one of snapshots.
  assert.deepEqual(await asked(client.send(register)), [
    `ec2:RegisterImage ${imageArn('*')}`,
    `ec2:CreateImage ${imageArn('*')}`,
    `ec2:CreateTags ${imageArn('*')}`,
    `ec2:RegisterImage ${snapshotArn(SnapshotId)}`,
    `ec2:CreateImage ${snapshotArn(SnapshotId)}`,
  ]);
  const attachedBoot = await bench.boot();
  // Who is denied a copy in one way is denied it in this one too.
  const copied = [arn(`instance/${InstanceId}`), arn(`volume/${attachedBoot}`), snapshotArn('*')];
  assert.deepEqual(await asked(client.send(new CreateImageCommand({ InstanceId, Name: 'one' }))), [
    `ec2:CreateImage ${imageArn('*')}`,
    ...copied.flatMap((resource) =>
      ['CreateImage', 'CreateSnapshot', 'CreateSnapshots'].map((action) => `ec2:${action} ${resource}`),
    ),
  ]);
  served.denied.add(arn(`volume/${VolumeId}`));
  await assert.rejects(client.send(new DeleteVolumeCommand({ VolumeId })), { name: 'UnauthorizedOperation' });
  // Who may copy all others may still be denied the state of the cluster.
  const { Volumes: all = [] } = await client.send(new DescribeVolumesCommand({}));
  const boot = must(all.find(({ Attachments }) => Attachments?.[0]?.Device === '/dev/xvda')?.VolumeId);
  assert.deepEqual(await asked(client.send(new CreateSnapshotCommand({ VolumeId: boot }))), [
    `ec2:CreateSnapshot ${arn(`volume/${boot}`)}`,
    `ec2:CreateSnapshot ${snapshotArn('*')}`,
  ]);
  served.denied.add(arn(`volume/${boot}`));
  const denied = { name: 'UnauthorizedOperation' };
  await assert.rejects(client.send(new CreateSnapshotCommand({ VolumeId: boot })), denied);
  const InstanceSpecification = { InstanceId };
  await assert.rejects(client.send(new CreateSnapshotsCommand({ InstanceSpecification })), denied);
  await assert.rejects(client.send(new CreateImageCommand({ InstanceId, Name: 'two' })), denied);
  assert.deepEqual(served.log, []);
});
