/** Images: which snapshots belong together and where, under a name that no other one has. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Image } from '@aws-sdk/client-ec2';
import { must } from '@rokka/kernel';
import { MemoryRegistry } from '@rokka/registry';
import { Ec2Bench, processOver } from '../testing/ec2-bench.ts';
import { checkNothingLeft, checkTruth } from '../testing/ec2-truth.ts';
import { imageNameKey } from './claims.ts';
import { imageNamed } from './image-names.ts';
import { ACCOUNT, REGION } from '../testing/service-bench.ts';

const scope = { account: ACCOUNT, region: REGION };
const BOOT = '/dev/xvda';

class Bench extends Ec2Bench {
  async create(Name: string, more: object = {}): Promise<string> {
    const InstanceId = await this.instance();
    const { ImageId } = await this.call('CreateImage', { InstanceId, Name, ...more });
    return must(ImageId);
  }

  /** Of one snapshot, as its root. */
  async register(Name: string, SnapshotId: string, more: object = {}): Promise<string> {
    const BlockDeviceMappings = [{ DeviceName: BOOT, Ebs: { SnapshotId } }];
    const input = { Name, RootDeviceName: BOOT, BlockDeviceMappings, ...more };
    return must((await this.call('RegisterImage', input)).ImageId);
  }

  async image(id: string) {
    const { Images } = await this.call('DescribeImages', { ImageIds: [id] });
    return must(Images?.[0]);
  }

  async states(): Promise<string[]> {
    const { Images = [] } = await this.call('DescribeImages', {});
    return Images.map(({ Name, State }) => `${Name} ${State}`).sort();
  }

  async shown(): Promise<number> {
    return (await this.call('DescribeSnapshots', {})).Snapshots?.length ?? 0;
  }
}

const ofImage = ({ BlockDeviceMappings: mappings = [] }: Image) =>
  mappings.map(({ Ebs }) => must(Ebs?.SnapshotId));

test('an image of an instance is one set of all its volumes, pending until all are copied', async () => {
  using bench = new Bench();
  const volumes = [await bench.attached('/dev/sdf'), await bench.attached('/dev/sdg')];
  const tagged = (ResourceType: 'image' | 'snapshot', Key: string) => ({
    ResourceType,
    Tags: [{ Key, Value: 'v' }],
  });
  const id = await bench.create('first', {
    Description: 'of the night',
    TagSpecifications: [tagged('image', 'i'), tagged('snapshot', 's')],
    NoReboot: true,
  });
  assert.match(id, /^ami-[0-9a-f]{17}$/);
  assert.equal((await bench.image(id)).State, 'pending');
  await bench.turns();
  const image = await bench.image(id);
  assert.deepEqual(
    [image.State, image.Name, image.Description, image.RootDeviceName, image.Public, image.ImageLocation],
    ['available', 'first', 'of the night', BOOT, false, `${ACCOUNT}/first`],
  );
  assert.deepEqual(
    [image.SourceInstanceId, image.Tags],
    [await bench.instance(), [{ Key: 'i', Value: 'v' }]],
  );
  const { Snapshots = [] } = await bench.call('DescribeSnapshots', { SnapshotIds: ofImage(image) });
  const showing = new Map(Snapshots.map(({ SnapshotId, VolumeId }) => [SnapshotId, VolumeId]));
  assert.deepEqual(
    image.BlockDeviceMappings?.map(({ DeviceName, Ebs }) => [
      DeviceName,
      showing.get(must(Ebs).SnapshotId),
    ]).sort(),
    [
      ['/dev/sdf', volumes[0]],
      ['/dev/sdg', volumes[1]],
      [BOOT, await bench.boot()],
    ],
  );
  for (const { Tags } of Snapshots) assert.deepEqual(Tags, [{ Key: 's', Value: 'v' }]);
  const cuts = (await bench.context.snapshots.list()).map(({ set }) => set?.id);
  assert.deepEqual([new Set(cuts).size, cuts.length], [1, 3], 'all are of one set');
  await checkTruth(bench);
  await checkNothingLeft(bench);
});

