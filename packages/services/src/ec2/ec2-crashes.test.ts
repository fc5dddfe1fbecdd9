/** Each operation cut short at each of its writes: see testing/cut-short.ts. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { must } from '@rokka/kernel';
import { MemoryRegistry } from '@rokka/registry';
import { cutShort as cutShortOf, type Scenario } from '../testing/cut-short.ts';
import { Ec2Bench, type Ec2Process, processOver } from '../testing/ec2-bench.ts';
import { checkNothingLeft, checkTruth } from '../testing/ec2-truth.ts';
import { atEveryCrash, Crash, FailingRegistry } from '../testing/failing-registry.ts';
import { REGION } from '../testing/service-bench.ts';
import { GIB } from './ec2-records.ts';

/** @returns at how many points it was cut short */
const cutShort = (scenario: Scenario<Ec2Bench, Ec2Process>) =>
  cutShortOf(
    {
      open: (registry) => new Ec2Bench(registry),
      processOver: (bench, registry) => processOver(bench.contextOver(registry, 99)),
      checkTruth,
      checkNothingLeft,
    },
    scenario,
  );

const AvailabilityZone = `${REGION}a`;
/** Of the first volume that the bench has made. */
async function idOfFirst(bench: Ec2Bench): Promise<string> {
  return (await bench.context.databases.list())[0].name;
}
const withVolume = (bench: Ec2Bench) => bench.volume();
const withAttached = (bench: Ec2Bench) => bench.attached();
const withSnapshot = async (bench: Ec2Bench) => bench.snapshot(await bench.volume());
async function idOfSnapshot(bench: Ec2Bench): Promise<string> {
  const { Snapshots } = await bench.call('DescribeSnapshots', {});
  return must(Snapshots?.[0]?.SnapshotId);
}
const all = async (bench: Ec2Bench) => {
  const { Volumes = [] } = await bench.call('DescribeVolumes', {});
  return Volumes.filter(({ VolumeType }) => VolumeType !== undefined);
};

test('CreateVolume', async () => {
  const crashes = await cutShort({
    operation: ({ call }) => call('CreateVolume', { AvailabilityZone, Size: 1 }),
    async after(bench) {
      const volumes = await all(bench);
      assert.ok(volumes.length === 1 || volumes.length === 2);
      for (const { State } of volumes) assert.equal(State, 'available');
    },
  });
  // The scope, the volume, its database, the wish; each before and after.
  assert.equal(crashes, 8);
});

test('CreateVolume with a token is one volume, though it was cut short and asked for again', async () => {
  const crashes = await cutShort({
    operation: ({ call }) => call('CreateVolume', { AvailabilityZone, Size: 1, ClientToken: 'mine' }),
    async after(bench) {
      assert.deepEqual(
        (await all(bench)).map(({ State }) => State),
        ['available'],
      );
    },
  });
  // Its claim to the token, and that it has it, beside.
  assert.equal(crashes, 12);
});

test('CreateVolume from a snapshot', async () => {
  const crashes = await cutShort({
    before: withSnapshot,
    operation: async ({ call }, bench) =>
      call('CreateVolume', { AvailabilityZone, SnapshotId: await idOfSnapshot(bench) }),
    async after(bench) {
      const made = (await all(bench)).filter(({ SnapshotId }) => SnapshotId !== '');
      assert.ok(made.length >= 1);
      for (const { State } of made) assert.equal(State, 'available');
    },
  });
  assert.equal(crashes, 6);
});

test('AttachVolume and DetachVolume', async () => {
  const attached = await cutShort({
    before: withVolume,
    operation: async ({ call }, bench) =>
      call('AttachVolume', {
        VolumeId: await idOfFirst(bench),
        InstanceId: await bench.instance(),
        Device: '/dev/sdf',
      }),
    again: /^VolumeInUse$/,
    after: async (bench) => assert.equal(await bench.state(await idOfFirst(bench)), 'in-use attached'),
  });
  const detached = await cutShort({
    before: withAttached,
    operation: async ({ call }, bench) => call('DetachVolume', { VolumeId: await idOfFirst(bench) }),
    again: /^IncorrectState$/,
    after: async (bench) => assert.equal(await bench.state(await idOfFirst(bench)), 'available'),
  });
  // Volume, claim, mount, wish to run; volume, wish to stand still: the rest is the keeper's.
  assert.deepEqual([attached, detached], [8, 4]);
});

