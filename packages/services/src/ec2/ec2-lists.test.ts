/** Lists: filters, pages, tags, machines, zones and regions. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { CreateTagsCommand } from '@aws-sdk/client-ec2';
import type { OperationEntry } from '@rokka/gateway';
import { must } from '@rokka/kernel';
import { Ec2Bench } from '../testing/ec2-bench.ts';
import { ACCOUNT, callIn, REGION } from '../testing/service-bench.ts';
import { ec2Operations } from './ec2-handlers.ts';
import { filtered } from './ec2-lists.ts';
import { listTaggedInstances } from './instance-tags.ts';

const value = { code: 'InvalidParameterValue' };

test('values of filters have wildcards, unless a backslash takes their meaning', () => {
  const items = ['data', 'data*', 'dat', 'dating', 'da\\ta'];
  const found = (...Values: string[]) =>
    filtered(items, [{ Name: 'name', Values }], { table: { name: (item: string) => [item] } });
  assert.deepEqual(found('data'), ['data']);
  assert.deepEqual(found('dat?'), ['data']);
  assert.deepEqual(found('dat*'), ['data', 'data*', 'dat', 'dating']);
  assert.deepEqual(found('data\\*'), ['data*']);
  assert.deepEqual(found('da\\\\ta'), ['da\\ta']);
  assert.deepEqual(found('data\\'), []);
  assert.deepEqual(found('DATA'), []);
  assert.deepEqual(found('dat', 'data'), ['data', 'dat']);
  assert.deepEqual(found('*'), items);
});

test('filters of volumes: several values are or, several filters are and', async () => {
  using bench = new Ec2Bench();
  const one = await bench.attached('/dev/sdf', {
    Size: 2,
    TagSpecifications: [{ ResourceType: 'volume', Tags: [{ Key: 'team', Value: 'red' }] }],
  });
  const two = await bench.volume({
    VolumeType: 'gp2',
    AvailabilityZone: `${REGION}c`,
    TagSpecifications: [{ ResourceType: 'volume', Tags: [{ Key: 'team', Value: 'green' }, { Key: 'x' }] }],
  });
  const three = await bench.volume({ SnapshotId: await bench.snapshot(one), Size: 4 });
  const found = async (...filters: [name: string, ...values: string[]][]) => {
    const Filters = filters.map(([Name, ...Values]) => ({ Name, Values }));
    const { Volumes } = await bench.call('DescribeVolumes', { Filters });
    return Volumes?.map(({ VolumeId }) => VolumeId);
  };
  const own = (...ids: string[]) => ids.sort();
  const InstanceId = await bench.instance();
  const { SnapshotId } = must((await bench.call('DescribeSnapshots', {})).Snapshots?.[0]);
  assert.deepEqual(await found(['status', 'available']), own(two, three));
  assert.deepEqual(await found(['status', 'in-use'], ['size', '2', '4']), own(one));
  assert.deepEqual(await found(['tag:team', 'red', 'green']), own(one, two));
  assert.deepEqual(await found(['tag:team', 'r*']), own(one));
  assert.deepEqual(await found(['tag:team', 'red', 'green'], ['tag-key', 'x']), own(two));
  assert.deepEqual(await found(['tag:Team', 'red']), []);
  assert.deepEqual(await found(['attachment.device', '/dev/sd?']), own(one));
  assert.deepEqual(await found(['attachment.status', 'attached'], ['volume-type', 'gp3']), own(one));
  assert.deepEqual(
    await found(['attachment.instance-id', InstanceId], ['volume-id', 'vol-*', 'x']).then(
      (ids) => ids?.length,
    ),
    2,
  );
  assert.deepEqual(await found(['availability-zone', `${REGION}c`]), own(two));
  assert.deepEqual(await found(['volume-type', 'gp2']), own(two));
  assert.deepEqual(await found(['snapshot-id', must(SnapshotId)]), own(three));
  assert.deepEqual(await found(['encrypted', 'true']), []);
  assert.deepEqual(await found(['multi-attach-enabled', 'false'], ['volume-id', one]), own(one));
  const { CreateTime } = must((await bench.call('DescribeVolumes', { VolumeIds: [two] })).Volumes?.[0]);
  assert.deepEqual(await found(['create-time', must(CreateTime).toISOString()]), own(two));
  for (const name of ['colour', 'toString', 'tag', '']) await assert.rejects(found([name, 'x']), value, name);
  await assert.rejects(found(['status']), value);
  const both = bench.call('DescribeVolumes', {
    VolumeIds: [one],
    Filters: [{ Name: 'status', Values: ['x'] }],
  });
  assert.deepEqual((await both).Volumes, []);
  await assert.rejects(bench.call('DescribeVolumes', { VolumeIds: [one, 'vol-0123456789abcdef0'] }), {
    code: 'InvalidVolume.NotFound',
    message: "The volume 'vol-0123456789abcdef0' does not exist.",
  });
  await assert.rejects(bench.call('DescribeVolumes', { VolumeIds: ['snap-0123456789abcdef0'] }), value);
  await assert.rejects(bench.call('DescribeVolumes', { VolumeIds: ['vol-g'] }), {
    code: 'InvalidVolumeID.Malformed',
  });
});

test('filters of snapshots, and whose they are', async () => {
  using bench = new Ec2Bench();
  const VolumeId = await bench.volume({ Size: 2 });
  const { SnapshotId } = await bench.call('CreateSnapshot', { VolumeId, Description: 'nightly 1' });
  await bench.turns(2);
  const count = async (input: object) => (await bench.call('DescribeSnapshots', input)).Snapshots?.length;
  const by = (Name: string, ...Values: string[]) => count({ Filters: [{ Name, Values }] });
  assert.equal(await by('description', 'nightly*'), 1);
  assert.equal(await by('status', 'completed', 'pending'), 1);
  assert.equal(await by('volume-id', VolumeId), 1);
  assert.equal(await by('volume-size', '3'), 0);
  assert.equal(await by('progress', '100%'), 1);
  assert.equal(await by('owner-id', '123456789012'), 1);
  assert.equal(await by('owner-alias', 'amazon'), 0);
  assert.equal(await by('snapshot-id', must(SnapshotId)), 1);
  assert.equal(await by('start-time', '2*Z'), 1);
  await assert.rejects(by('size', '1'), value);
  assert.equal(await count({ OwnerIds: ['self'] }), 1);
  assert.equal(await count({ OwnerIds: ['amazon', '123456789012'] }), 1);
  assert.equal(await count({ OwnerIds: ['amazon'] }), 0);
  assert.equal(await count({ RestorableByUserIds: ['all'] }), 0);
  await assert.rejects(count({ SnapshotIds: ['snap-0123456789abcdef0'] }), {
    code: 'InvalidSnapshot.NotFound',
  });
});

test('pages cover everything once, and a token counts for its list alone', async () => {
  using bench = new Ec2Bench();
  const made: (string | undefined)[] = [];
  for (let count = 0; count < 12; count++)
    made.push((await bench.call('CreateVolume', { AvailabilityZone: `${REGION}a`, Size: 1 })).VolumeId);
  const Filters = [{ Name: 'status', Values: ['creating'] }];
  const seen: (string | undefined)[] = [];
  let NextToken: string | undefined;
  do {
    const page = await bench.call('DescribeVolumes', { Filters, MaxResults: 5, NextToken });
    assert.ok((page.Volumes?.length ?? 0) <= 5);
    seen.push(...(page.Volumes ?? []).map(({ VolumeId }) => VolumeId));
    ({ NextToken } = page);
  } while (NextToken !== undefined);
  assert.deepEqual(new Set(seen), new Set(made));
  assert.equal(seen.length, made.length);
  assert.equal((await bench.call('DescribeVolumes', {})).Volumes?.length, 13);
  const first = await bench.call('DescribeVolumes', { MaxResults: 5 });
  const refused = { code: 'InvalidNextToken' };
  await assert.rejects(bench.call('DescribeSnapshots', { NextToken: first.NextToken }), refused);
  await assert.rejects(bench.call('DescribeVolumes', { Filters, NextToken: first.NextToken }), refused);
  await assert.rejects(bench.call('DescribeVolumes', { NextToken: 'made-up' }), refused);
  for (const MaxResults of [4, 1001, 5.5])
    await assert.rejects(bench.call('DescribeVolumes', { MaxResults }), value);
  await assert.rejects(bench.call('DescribeVolumesModifications', { MaxResults: 501 }), value);
  await assert.rejects(bench.call('DescribeVolumes', { MaxResults: 5, VolumeIds: [must(made[0])] }), {
    code: 'InvalidParameterCombination',
  });
});

test('tags of several things at once: all of them, or none', async () => {
  using bench = new Ec2Bench();
  const VolumeId = await bench.volume();
  const SnapshotId = await bench.snapshot(VolumeId);
  const Resources = [VolumeId, SnapshotId];
  const tags = async (...filters: [string, ...string[]][]) => {
    const Filters = filters.map(([Name, ...Values]) => ({ Name, Values }));
    const { Tags } = await bench.call('DescribeTags', { Filters });
    return Tags?.map(({ ResourceType, Key, Value }) => `${ResourceType} ${Key}=${Value}`);
  };
  await bench.call('CreateTags', { Resources, Tags: [{ Key: 'a', Value: '1' }, { Key: 'b' }] });
  await bench.call('CreateTags', { Resources: [VolumeId], Tags: [{ Key: 'a', Value: '2' }] });
  assert.deepEqual(await tags(), ['snapshot a=1', 'snapshot b=', 'volume a=2', 'volume b=']);
  assert.deepEqual(await tags(['key', 'a']), ['snapshot a=1', 'volume a=2']);
  assert.deepEqual(await tags(['resource-type', 'volume'], ['value', '2']), ['volume a=2']);
  assert.deepEqual(await tags(['resource-id', SnapshotId], ['tag:a', '1']), ['snapshot a=1']);
  await assert.rejects(tags(['tag-value', '1']), value);

  const create = (part: object) => bench.call('CreateTags', { Resources, Tags: [{ Key: 'c' }], ...part });
  const many = Array.from({ length: 49 }, (_, n) => ({ Key: `k${n}` }));
  await assert.rejects(create({ Tags: many }), { code: 'TagLimitExceeded' });
  await assert.rejects(create({ Resources: [...Resources, 'vol-0123456789abcdef0'] }), {
    code: 'InvalidVolume.NotFound',
  });
  await assert.rejects(create({ Resources: [...Resources, 'i-0123456789abcdef0'] }), {
    code: 'InvalidInstanceID.NotFound',
  });
  await assert.rejects(create({ Resources: [await bootVolume(bench)] }), { code: 'OperationNotPermitted' });
  await assert.rejects(create({ Resources: [...Resources, 'subnet-1'] }), { code: 'InvalidID' });
  await assert.rejects(create({ Tags: [{ Key: 'AWS:x' }] }), value);
  await assert.rejects(create({ Tags: [{ Key: 'v', Value: 'v'.repeat(257) }] }), value);
  await assert.rejects(create({ Tags: [] }), { code: 'MissingParameter' });
  await assert.rejects(create({ Resources: [] }), { code: 'MissingParameter' });
  assert.equal((await tags())?.length, 4);

  await bench.call('DeleteTags', { Resources, Tags: [{ Key: 'a', Value: '1' }, { Key: 'none' }] });
  assert.deepEqual(await tags(), ['snapshot b=', 'volume a=2', 'volume b=']);
  await bench.call('DeleteTags', { Resources, Tags: [{ Key: 'b' }] });
  assert.deepEqual(await tags(), ['volume a=2']);
  await bench.call('DeleteTags', { Resources });
  assert.deepEqual(await tags(), []);
});

async function bootVolume(bench: Ec2Bench): Promise<string> {
  const { Volumes = [] } = await bench.call('DescribeVolumes', {
    Filters: [{ Name: 'attachment.device', Values: ['/dev/xvda'] }],
  });
  return must(Volumes[0]?.VolumeId);
}

test('machines have tags, are found by them, and those of one region are not those of another', async () => {
  using bench = new Ec2Bench();
  const one = await bench.instance();
  const two = await bench.instance('two.example');
  await bench.call('CreateTags', {
    Resources: [one, two],
    Tags: [{ Key: 'team', Value: 'red' }, { Key: 'x' }],
  });
  await bench.call('CreateTags', { Resources: [two], Tags: [{ Key: 'team', Value: 'green' }] });
  const found = async (Name: string, ...Values: string[]) => {
    const { Reservations = [] } = await bench.call('DescribeInstances', { Filters: [{ Name, Values }] });
    return Reservations.map(({ Instances }) => Instances?.[0].InstanceId);
  };
  assert.deepEqual(await found('tag:team', 'red'), [one]);
  assert.deepEqual(await found('tag:team', 'r*', 'green'), [one, two].sort());
  assert.deepEqual(await found('tag-key', 'x'), [one, two].sort());
  assert.deepEqual(await found('tag:Team', 'red'), []);
  const { Reservations = [] } = await bench.call('DescribeInstances', { InstanceIds: [two] });
  assert.deepEqual(Reservations[0].Instances?.[0].Tags, [
    { Key: 'team', Value: 'green' },
    { Key: 'x', Value: '' },
  ]);
  const told = async (where: object = {}) => {
    const { Tags = [] } = await bench.call('DescribeTags', {}, where);
    return Tags.map(({ ResourceType, ResourceId, Key }) => `${ResourceType} ${ResourceId} ${Key}`).sort();
  };
  assert.deepEqual(
    await told(),
    [one, two].flatMap((id) => [`instance ${id} team`, `instance ${id} x`]).sort(),
  );
  assert.deepEqual(await told({ region: 'eu-west-9' }), []);
  const instances = await listTaggedInstances(bench.context, { account: ACCOUNT, region: REGION });
  assert.deepEqual(instances.find(({ id }) => id === one)?.tags, [
    { Key: 'team', Value: 'red' },
    { Key: 'x', Value: '' },
  ]);
  await bench.call('DeleteTags', { Resources: [one, two], Tags: [{ Key: 'team', Value: 'red' }] });
  assert.deepEqual(await found('tag-key', 'team'), [two]);
  await bench.call('DeleteTags', { Resources: [one, two] });
  assert.deepEqual(await told(), []);
  assert.deepEqual(await bench.registry.list(`accounts/${ACCOUNT}/${REGION}/ec2/instance-tags/`), []);
});

test('a call about a machine can be allowed by its tags', async () => {
  using bench = new Ec2Bench();
  const InstanceId = await bench.instance();
  await bench.call('CreateTags', { Resources: [InstanceId], Tags: [{ Key: 'team', Value: 'red' }] });
  const { resources } = ec2Operations(bench.context).CreateTags as OperationEntry<typeof CreateTagsCommand>;
  const call = callIn({ account: ACCOUNT, region: REGION });
  const [ask] = must(await resources?.({ Resources: [InstanceId], Tags: [] }, call));
  assert.deepEqual(ask, {
    arn: `arn:aws:ec2:${REGION}:${ACCOUNT}:instance/${InstanceId}`,
    conditions: { 'aws:ResourceTag/team': 'red', 'ec2:ResourceTag/team': 'red' },
  });
});

test('machines are instances, with the same ids whoever looks, and other ones in another region', async () => {
  using bench = new Ec2Bench();
  const VolumeId = await bench.attached();
  const InstanceId = await bench.instance();
  assert.match(InstanceId, /^i-[0-9a-f]{17}$/);
  const { Reservations = [] } = await bench.call('DescribeInstances', { InstanceIds: [InstanceId] });
  const instance = must(Reservations[0]?.Instances?.[0]);
  assert.deepEqual(
    [instance.State, instance.InstanceType, instance.PrivateIpAddress, instance.Placement?.AvailabilityZone],
    [{ Code: 16, Name: 'running' }, 'rokka.host', '10.0.0.1', `${REGION}a`],
  );
  const mapped = instance.BlockDeviceMappings?.map(({ DeviceName, Ebs }) => [DeviceName, Ebs?.Status]);
  assert.deepEqual(mapped, [
    ['/dev/xvda', 'attached'],
    ['/dev/sdf', 'attached'],
  ]);
  assert.equal(instance.BlockDeviceMappings?.[1].Ebs?.VolumeId, VolumeId);
  assert.notEqual(await bench.instance('one.example', { region: 'eu-west-1' }), InstanceId);
  const found = async (Name: string, ...Values: string[]) => {
    const answer = await bench.call('DescribeInstances', { Filters: [{ Name, Values }] });
    return answer.Reservations?.length;
  };
  assert.equal(await found('instance-state-name', 'running'), 2);
  assert.equal(await found('block-device-mapping.volume-id', VolumeId), 1);
  assert.equal(await found('block-device-mapping.device-name', '/dev/xvda'), 1);
  assert.equal(await found('availability-zone', `${REGION}b`), 1);
  assert.equal(await found('image-id', '*'), 0);
  assert.equal(await found('network-interface.vpc-id', '*'), 0);
  assert.equal(await found('tag:Name', '*'), 0);
  await assert.rejects(found('colour', 'red'), value);
  await assert.rejects(bench.call('DescribeInstances', { InstanceIds: ['i-0123456789abcdef0'] }), {
    code: 'InvalidInstanceID.NotFound',
  });
  const other = await bench.call('DescribeInstances', { InstanceIds: [await bench.instance('two.example')] });
  const { LaunchTime, PrivateIpAddress, BlockDeviceMappings } = must(other.Reservations?.[0].Instances?.[0]);
  assert.deepEqual([LaunchTime, PrivateIpAddress, BlockDeviceMappings], [undefined, undefined, []]);
  const { InstanceStatuses = [] } = await bench.call('DescribeInstanceStatus', {});
  const status = new Map(InstanceStatuses.map((each) => [each.InstanceId, each.InstanceStatus?.Status]));
  assert.equal(status.get(InstanceId), 'ok');
  assert.equal(status.get(await bench.instance('two.example')), 'insufficient-data');
});

test('zones and regions', async () => {
  using bench = new Ec2Bench();
  const zones = async (input: object) =>
    (await bench.call('DescribeAvailabilityZones', input)).AvailabilityZones?.map(({ ZoneName }) => ZoneName);
  assert.deepEqual(await zones({}), [`${REGION}a`, `${REGION}b`, `${REGION}c`]);
  assert.deepEqual(await zones({ ZoneNames: [`${REGION}b`] }), [`${REGION}b`]);
  assert.deepEqual(await zones({ Filters: [{ Name: 'state', Values: ['impaired'] }] }), []);
  await assert.rejects(zones({ ZoneNames: ['us-east-1a'] }), value);
  const regions = async (input: object) =>
    (await bench.call('DescribeRegions', input)).Regions?.map(({ RegionName }) => RegionName);
  assert.deepEqual(await regions({}), [REGION]);
  await bench.volume({}, { region: 'eu-west-9' });
  assert.deepEqual(await regions({}), [REGION, 'eu-west-9']);
  assert.deepEqual(await regions({ RegionNames: ['eu-west-9'] }), ['eu-west-9']);
  await assert.rejects(regions({ RegionNames: ['mars-1'] }), value);
});

test('the states of volumes, as far as they are known', async () => {
  using bench = new Ec2Bench();
  const VolumeId = await bench.attached();
  const made = await bench.call('CreateVolume', { AvailabilityZone: `${REGION}a`, Size: 1 });
  const { VolumeStatuses = [] } = await bench.call('DescribeVolumeStatus', {});
  const status = new Map(VolumeStatuses.map((each) => [each.VolumeId, each.VolumeStatus?.Status]));
  assert.deepEqual([status.get(VolumeId), status.get(made.VolumeId)], ['ok', 'insufficient-data']);
  const Filters = [{ Name: 'volume-status.status', Values: ['ok'] }];
  assert.equal((await bench.call('DescribeVolumeStatus', { Filters })).VolumeStatuses?.length, 1);
});