test('an image is made of snapshots that are completed, each at its device', async () => {
  using bench = new Bench();
  const [one, two] = [await bench.volume(), await bench.volume()];
  const [root, data] = [await bench.snapshot(one), await bench.snapshot(two)];
  const mapping = (DeviceName: string, SnapshotId: string, more: object = {}) => ({
    DeviceName,
    Ebs: { SnapshotId, ...more },
  });
  const id = await bench.register('of two', root, {
    BlockDeviceMappings: [mapping(BOOT, root), mapping('/dev/sdf', data, { DeleteOnTermination: false })],
    Architecture: 'x86_64',
    VirtualizationType: 'hvm',
  });
  const image = await bench.image(id);
  assert.deepEqual(
    [image.State, image.Architecture, image.SourceInstanceId],
    ['available', 'x86_64', undefined],
  );
  assert.deepEqual(
    image.BlockDeviceMappings?.map(({ DeviceName, Ebs }) => [
      DeviceName,
      Ebs?.SnapshotId,
      Ebs?.DeleteOnTermination,
    ]),
    [
      [BOOT, root, true],
      ['/dev/sdf', data, false],
    ],
  );
  const { SnapshotId: pending = '' } = await bench.call('CreateSnapshot', { VolumeId: one });
  const rows: [object, string][] = [
    [{ RootDeviceName: undefined }, 'MissingParameter'],
    [{ RootDeviceName: '/dev/sdf' }, 'InvalidBlockDeviceMapping'],
    [{ BlockDeviceMappings: [] }, 'MissingParameter'],
    [{ BlockDeviceMappings: [mapping(BOOT, root), mapping(BOOT, data)] }, 'InvalidBlockDeviceMapping'],
    [{ BlockDeviceMappings: [{ DeviceName: BOOT, VirtualName: 'ephemeral0' }] }, 'UnsupportedOperation'],
    [{ BlockDeviceMappings: [{ DeviceName: BOOT }] }, 'InvalidBlockDeviceMapping'],
    [{ BlockDeviceMappings: [mapping(BOOT, root, { VolumeSize: 2 })] }, 'UnsupportedOperation'],
    [{ BlockDeviceMappings: [mapping(BOOT, root, { Encrypted: true })] }, 'UnsupportedOperation'],
    [{ BlockDeviceMappings: [mapping('/dev/nvme0', root)] }, 'InvalidParameterValue'],
    [{ BlockDeviceMappings: [mapping(BOOT, 'snap-0123456789abcdef0')] }, 'InvalidSnapshot.NotFound'],
    [{ BlockDeviceMappings: [mapping(BOOT, pending)] }, 'IncorrectState'],
    [{ EnaSupport: true }, 'UnsupportedOperation'],
    [{ VirtualizationType: 'paravirtual' }, 'UnsupportedOperation'],
    [{ Architecture: 'vax' }, 'InvalidParameterValue'],
    [{ TagSpecifications: [{ ResourceType: 'snapshot', Tags: [] }] }, 'InvalidParameterValue'],
  ];
  for (const [more, name] of rows)
    await assert.rejects(bench.register('not made', root, more), { name }, JSON.stringify(more));
  assert.deepEqual(await bench.states(), ['of two available']);
});

test('what CreateImage cannot do is refused', async () => {
  using bench = new Bench();
  await bench.attached();
  const rows: [object, string][] = [
    [{ NoReboot: false }, 'UnsupportedOperation'],
    [{ BlockDeviceMappings: [{ DeviceName: '/dev/sdf', NoDevice: '' }] }, 'UnsupportedOperation'],
    [{ SnapshotLocation: 'local' }, 'UnsupportedOperation'],
    [{ InstanceId: 'i-0123456789abcdef0' }, 'InvalidInstanceID.NotFound'],
    [{ InstanceId: await bench.instance('two.example') }, 'OperationNotPermitted'],
    [{ TagSpecifications: [{ ResourceType: 'volume', Tags: [] }] }, 'InvalidParameterValue'],
  ];
  for (const [more, name] of rows)
    await assert.rejects(bench.create('not made', more), { name }, JSON.stringify(more));
  assert.deepEqual([await bench.states(), await bench.shown()], [[], 0]);
});