test('DetachVolume by force from another machine', async () => {
  const crashes = await cutShort({
    before: async (bench) => {
      const VolumeId = await bench.volume();
      const InstanceId = await bench.instance('two.example');
      await bench.call('AttachVolume', { VolumeId, InstanceId, Device: '/dev/sdf' });
      await bench.turns();
      assert.equal(await bench.state(VolumeId), 'in-use attached');
    },
    operation: async ({ call }, bench) =>
      call('DetachVolume', { VolumeId: await idOfFirst(bench), Force: true }),
    again: /^IncorrectState$/,
    async after(bench) {
      await bench.turns();
      const id = await idOfFirst(bench);
      assert.equal(await bench.state(id), 'available');
      const { files, desired, generation } = await bench.context.databases.get(id);
      assert.deepEqual([files, desired], [{ sizeBytes: GIB }, 'stopped']);
      assert.ok(generation >= 2, 'it was opened after it was taken from there');
    },
  });
  // The volume, its place.
  assert.equal(crashes, 4);
});

test('an instance profile is associated, replaced, and none any more', async () => {
  const withProfile = (bench: Ec2Bench) => bench.profile('box');
  const withAssociation = async (bench: Ec2Bench) => bench.associate(await bench.profile('box'));
  const IamInstanceProfile = { Name: 'box' };
  const AssociationId = async (bench: Ec2Bench) => {
    const listed = await bench.call('DescribeIamInstanceProfileAssociations', {});
    return listed.IamInstanceProfileAssociations?.[0]?.AssociationId ?? 'iip-assoc-none';
  };
  const isOne = async (bench: Ec2Bench) => assert.deepEqual(await bench.associations(), ['box associated']);
  const associated = await cutShort({
    before: withProfile,
    operation: async ({ call }, bench) =>
      call('AssociateIamInstanceProfile', { InstanceId: await bench.instance(), IamInstanceProfile }),
    again: /^IncorrectState$/,
    after: isOne,
  });
  const replaced = await cutShort({
    before: withAssociation,
    operation: async ({ call }, bench) =>
      call('ReplaceIamInstanceProfileAssociation', {
        AssociationId: await AssociationId(bench),
        IamInstanceProfile,
      }),
    after: isOne,
  });
  const ended = await cutShort({
    before: withAssociation,
    operation: async ({ call }, bench) =>
      call('DisassociateIamInstanceProfile', { AssociationId: await AssociationId(bench) }),
    again: /^InvalidAssociationID.NotFound$/,
    after: async (bench) => assert.deepEqual(await bench.associations(), []),
  });
  // The scope and the association; each before and after.
  assert.deepEqual([associated, replaced, ended], [4, 2, 2]);
});

test('ModifyVolume', async () => {
  for (const before of [withVolume, withAttached]) {
    const crashes = await cutShort({
      before,
      operation: async ({ call }, bench) =>
        call('ModifyVolume', { VolumeId: await idOfFirst(bench), Size: 4, VolumeType: 'gp2' }),
      async after(bench) {
        const [{ Size, VolumeType }] = await all(bench);
        assert.deepEqual([Size, VolumeType], [4, 'gp2']);
        const [{ files }] = await bench.context.databases.list();
        assert.equal(files?.sizeBytes, 4 * GIB);
        const { VolumesModifications } = await bench.call('DescribeVolumesModifications', {});
        assert.equal(VolumesModifications?.[0].ModificationState, 'completed');
      },
    });
    assert.equal(crashes, before === withVolume ? 6 : 4);
  }
});

test('DeleteVolume', async () => {
  const crashes = await cutShort({
    before: withVolume,
    operation: async ({ call }, bench) => {
      const [volume] = await all(bench);
      if (volume) await call('DeleteVolume', { VolumeId: volume.VolumeId });
    },
    after: async (bench) => assert.deepEqual(await all(bench), []),
  });
  assert.equal(crashes, 4);
});

test('CreateSnapshot, CopySnapshot and DeleteSnapshot', async () => {
  const count = async (bench: Ec2Bench) => {
    const { Snapshots = [] } = await bench.call('DescribeSnapshots', {});
    for (const { State } of Snapshots) assert.equal(State, 'completed');
    return Snapshots.length;
  };
  const made = await cutShort({
    before: withVolume,
    operation: async ({ call }, bench) => call('CreateSnapshot', { VolumeId: await idOfFirst(bench) }),
    after: async (bench) => assert.ok([1, 2].includes(await count(bench))),
  });
  const copied = await cutShort({
    before: withSnapshot,
    operation: async ({ call }, bench) =>
      call('CopySnapshot', { SourceRegion: REGION, SourceSnapshotId: await idOfSnapshot(bench) }),
    after: async (bench) => assert.ok([2, 3].includes(await count(bench))),
  });
  const removed = await cutShort({
    before: withSnapshot,
    operation: async ({ call }, bench) => {
      const { Snapshots: [snapshot] = [] } = await bench.call('DescribeSnapshots', {});
      if (snapshot) await call('DeleteSnapshot', { SnapshotId: snapshot.SnapshotId });
    },
    after: async (bench) => assert.equal(await count(bench), 0),
  });
  // The scope was entered before; record and point, and for a copy that it counts.
  assert.deepEqual([made, copied, removed], [4, 6, 4]);
});

