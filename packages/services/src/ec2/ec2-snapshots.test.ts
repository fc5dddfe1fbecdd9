/** Snapshots from call to call: one by one, several of one moment, copies, and volumes that are made of them. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Snapshots } from '@rokka/databases';
import { asLsn, must } from '@rokka/kernel';
import { Ec2Bench, processOver } from '../testing/ec2-bench.ts';
import { REGION } from '../testing/service-bench.ts';
import { GIB } from './ec2-records.ts';

const AvailabilityZone = `${REGION}b`;

/** Three attached volumes, and a set of snapshots of all that are not excluded. */
async function setOf(bench: Ec2Bench, part: { ExcludeDataVolumeIds?: string[] } = {}) {
  const InstanceId = await bench.instance();
  const made = await bench.call('CreateSnapshots', {
    InstanceSpecification: { InstanceId, ExcludeBootVolume: true, ...part },
    Description: 'of one moment',
  });
  return (made.Snapshots ?? []).map(({ SnapshotId }) => must(SnapshotId));
}

async function threeVolumes(bench: Ec2Bench): Promise<string[]> {
  const ids: string[] = [];
  for (const device of ['/dev/sdf', '/dev/sdg', '/dev/sdh']) ids.push(await bench.attached(device));
  return ids;
}

test('a snapshot is pending until its point is kept', async () => {
  using bench = new Ec2Bench();
  const VolumeId = await bench.attached('/dev/sdf', { Size: 3 });
  bench.controller.snapshotsWait = true;
  const made = await bench.call('CreateSnapshot', {
    VolumeId,
    Description: 'before the change',
    TagSpecifications: [{ ResourceType: 'snapshot', Tags: [{ Key: 'team', Value: 'a' }] }],
  });
  const SnapshotId = must(made.SnapshotId);
  assert.match(SnapshotId, /^snap-[0-9a-f]{17}$/);
  assert.deepEqual(
    [made.State, made.Progress, made.VolumeId, made.VolumeSize, made.Description, made.Encrypted],
    ['pending', '0%', VolumeId, 3, 'before the change', false],
  );
  assert.deepEqual([made.OwnerId, made.Tags], ['123456789012', [{ Key: 'team', Value: 'a' }]]);
  const [kept] = await bench.context.snapshots.list();
  assert.deepEqual([kept.database, kept.owner, kept.phase], [VolumeId, 'ec2', 'creating']);
  await bench.turns(2);
  assert.equal(await bench.snapshotState(SnapshotId), 'pending');
  bench.controller.snapshotsWait = false;
  await bench.turns(2);
  const { Snapshots } = await bench.call('DescribeSnapshots', { SnapshotIds: [SnapshotId] });
  assert.deepEqual([Snapshots?.[0].State, Snapshots?.[0].Progress], ['completed', '100%']);
  assert.ok(Snapshots?.[0].CompletionTime);
});

test('of a volume that stands still too; and it outlives the volume, which waits for it', async () => {
  using bench = new Ec2Bench();
  const VolumeId = await bench.volume();
  bench.controller.snapshotsWait = true;
  const { SnapshotId } = await bench.call('CreateSnapshot', { VolumeId });
  await bench.call('DeleteVolume', { VolumeId });
  await bench.turns();
  assert.equal(await bench.state(VolumeId), 'deleting');
  bench.controller.snapshotsWait = false;
  await bench.turns();
  await assert.rejects(bench.state(VolumeId), { code: 'InvalidVolume.NotFound' });
  assert.equal(await bench.snapshotState(must(SnapshotId)), 'completed');
});

test('one that fails says why, and keeps nothing', async () => {
  using bench = new Ec2Bench();
  const VolumeId = await bench.volume();
  bench.controller.snapshotsFail = 'the archive is full';
  const SnapshotId = await bench.snapshot(VolumeId);
  await bench.turns(2);
  const { Snapshots } = await bench.call('DescribeSnapshots', { SnapshotIds: [SnapshotId] });
  assert.deepEqual([Snapshots?.[0].State, Snapshots?.[0].StateMessage], ['error', 'the archive is full']);
  assert.deepEqual(await bench.context.snapshots.list(), []);
  const make = bench.call('CreateVolume', { AvailabilityZone, SnapshotId });
  await assert.rejects(make, { code: 'IncorrectState' });
  await bench.call('DeleteSnapshot', { SnapshotId });
  await assert.rejects(bench.snapshotState(SnapshotId), { code: 'InvalidSnapshot.NotFound' });
});