test('names are as AWS has them, and of one image each', async () => {
  using bench = new Bench();
  const snapshot = await bench.snapshot(await bench.volume());
  for (const name of ['ab', 'a'.repeat(129), 'a*b', 'a,b', 'ü'.repeat(3), 'a\nb'])
    await assert.rejects(bench.register(name, snapshot), { name: 'InvalidAMIName.Malformed' }, name);
  await assert.rejects(bench.register('', snapshot), { name: 'MissingParameter' });
  const names = ['abc', 'a'.repeat(128), "(a) [b] ./-'@_", 'ABC'];
  for (const name of names) await bench.register(name, snapshot);
  const { id: first, ...more } = must(await imageNamed(bench.context, { scope, name: 'abc' }));
  assert.deepEqual(
    [more.counts, more.tags, more.devices.map((each) => [each.device, each.snapshot])],
    [true, [], [[BOOT, snapshot]]],
  );
  const taken = {
    name: 'InvalidAMIName.Duplicate',
    message: `AMI name abc is already in use by AMI ${first}`,
  };
  await assert.rejects(bench.register('abc', snapshot), taken);
  await assert.rejects(bench.create('abc'), taken);
  assert.deepEqual([await bench.shown(), (await bench.states()).length], [1, names.length]);
  assert.equal((await bench.image(first)).Name, 'abc');
  await bench.call('DeregisterImage', { ImageId: first });
  assert.equal(await imageNamed(bench.context, { scope, name: 'abc' }), undefined);
  assert.notEqual(await bench.register('abc', snapshot), first);
  // Another region has names of its own.
  const where = { region: 'eu-west-1' };
  const VolumeId = await bench.volume({}, where);
  const there = await bench.call('CreateSnapshot', { VolumeId }, where);
  await bench.turns();
  const BlockDeviceMappings = [{ DeviceName: BOOT, Ebs: { SnapshotId: there.SnapshotId } }];
  await bench.call('RegisterImage', { Name: 'abc', RootDeviceName: BOOT, BlockDeviceMappings }, where);
});

test('of two that want a name at one moment one gets it, and the other leaves nothing', async () => {
  for (const isOfInstance of [false, true]) {
    const registry = new MemoryRegistry();
    using bench = new Bench(registry);
    const snapshot = await bench.snapshot(await bench.volume());
    // The other one has its record, and sleeps before it has the name.
    const sleepy = registry.another();
    const put = sleepy.put.bind(sleepy);
    let first = '';
    sleepy.put = async (key, value, revision) => {
      if (key === imageNameKey(scope, 'mine') && first === '') {
        first = 'soon';
        assert.deepEqual([await bench.states(), await bench.shown()], [[], 1], 'nobody sees it yet');
        first = await bench.register('mine', snapshot);
      }
      return put(key, value, revision);
    };
    const slow = processOver(bench.contextOver(sleepy, 99));
    const BlockDeviceMappings = [{ DeviceName: BOOT, Ebs: { SnapshotId: snapshot } }];
    const made = isOfInstance
      ? slow.call('CreateImage', { InstanceId: await bench.instance(), Name: 'mine' })
      : slow.call('RegisterImage', { Name: 'mine', RootDeviceName: BOOT, BlockDeviceMappings });
    await assert.rejects(made, { name: 'InvalidAMIName.Duplicate' });
    await bench.turns();
    assert.deepEqual([await bench.states(), await bench.shown()], [['mine available'], 1]);
    assert.equal((await imageNamed(bench.context, { scope, name: 'mine' }))?.id, first);
    await checkTruth(bench);
    await checkNothingLeft(bench);
  }
});