test('CreateSnapshots makes all of them or none', async () => {
  const crashes = await cutShort({
    async before(bench) {
      for (const device of ['/dev/sdf', '/dev/sdg', '/dev/sdh']) await bench.attached(device);
    },
    operation: async ({ call }, bench) =>
      call('CreateSnapshots', {
        InstanceSpecification: { InstanceId: await bench.instance(), ExcludeBootVolume: true },
      }),
    async after(bench) {
      const { Snapshots = [] } = await bench.call('DescribeSnapshots', {});
      assert.ok([3, 6].includes(Snapshots.length));
      for (const { State } of Snapshots) assert.equal(State, 'completed');
    },
  });
  // The set, and three points.
  assert.equal(crashes, 8);
});

test('a snapshot of the boot volume, also the first one', async () => {
  const count = async (bench: Ec2Bench) => {
    const { Snapshots = [] } = await bench.call('DescribeSnapshots', {});
    for (const { State } of Snapshots) assert.equal(State, 'completed');
    return Snapshots.length;
  };
  const operation = async ({ call }: Ec2Process, bench: Ec2Bench) =>
    call('CreateSnapshot', { VolumeId: await bench.boot() });
  const first = await cutShort({
    operation,
    after: async (bench) => assert.ok([1, 2].includes(await count(bench))),
  });
  const next = await cutShort({
    async before(bench) {
      await bench.snapshot(await bench.boot());
      // Nobody wants the copy any more: it stands still.
      await bench.turns();
    },
    operation,
    after: async (bench) => assert.ok([2, 3].includes(await count(bench))),
  });
  // Scope, snapshot, which mirror, its database, that it is there, which copy, the point; then snapshot, copy, wish to run, point.
  assert.deepEqual([first, next], [14, 8]);
});

test('CreateSnapshots with the boot volume makes all of them or none', async () => {
  const crashes = await cutShort({
    async before(bench) {
      await bench.attached('/dev/sdf');
    },
    operation: async ({ call }, bench) =>
      call('CreateSnapshots', { InstanceSpecification: { InstanceId: await bench.instance() } }),
    async after(bench) {
      const { Snapshots = [] } = await bench.call('DescribeSnapshots', {});
      assert.ok([2, 4].includes(Snapshots.length));
      for (const { State } of Snapshots) assert.equal(State, 'completed');
    },
  });
  // The set, the mirror as above, and two points.
  assert.equal(crashes, 14);
});

const withImage = async (bench: Ec2Bench) => {
  const SnapshotId = await withSnapshot(bench);
  const BlockDeviceMappings = [{ DeviceName: '/dev/xvda', Ebs: { SnapshotId } }];
  await bench.call('RegisterImage', { Name: 'one', RootDeviceName: '/dev/xvda', BlockDeviceMappings });
};
const images = async (bench: Ec2Bench) =>
  (await bench.call('DescribeImages', {})).Images?.map(({ Name, State }) => `${Name} ${State}`);

test('CreateImage makes the image and all of its snapshots, or nothing', async () => {
  const crashes = await cutShort({
    async before(bench) {
      await bench.attached('/dev/sdf');
    },
    operation: async ({ call }, bench) =>
      call('CreateImage', { InstanceId: await bench.instance(), Name: 'one' }),
    again: /^InvalidAMIName.Duplicate$/,
    async after(bench) {
      assert.deepEqual(await images(bench), ['one available']);
      const { Snapshots = [] } = await bench.call('DescribeSnapshots', {});
      assert.deepEqual(
        Snapshots.map(({ State }) => State),
        ['completed', 'completed'],
      );
    },
  });
  // The set with the image, the claim to the name, that it has it, the mirror as above, and two points.
  assert.equal(crashes, 18);
});