test('what somebody else has removed is no longer there to be restored', async () => {
  using bench = new Ec2Bench();
  const SnapshotId = await bench.snapshot(await bench.volume());
  const [{ name }] = await bench.context.snapshots.list();
  await bench.context.snapshots.remove(name);
  assert.equal(await bench.snapshotState(SnapshotId), 'error');
  await bench.turns(2);
  assert.deepEqual(await bench.context.snapshots.list(), [], 'nor kept again, at another moment');
});

test('a volume that is made of a snapshot has its size, or more, and all that it had', async () => {
  using bench = new Ec2Bench();
  const { databases } = bench.context;
  const source = await bench.volume({ Size: 3 });
  const SnapshotId = await bench.snapshot(source);
  const make = (part: object = {}) => bench.call('CreateVolume', { AvailabilityZone, SnapshotId, ...part });
  await assert.rejects(make({ Size: 2 }), {
    code: 'InvalidParameterValue',
    message: /smaller than snapshot/,
  });
  const [same, more] = [await make(), await make({ Size: 5 })];
  assert.deepEqual([same.Size, same.SnapshotId, more.Size], [3, SnapshotId, 5]);
  const record = await databases.get(must(same.VolumeId));
  assert.deepEqual(record.source, { archive: source, lsn: 77, materialise: true });
  assert.deepEqual(record.files, { sizeBytes: 3 * GIB });
  await bench.turns();
  assert.equal(await bench.state(must(more.VolumeId)), 'available');
  await bench.call('DeleteSnapshot', { SnapshotId });
  assert.equal(await bench.state(must(same.VolumeId)), 'available');
});

test('nothing is made of one that is pending', async () => {
  using bench = new Ec2Bench();
  const VolumeId = await bench.volume();
  bench.controller.snapshotsWait = true;
  const SnapshotId = await bench.snapshot(VolumeId);
  const make = () => bench.call('CreateVolume', { AvailabilityZone, SnapshotId });
  await assert.rejects(make(), { code: 'IncorrectState', message: /pending/ });
  const copy = { SourceRegion: REGION, SourceSnapshotId: SnapshotId };
  await assert.rejects(bench.call('CopySnapshot', copy), { code: 'IncorrectState' });
});

test('a copy is another one of the same point, in whichever region', async () => {
  using bench = new Ec2Bench();
  const VolumeId = await bench.volume({ Size: 2 });
  const SourceSnapshotId = await bench.snapshot(VolumeId);
  const near = await bench.call('CopySnapshot', {
    SourceRegion: REGION,
    SourceSnapshotId,
    Description: 'near',
    // As the SDK adds them.
    DestinationRegion: REGION,
    PresignedUrl: 'https://somewhere/?X-Amz-Signature=0',
    TagSpecifications: [{ ResourceType: 'snapshot', Tags: [{ Key: 'a', Value: 'b' }] }],
  });
  assert.deepEqual(near.Tags, [{ Key: 'a', Value: 'b' }]);
  const where = { region: 'eu-west-9' };
  const far = await bench.call('CopySnapshot', { SourceRegion: REGION, SourceSnapshotId }, where);
  await bench.call('DeleteSnapshot', { SnapshotId: SourceSnapshotId });
  await bench.turns();
  assert.equal(await bench.snapshotState(must(near.SnapshotId)), 'completed');
  const { Snapshots } = await bench.call('DescribeSnapshots', {}, where);
  assert.deepEqual(
    [Snapshots?.length, Snapshots?.[0].SnapshotId, Snapshots?.[0].VolumeSize, Snapshots?.[0].VolumeId],
    [1, far.SnapshotId, 2, 'vol-ffffffff'],
  );
  const made = await bench.call(
    'CreateVolume',
    { AvailabilityZone: 'eu-west-9c', SnapshotId: must(far.SnapshotId) },
    where,
  );
  await bench.turns();
  assert.equal(await bench.state(must(made.VolumeId), where), 'available');
  assert.equal((await bench.context.databases.get(must(made.VolumeId))).source?.archive, VolumeId);

  const copy = (part: object) =>
    bench.call('CopySnapshot', { SourceRegion: REGION, SourceSnapshotId: near.SnapshotId, ...part });
  await assert.rejects(copy({ SourceRegion: 'eu-west-9' }), { code: 'InvalidSnapshot.NotFound' });
  await assert.rejects(copy({ DestinationRegion: 'eu-west-9' }), { code: 'InvalidParameterValue' });
  await assert.rejects(copy({ Encrypted: true }), { code: 'UnsupportedOperation' });
  await assert.rejects(copy({ SourceRegion: undefined }), { code: 'MissingParameter' });
});