test('a snapshot that an image names stays until that is deregistered', async () => {
  using bench = new Bench();
  await bench.attached();
  const created = await bench.create('of an instance');
  const inUse = { name: 'InvalidSnapshot.InUse', message: new RegExp(`currently in use by ${created}`) };
  const snapshots = ofImage(await bench.image(created));
  // Also while it is pending.
  for (const SnapshotId of snapshots)
    await assert.rejects(bench.call('DeleteSnapshot', { SnapshotId }), inUse);
  await bench.turns();
  const other = await bench.register('of a snapshot', snapshots[1]);
  await bench.call('DeregisterImage', { ImageId: created });
  await assert.rejects(bench.call('DescribeImages', { ImageIds: [created] }), {
    name: 'InvalidAMIID.NotFound',
  });
  await assert.rejects(bench.call('DeregisterImage', { ImageId: created }), {
    name: 'InvalidAMIID.NotFound',
  });
  await assert.rejects(bench.call('DeregisterImage', { ImageId: other, DeleteAssociatedSnapshots: true }), {
    name: 'UnsupportedOperation',
  });
  assert.equal(await bench.shown(), 2, 'snapshots stay');
  await bench.call('DeleteSnapshot', { SnapshotId: snapshots[0] });
  await assert.rejects(bench.call('DeleteSnapshot', { SnapshotId: snapshots[1] }), {
    name: 'InvalidSnapshot.InUse',
  });
  await bench.call('DeregisterImage', { ImageId: other });
  await bench.call('DeleteSnapshot', { SnapshotId: snapshots[1] });
  assert.equal(await bench.shown(), 0);
  await bench.turns();
  await checkNothingLeft(bench);
});

test('an image whose snapshots fail has failed, and says why', async () => {
  using bench = new Bench();
  await bench.attached();
  bench.controller.copiesFail = 'the disk is broken';
  const id = await bench.create('lost');
  assert.equal((await bench.image(id)).State, 'pending');
  await bench.turns(8);
  const { State, StateReason, BlockDeviceMappings } = await bench.image(id);
  assert.equal(State, 'failed');
  assert.match(StateReason?.Message ?? '', /snap-[0-9a-f]+ has failed/);
  assert.equal(BlockDeviceMappings?.length, 2);
  await bench.call('DeregisterImage', { ImageId: id });
  assert.deepEqual(await bench.states(), []);
});

/** A registry that does something else before one of its writes. */
function sleepyOver(registry: MemoryRegistry, before: (key: string) => Promise<unknown>): MemoryRegistry {
  const sleepy = registry.another();
  const [put, remove] = [sleepy.put.bind(sleepy), sleepy.remove.bind(sleepy)];
  sleepy.put = async (key, value, revision) => {
    await before(key);
    return put(key, value, revision);
  };
  sleepy.remove = async (key, revision) => {
    await before(key);
    return remove(key, revision);
  };
  return sleepy;
}

test('of an image and a deletion of its snapshot at one moment one is refused, whoever sleeps where', async () => {
  const outcomes = new Set<string>();
  for (const isOfSet of [false, true])
    for (const first of ['RegisterImage', 'DeleteSnapshot'] as const)
      for (let at = 0; at < 8; at++) {
        const registry = new MemoryRegistry();
        using bench = new Bench(registry);
        const volume = await bench.attached();
        const SnapshotId = isOfSet ? ofImage(await setImage(bench))[1] : await bench.snapshot(volume);
        const register = {
          Name: 'late',
          RootDeviceName: BOOT,
          BlockDeviceMappings: [{ DeviceName: BOOT, Ebs: { SnapshotId } }],
        };
        const ended = (work: Promise<unknown>) =>
          work.then(
            () => 'done',
            ({ name }: Error) => name,
          );
        const fast = () =>
          ended(
            first === 'RegisterImage'
              ? bench.call('DeleteSnapshot', { SnapshotId })
              : bench.call('RegisterImage', register),
          );
        let writes = 0;
        let second: string | undefined;
        const sleepy = sleepyOver(registry, async () => {
          if (writes++ === at) second = await fast();
        });
        const slow = processOver(bench.contextOver(sleepy, 99));
        const own = await ended(
          first === 'RegisterImage'
            ? slow.call('RegisterImage', register)
            : slow.call('DeleteSnapshot', { SnapshotId }),
        );
        if (second === undefined) break;
        await bench.turns();
        const [registered, deleted] = first === 'RegisterImage' ? [own, second] : [second, own];
        outcomes.add(`${registered} ${deleted}`);
        assert.notDeepEqual([registered, deleted], ['done', 'done'], `${first} sleeps before write ${at}`);
        assert.deepEqual(await bench.states(), registered === 'done' ? ['late available'] : []);
        await checkTruth(bench);
        await checkNothingLeft(bench);
      }
  assert.deepEqual([...outcomes].sort(), ['InvalidSnapshot.NotFound done', 'done InvalidSnapshot.InUse']);
});