test('RegisterImage and DeregisterImage', async () => {
  const made = await cutShort({
    before: withSnapshot,
    operation: async ({ call }, bench) =>
      call('RegisterImage', {
        Name: 'one',
        RootDeviceName: '/dev/xvda',
        BlockDeviceMappings: [{ DeviceName: '/dev/xvda', Ebs: { SnapshotId: await idOfSnapshot(bench) } }],
      }),
    again: /^InvalidAMIName.Duplicate$/,
    after: async (bench) => assert.deepEqual(await images(bench), ['one available']),
  });
  const removed = await cutShort({
    before: withImage,
    operation: async ({ call }, bench) => {
      const { Images: [image] = [] } = await bench.call('DescribeImages', {});
      if (image) await call('DeregisterImage', { ImageId: image.ImageId });
    },
    async after(bench) {
      assert.deepEqual(await images(bench), []);
      // Its name and its snapshot are free.
      await bench.call('DeleteSnapshot', { SnapshotId: await idOfSnapshot(bench) });
    },
  });
  // Image, its snapshot, claim, that it has it; image, claim.
  assert.deepEqual([made, removed], [8, 4]);
});

test('CreateTags and DeleteTags', async () => {
  const crashes = await cutShort({
    before: withImage,
    async operation({ call }, bench) {
      const { Images = [] } = await bench.call('DescribeImages', {});
      const Resources = [
        await idOfFirst(bench),
        await idOfSnapshot(bench),
        await bench.instance(),
        must(Images[0].ImageId),
      ];
      await call('CreateTags', { Resources, Tags: [{ Key: 'a' }, { Key: 'b' }] });
      await call('DeleteTags', { Resources, Tags: [{ Key: 'a' }] });
    },
    async after(bench) {
      const { Tags = [] } = await bench.call('DescribeTags', {});
      assert.deepEqual(
        Tags.map(({ ResourceType, Key }) => [ResourceType, Key]),
        [
          ['image', 'b'],
          ['instance', 'b'],
          ['snapshot', 'b'],
          ['volume', 'b'],
        ],
      );
    },
  });
  assert.equal(crashes, 16);
});

test('the keeper itself, cut short at each of its writes', async () => {
  const crashes = await atEveryCrash(async (at) => {
    const registry = new MemoryRegistry();
    using bench = new Ec2Bench(registry);
    const going = await bench.attached('/dev/sdf');
    const staying = await bench.attached('/dev/sdg');
    const InstanceSpecification = { InstanceId: await bench.instance(), ExcludeBootVolume: true };
    const { Snapshots = [] } = await bench.call('CreateSnapshots', { InstanceSpecification });
    await bench.call('DeleteSnapshot', { SnapshotId: must(Snapshots[0].SnapshotId) });
    await bench.call('DetachVolume', { VolumeId: going });
    const failing = new FailingRegistry(registry.another(), at);
    const { keeper, call } = processOver(bench.contextOver(failing, 99));
    const crash = (error: unknown) => assert.ok(error instanceof Crash, String(error));
    for (let turn = 0; turn < 6 && !failing.crashed; turn++) {
      await bench.controller.step();
      await keeper.step().catch(crash);
    }
    await bench.turns(8);
    assert.equal(await bench.state(going), 'available');
    await (failing.crashed ? bench.process.call : call)('DeleteVolume', { VolumeId: going }).catch(crash);
    await bench.turns(8);
    if (!(await all(bench)).some(({ VolumeId }) => VolumeId === going))
      assert.equal((await all(bench)).length, 1);
    assert.equal(await bench.state(staying), 'in-use attached');
    assert.equal(await bench.snapshotState(must(Snapshots[1].SnapshotId)), 'completed');
    await checkTruth(bench);
    await checkNothingLeft(bench);
    return failing.crashed;
  });
  assert.ok(crashes >= 14, String(crashes));
});

test('a handler that wakes up when everything is over leaves nothing', async () => {
  const registry = new MemoryRegistry();
  using bench = new Ec2Bench(registry);
  // It has written the volume, and sleeps before the database is made.
  const sleepy = registry.another();
  const put = sleepy.put.bind(sleepy);
  sleepy.put = async (key, value, revision) => {
    if (key.startsWith('databases/')) {
      await bench.turns();
      await bench.call('DeleteVolume', { VolumeId: await idOfFirst(bench) });
      await bench.turns(8);
      assert.deepEqual(await all(bench), []);
    }
    return put(key, value, revision);
  };
  const slow = processOver(bench.contextOver(sleepy, 99));
  await assert.rejects(slow.call('CreateVolume', { AvailabilityZone, Size: 1 }), {
    code: 'InvalidVolume.NotFound',
  });
  assert.equal((await bench.context.databases.list()).length, 1);
  await bench.turns(4);
  assert.deepEqual(await bench.context.databases.list(), []);
});