test('snapshots of all volumes of a machine are of one moment', async () => {
  using bench = new Ec2Bench();
  const volumes = await threeVolumes(bench);
  const loose = await bench.volume();
  await bench.call('CreateTags', { Resources: [volumes[0]], Tags: [{ Key: 'team', Value: 'a' }] });
  const InstanceId = await bench.instance();
  const { Snapshots = [] } = await bench.call('CreateSnapshots', {
    InstanceSpecification: { InstanceId, ExcludeBootVolume: true, ExcludeDataVolumeIds: [volumes[2]] },
    CopyTagsFromSource: 'volume',
    Description: 'both',
    TagSpecifications: [{ ResourceType: 'snapshot', Tags: [{ Key: 'n', Value: '1' }] }],
  });
  const told = new Map(Snapshots.map(({ VolumeId, State, Description }) => [VolumeId, [State, Description]]));
  const whole = ['pending', 'both'];
  assert.deepEqual(told, new Map([...told.keys()].map((id) => [id, whole])));
  assert.deepEqual(new Set(told.keys()), new Set(volumes.slice(0, 2)));
  const tagged = must(Snapshots.find(({ VolumeId }) => VolumeId === volumes[0]));
  assert.deepEqual(tagged.Tags, [
    { Key: 'team', Value: 'a' },
    { Key: 'n', Value: '1' },
  ]);
  const kept = await bench.context.snapshots.list();
  const [{ set }] = kept;
  assert.equal(set?.size, 2);
  assert.deepEqual(
    kept.map((each) => each.set),
    [set, set],
  );
  assert.ok(!kept.some(({ database }) => database === loose));
  await bench.turns();
  for (const { SnapshotId } of Snapshots)
    assert.equal(await bench.snapshotState(must(SnapshotId)), 'completed');
  const SnapshotId = must(tagged.SnapshotId);
  await bench.call('CreateVolume', { AvailabilityZone, SnapshotId });
  await bench.call('CreateTags', { Resources: [SnapshotId], Tags: [{ Key: 'late', Value: '' }] });
  const { Snapshots: later } = await bench.call('DescribeSnapshots', { SnapshotIds: [SnapshotId] });
  assert.equal(later?.[0].Tags?.length, 3);
  for (const each of Snapshots) await bench.call('DeleteSnapshot', { SnapshotId: must(each.SnapshotId) });
  await bench.turns();
  assert.deepEqual(await bench.registry.list('accounts/123456789012/eu-north-1/ec2/snapshot-sets/'), []);
  assert.deepEqual(await bench.context.snapshots.list(), []);
});