/** One of a set that was deregistered, so that its snapshots are free. */
async function setImage(bench: Bench): Promise<Image> {
  const ImageId = await bench.create('of a set');
  await bench.turns();
  const image = await bench.image(ImageId);
  await bench.call('DeregisterImage', { ImageId });
  return image;
}

test('tags of images, filters and pages', async () => {
  using bench = new Bench();
  const snapshot = await bench.snapshot(await bench.volume());
  const ids: string[] = [];
  for (let at = 0; at < 6; at++)
    ids.push(await bench.register(`image ${at}`, snapshot, { Description: at % 2 === 0 ? 'even' : 'odd' }));
  const Resources = [ids[2], ids[3]];
  await bench.call('CreateTags', { Resources, Tags: [{ Key: 'team', Value: 'a' }, { Key: 'gone' }] });
  await bench.call('DeleteTags', { Resources, Tags: [{ Key: 'gone' }] });
  const { Tags = [] } = await bench.call('DescribeTags', {
    Filters: [{ Name: 'resource-type', Values: ['image'] }],
  });
  assert.deepEqual(
    Tags.map(({ ResourceId, Key, Value }) => [ResourceId, Key, Value]),
    [...Resources].sort().map((id) => [id, 'team', 'a']),
  );
  const find = async (Name: string, ...Values: string[]) => {
    const { Images = [] } = await bench.call('DescribeImages', { Filters: [{ Name, Values }] });
    return Images.map(({ ImageId = '' }) => ids.indexOf(ImageId)).sort((a, b) => a - b);
  };
  assert.deepEqual(await find('name', 'image 1', '*5'), [1, 5]);
  assert.deepEqual(await find('tag:team', 'a'), [2, 3]);
  assert.deepEqual(await find('tag-key', 'gone'), []);
  assert.deepEqual(await find('image-id', ids[4]), [4]);
  assert.deepEqual(await find('state', 'available'), [0, 1, 2, 3, 4, 5]);
  assert.deepEqual(await find('state', 'pending'), []);
  assert.deepEqual(await find('description', 'odd'), [1, 3, 5]);
  assert.deepEqual(await find('block-device-mapping.snapshot-id', snapshot), [0, 1, 2, 3, 4, 5]);
  assert.deepEqual(await find('virtualization-type', 'hvm'), []);
  await assert.rejects(find('colour', 'red'), { name: 'InvalidParameterValue' });
  const count = async (input: object) => (await bench.call('DescribeImages', input)).Images?.length;
  assert.deepEqual(
    await Promise.all([
      count({ Owners: ['self'] }),
      count({ Owners: [ACCOUNT] }),
      count({ Owners: ['amazon'] }),
      count({ Owners: ['amazon', 'self'] }),
      count({ ExecutableUsers: ['all'] }),
      count({ IncludeDeprecated: true, IncludeDisabled: true }),
    ]),
    [6, 6, 0, 6, 0, 6],
  );
  const page = await bench.call('DescribeImages', { MaxResults: 5 });
  const rest = await bench.call('DescribeImages', { MaxResults: 5, NextToken: page.NextToken });
  assert.deepEqual(
    [...(page.Images ?? []), ...(rest.Images ?? [])].map(({ ImageId }) => ImageId),
    [...ids].sort(),
  );
  assert.equal(rest.NextToken, undefined);
  await assert.rejects(bench.call('DescribeImages', { ImageIds: ['ami-xyz'] }), {
    name: 'InvalidAMIID.Malformed',
  });
});
