/**
 * Random histories: operations of some processes at the same time over a slow registry, processes that die, and a controller and
 * keepers in between. Whatever comes out, every refusal is one that a client knows; and when it is quiet, every state has settled,
 * nothing is left over, and there is nothing more to do.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { AwsError } from '@rokka/gateway';
import { SeededRandom } from '@rokka/kernel';
import { MemoryRegistry } from '@rokka/registry';
import { Ec2Bench, type Ec2Process, processOver } from '../testing/ec2-bench.ts';
import { checkNothingLeft, checkTruth } from '../testing/ec2-truth.ts';
import { Crash, FailingRegistry } from '../testing/failing-registry.ts';
import { REGION } from '../testing/service-bench.ts';
import { slowRegistry } from '../testing/slow-registry.ts';

const HISTORIES = Number(process.env['ROKKA_RUNS'] ?? 30);
const timeout = 600_000;
const AvailabilityZone = `${REGION}a`;

const IamInstanceProfile = { Name: 'box' };

/** What there may be to name. */
interface Names {
  readonly v: string;
  readonly s: string;
  readonly Device: string;
  readonly InstanceId: string;
  readonly ClientToken: string;
  readonly AssociationId: string;
  readonly boot: string;
  readonly image: string;
  readonly Name: string;
}
type Act = (process: Ec2Process, names: Names) => Promise<unknown>;

const ACTS: readonly Act[] = [
  ({ call }) => call('CreateVolume', { AvailabilityZone, Size: 1 }),
  ({ call }, { ClientToken }) => call('CreateVolume', { AvailabilityZone, Size: 1, ClientToken }),
  ({ call }, { s }) => call('CreateVolume', { AvailabilityZone, SnapshotId: s }),
  ({ call }, { v, Device, InstanceId }) => call('AttachVolume', { VolumeId: v, Device, InstanceId }),
  ({ call }, { v, Device, InstanceId }) => call('AttachVolume', { VolumeId: v, Device, InstanceId }),
  ({ call }, { v, Device, InstanceId }) => call('AttachVolume', { VolumeId: v, Device, InstanceId }),
  ({ call }, { v }) => call('DetachVolume', { VolumeId: v }),
  ({ call }, { v }) => call('DetachVolume', { VolumeId: v }),
  ({ call }, { v }) => call('DetachVolume', { VolumeId: v }),
  ({ call }, { v }) => call('ModifyVolume', { VolumeId: v, Size: 4 }),
  ({ call }, { v }) => call('ModifyVolume', { VolumeId: v, VolumeType: 'gp2' }),
  ({ call }, { v }) => call('DeleteVolume', { VolumeId: v }),
  ({ call }, { v }) => call('DeleteVolume', { VolumeId: v }),
  ({ call }, { v }) => call('CreateSnapshot', { VolumeId: v }),
  ({ call }, { InstanceId }) =>
    call('CreateSnapshots', { InstanceSpecification: { InstanceId, ExcludeBootVolume: true } }),
  ({ call }, { InstanceId }) => call('CreateSnapshots', { InstanceSpecification: { InstanceId } }),
  ({ call }, { boot }) => call('CreateSnapshot', { VolumeId: boot }),
  ({ call }, { s }) => call('CopySnapshot', { SourceRegion: REGION, SourceSnapshotId: s }),
  ({ call }, { s }) => call('DeleteSnapshot', { SnapshotId: s }),
  ({ call }, { InstanceId }) => call('AssociateIamInstanceProfile', { InstanceId, IamInstanceProfile }),
  ({ call }, { AssociationId }) =>
    call('ReplaceIamInstanceProfileAssociation', { AssociationId, IamInstanceProfile }),
  ({ call }, { AssociationId }) => call('DisassociateIamInstanceProfile', { AssociationId }),
  ({ call }, { InstanceId, Name }) => call('CreateImage', { InstanceId, Name }),
  ({ call }, { s, Name }) =>
    call('RegisterImage', {
      Name,
      RootDeviceName: '/dev/xvda',
      BlockDeviceMappings: [{ DeviceName: '/dev/xvda', Ebs: { SnapshotId: s } }],
    }),
  ({ call }, { image }) => call('DeregisterImage', { ImageId: image }),
  ({ call }, { image }) => call('DeregisterImage', { ImageId: image }),
  ({ call }, { v, s }) => call('CreateTags', { Resources: [v, s], Tags: [{ Key: 'a', Value: v }] }),
];

/** What a client may be told; and the death of a process. */
const isTold = (error: unknown) => error instanceof Crash || error instanceof AwsError;