test('which snapshots of a machine there cannot be', async () => {
  using bench = new Ec2Bench();
  const InstanceId = await bench.instance();
  const make = (part: object, more: object = {}) =>
    bench.call('CreateSnapshots', { InstanceSpecification: { InstanceId, ...part }, ...more });
  await assert.rejects(make({ ExcludeBootVolume: true }), { code: 'InvalidParameterValue' });
  const VolumeId = await bench.attached();
  const joined = { InstanceId: await bench.instance('two.example') };
  await assert.rejects(make(joined), { code: 'OperationNotPermitted', message: /Say ExcludeBootVolume/ });
  await assert.rejects(make({ ExcludeBootVolume: true, ExcludeDataVolumeIds: [VolumeId] }), {
    code: 'InvalidParameterValue',
  });
  const other = await bench.volume();
  await assert.rejects(make({ ExcludeBootVolume: true, ExcludeDataVolumeIds: [other] }), {
    code: 'InvalidParameterValue',
  });
  const whole = { ExcludeBootVolume: true };
  await assert.rejects(make(whole, { CopyTagsFromSource: 'instance' }), { code: 'InvalidParameterValue' });
  await assert.rejects(make(whole, { Location: 'local' }), { code: 'UnsupportedOperation' });
  const stranger = { InstanceId: 'i-0123456789abcdef0', ...whole };
  await assert.rejects(bench.call('CreateSnapshots', { InstanceSpecification: stranger }), {
    code: 'InvalidInstanceID.NotFound',
  });
  assert.deepEqual(await bench.context.snapshots.list(), []);
});

test('one of a set that is deleted while the set is pending holds up none of the others', async () => {
  using bench = new Ec2Bench();
  const last = (await threeVolumes(bench)).sort()[2];
  bench.controller.snapshotsWait = true;
  const [first, second, third] = await setOf(bench);
  await bench.call('DeleteSnapshot', { SnapshotId: first });
  await assert.rejects(bench.snapshotState(first), { code: 'InvalidSnapshot.NotFound' });
  await assert.rejects(bench.call('DeleteSnapshot', { SnapshotId: first }), {
    code: 'InvalidSnapshot.NotFound',
  });
  // One of the others says so before the rest.
  const [{ name }] = (await bench.context.snapshots.list()).filter(({ database }) => database === last);
  await bench.context.snapshots.settle(name, { phase: 'available', lsn: asLsn(7), takenAtMs: 1 });
  await bench.turns();
  assert.equal((await bench.context.snapshots.list()).length, 3);
  bench.controller.snapshotsWait = false;
  await bench.turns();
  assert.deepEqual(
    [await bench.snapshotState(second), await bench.snapshotState(third)],
    ['completed', 'completed'],
  );
  assert.equal((await bench.context.snapshots.list()).length, 2);
});

test('of a set there is all or nothing', async () => {
  using bench = new Ec2Bench();
  const [first] = await threeVolumes(bench);
  // One of them goes after the set was decided on, and before its point could be asked for.
  const create = bench.context.registry.put.bind(bench.context.registry);
  bench.context.registry.put = async (key, value, revision) => {
    const result = await create(key, value, revision);
    if (key.includes('/snapshot-sets/')) {
      bench.context.registry.put = create;
      await bench.context.databases.setDesired(first, 'deleted');
    }
    return result;
  };
  const ids = await setOf(bench);
  assert.equal(ids.length, 3);
  await bench.turns();
  for (const id of ids) assert.equal(await bench.snapshotState(id), 'error');
  assert.deepEqual(await bench.context.snapshots.list(), []);
  for (const SnapshotId of ids) await bench.call('DeleteSnapshot', { SnapshotId });
  await bench.turns();
  assert.deepEqual(await bench.registry.list('accounts/123456789012/eu-north-1/ec2/snapshot-sets/'), []);
});

test('where nobody keeps any past none is made, of one volume or of several', async () => {
  using bench = new Ec2Bench();
  const VolumeId = await bench.attached('/dev/sdf');
  const { context, secrets } = bench;
  const snapshots = new Snapshots({ ...context, secrets, noBucket: true });
  const { call } = processOver({ ...context, snapshots });
  const refused = { code: 'UnsupportedOperation', message: /--archive s3:/ };
  await assert.rejects(call('CreateSnapshot', { VolumeId }), refused);
  const InstanceSpecification = { InstanceId: await bench.instance(), ExcludeBootVolume: true };
  await assert.rejects(call('CreateSnapshots', { InstanceSpecification }), refused);
  assert.deepEqual(await context.snapshots.list(), []);
});