async function play(seed: number): Promise<void> {
  const random = new SeededRandom(seed);
  const registry = new MemoryRegistry();
  using bench = new Ec2Bench(registry);
  // Something to begin with: on an empty cluster most operations find nothing.
  await bench.snapshot(await bench.attached());
  await bench.volume();
  await bench.associate(await bench.profile('box'));
  for (let round = 0; round < 14; round++) {
    const names = await namesIn(bench);
    // Some of them about the same things.
    const [v, s] = [random.pick(names.volumes), random.pick(names.snapshots)];
    const acts = Array.from({ length: 2 + random.below(4) }, async (_, index) => {
      const death = { write: random.below(16), when: random.chance(0.5) ? 'before' : 'after' } as const;
      const own = slowRegistry(new FailingRegistry(registry.another(), death), random);
      const process = processOver(bench.contextOver(own, seed * 1000 + round * 10 + index));
      const chosen = {
        v: random.chance(0.4) ? v : random.pick(names.volumes),
        s: random.chance(0.4) ? s : random.pick(names.snapshots),
        Device: random.chance(0.7) ? '/dev/sdf' : '/dev/sdg',
        InstanceId: names.InstanceId,
        AssociationId: names.AssociationId,
        boot: names.boot,
        image: random.pick(names.images),
        Name: random.pick(['one', 'two']),
        ClientToken: random.pick(['x', 'y']),
      };
      try {
        if (random.chance(0.2)) await process.keeper.step();
        else await random.pick(ACTS)(process, chosen);
      } catch (error) {
        if (!isTold(error)) throw error;
      }
    });
    bench.controller.snapshotsWait = random.chance(0.3);
    bench.controller.copiesFail = random.chance(0.1) ? 'it is so' : undefined;
    if (random.chance(0.05)) await removeMirror(bench);
    await Promise.all([...acts, bench.controller.step()]);
    await checkTruth(bench);
    if (random.chance(0.5)) await bench.turns(1);
  }
  bench.controller.snapshotsWait = false;
  bench.controller.copiesFail = undefined;
  await bench.turns(20);
  await checkQuiet(bench, registry);
}

/** As a person may: it is listed with the databases. */
async function removeMirror({ context: { databases } }: Ec2Bench): Promise<void> {
  const mirror = (await databases.list()).find(({ files }) => files?.stateCopy !== undefined);
  if (mirror) await databases.setDesired(mirror.name, 'deleted');
}

async function namesIn(bench: Ec2Bench) {
  const { Volumes = [] } = await bench.call('DescribeVolumes', {
    Filters: [{ Name: 'volume-type', Values: ['*'] }],
  });
  const { Snapshots = [] } = await bench.call('DescribeSnapshots', {});
  const { Images = [] } = await bench.call('DescribeImages', {});
  const { IamInstanceProfileAssociations: all = [] } = await bench.call(
    'DescribeIamInstanceProfileAssociations',
    {},
  );
  const or = (ids: (string | undefined)[], none: string) =>
    ids.length === 0 ? [none] : ids.flatMap((id) => id ?? []);
  return {
    volumes: or(
      Volumes.map(({ VolumeId }) => VolumeId),
      'vol-0123456789abcdef0',
    ),
    snapshots: or(
      Snapshots.map(({ SnapshotId }) => SnapshotId),
      'snap-0123456789abcdef0',
    ),
    images: or(
      Images.map(({ ImageId }) => ImageId),
      'ami-0123456789abcdef0',
    ),
    InstanceId: await bench.instance(),
    boot: await bench.boot(),
    AssociationId: all[0]?.AssociationId ?? 'iip-assoc-0123456789abcdef0',
  };
}

async function checkQuiet(bench: Ec2Bench, registry: MemoryRegistry): Promise<void> {
  const settled = await registry.list('');
  await bench.process.keeper.step();
  assert.deepEqual(await registry.list(''), settled, 'there is nothing more to do');
  await checkTruth(bench);
  await checkNothingLeft(bench);
  for (const { VolumeId, State, Attachments = [] } of (await bench.call('DescribeVolumes', {})).Volumes ??
    []) {
    const told = [State, ...Attachments.map((each) => each.State)].join(' ');
    assert.ok(['available', 'in-use attached'].includes(told), `${VolumeId} is ${told}`);
  }
  for (const { SnapshotId, State } of (await bench.call('DescribeSnapshots', {})).Snapshots ?? [])
    assert.ok(State === 'completed' || State === 'error', `${SnapshotId} is ${State}`);
  for (const { Name, State } of (await bench.call('DescribeImages', {})).Images ?? [])
    assert.ok(State === 'available' || State === 'failed', `${Name} is ${State}`);
  const { VolumesModifications = [] } = await bench.call('DescribeVolumesModifications', {});
  for (const { ModificationState } of VolumesModifications) assert.equal(ModificationState, 'completed');
}

test('random histories come to rest', { timeout }, async () => {
  await fc.assert(fc.asyncProperty(fc.integer({ min: 1, max: 1_000_000 }), play), {
    numRuns: HISTORIES,
    seed: Number(process.env['ROKKA_SEED'] ?? 1),
  });
});
