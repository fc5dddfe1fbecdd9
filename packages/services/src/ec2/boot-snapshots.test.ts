/** Snapshots of the boot volume: of a copy of the state that nobody sees, made when it is wanted. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type DatabaseRecord, Databases, type StateCopy } from '@rokka/databases';
import { must, SeededRandom } from '@rokka/kernel';
import { Ec2Bench, processOver } from '../testing/ec2-bench.ts';
import { checkNothingLeft } from '../testing/ec2-truth.ts';
import { callIn } from '../testing/service-bench.ts';
import { BootMirror, type BootMirrorRecord, decideMirror } from './boot-mirror.ts';
import { ec2Operations } from './ec2-handlers.ts';

const AvailabilityZone = 'eu-north-1a';
const LEASE_MS = 60_000;

/** The databases that are no volumes. */
const mirrors = async (bench: Ec2Bench) =>
  (await bench.context.databases.list()).filter(({ files }) => files?.stateCopy !== undefined);

const mirror = async (bench: Ec2Bench): Promise<DatabaseRecord> => must((await mirrors(bench))[0]);

test('a snapshot of the boot volume is one as others are, of a volume that no list has', async () => {
  using bench = new Ec2Bench();
  const boot = await bench.boot();
  const asked = await bench.call('CreateSnapshot', {
    VolumeId: boot,
    Description: 'state',
    TagSpecifications: [{ ResourceType: 'snapshot', Tags: [{ Key: 'a', Value: 'b' }] }],
  });
  assert.deepEqual([asked.VolumeId, asked.State, asked.VolumeSize], [boot, 'pending', 42]);
  const { files, desired, engine } = await mirror(bench);
  assert.deepEqual([engine, desired, files?.mount, files?.stateCopy], ['files', 'running', undefined, 1]);
  await bench.turns();
  const find = async (Name: string, value: string) =>
    (await bench.call('DescribeSnapshots', { Filters: [{ Name, Values: [value] }] })).Snapshots ?? [];
  const [found] = await find('volume-id', boot);
  assert.deepEqual([found.State, found.Description, found.VolumeSize], ['completed', 'state', 42]);
  assert.deepEqual(await find('tag:a', 'b'), [found]);
  assert.equal((await mirror(bench)).desired, 'stopped', 'it costs nothing while nobody wants it');

  const { Volumes = [] } = await bench.call('DescribeVolumes', {});
  assert.deepEqual(
    Volumes.map(({ VolumeId }) => VolumeId),
    [boot],
  );
  const { Reservations } = await bench.call('DescribeInstances', { InstanceIds: [await bench.instance()] });
  assert.equal(Reservations?.[0]?.Instances?.[0]?.BlockDeviceMappings?.length, 1);

  const SnapshotId = must(found.SnapshotId);
  const made = await bench.call('CreateVolume', { AvailabilityZone, SnapshotId });
  await bench.turns();
  assert.deepEqual([await bench.state(must(made.VolumeId)), made.Size], ['available', 42]);
  const { source, files: own } = await bench.context.databases.get(must(made.VolumeId));
  assert.deepEqual([source?.archive, own?.stateCopy], [(await mirror(bench)).volumeId, undefined]);
  const copied = await bench.call('CopySnapshot', {
    SourceRegion: 'eu-north-1',
    SourceSnapshotId: SnapshotId,
  });
  await bench.call('DeleteSnapshot', { SnapshotId });
  await bench.turns();
  assert.equal(await bench.snapshotState(must(copied.SnapshotId)), 'completed');
});

test('each snapshot is of a copy that is made after it was asked for, from whichever account and region', async () => {
  using bench = new Ec2Bench();
  await bench.snapshot(await bench.boot());
  await bench.turns();
  const where = { region: 'eu-west-1' };
  const other = await bench.boot(where);
  assert.notEqual(other, await bench.boot());
  await assert.rejects(bench.call('CreateSnapshot', { VolumeId: other }), { code: 'InvalidVolume.NotFound' });
  await bench.call('CreateSnapshot', { VolumeId: other }, where);
  const kept = await bench.context.snapshots.list();
  assert.deepEqual(new Set(kept.map(({ stateCopy }) => stateCopy)), new Set([1, 2]));
  assert.equal((await mirrors(bench)).length, 1);
  await bench.turns();
  const { Snapshots } = await bench.call('DescribeSnapshots', {}, where);
  assert.deepEqual([Snapshots?.[0]?.VolumeId, Snapshots?.[0]?.State], [other, 'completed']);
});

test('with the volumes of its machine it is one set', async () => {
  using bench = new Ec2Bench();
  const VolumeId = await bench.attached();
  await bench.call('CreateTags', { Resources: [VolumeId], Tags: [{ Key: 'team', Value: 'a' }] });
  const InstanceId = await bench.instance();
  const boot = await bench.boot();
  const set = async (more: object = {}) =>
    bench.call('CreateSnapshots', {
      InstanceSpecification: { InstanceId, ...more },
      CopyTagsFromSource: 'volume',
    });
  const { Snapshots = [] } = await set();
  const shown = new Map(Snapshots.map((each) => [each.VolumeId, each.Tags]));
  assert.deepEqual(
    shown,
    new Map([
      [boot, []],
      [VolumeId, [{ Key: 'team', Value: 'a' }]],
    ]),
  );
  const kept = await bench.context.snapshots.list();
  assert.deepEqual(
    kept.map((each) => each.set),
    [{ id: must(kept[0].set).id, size: 2 }, kept[0].set],
  );
  await bench.turns();
  for (const { SnapshotId } of Snapshots)
    assert.equal(await bench.snapshotState(must(SnapshotId)), 'completed');
  // The boot volume alone is a set as well.
  assert.equal((await set({ ExcludeDataVolumeIds: [VolumeId] })).Snapshots?.length, 1);
  await assert.rejects(set({ ExcludeDataVolumeIds: [VolumeId], ExcludeBootVolume: true }), {
    code: 'InvalidParameterValue',
  });
});

test('of another machine than the first there is none', async () => {
  using bench = new Ec2Bench();
  const InstanceId = await bench.instance('two.example');
  await assert.rejects(bench.call('CreateSnapshots', { InstanceSpecification: { InstanceId } }), {
    code: 'OperationNotPermitted',
    message: /first machine alone/,
  });
  // Nor where its disk is known.
  const [first, second] = await bench.context.machines();
  const machines = async () => [first, { ...second, bootBytes: 2 ** 30 }];
  const { call } = processOver({ ...bench.context, machines });
  await assert.rejects(call('CreateSnapshots', { InstanceSpecification: { InstanceId } }), {
    code: 'OperationNotPermitted',
  });
  assert.deepEqual(await mirrors(bench), []);
});

test('whoever makes one must be allowed it on the boot volume', async () => {
  using bench = new Ec2Bench();
  const call = callIn({ account: '123456789012', region: 'eu-north-1' });
  const table = ec2Operations(bench.context);
  const boot = await bench.boot();
  const InstanceId = await bench.instance();
  const VolumeId = await bench.attached();
  const arn = (kind: string, id: string) => `arn:aws:ec2:eu-north-1:123456789012:${kind}/${id}`;
  const made = 'arn:aws:ec2:eu-north-1::snapshot/*';
  const arnOf = (ask: string | { arn: string }) => (typeof ask === 'string' ? ask : ask.arn);
  const { CreateSnapshot: one, CreateSnapshots: all } = table;
  if (typeof one === 'function' || typeof all === 'function') assert.fail('they ask for resources');
  const ofOne = (await one.resources?.({ VolumeId: boot }, call)) ?? [];
  assert.deepEqual(ofOne.map(arnOf), [arn('volume', boot), made]);
  const ofAll = async (ExcludeBootVolume: boolean) => {
    const input = { InstanceSpecification: { InstanceId, ExcludeBootVolume } };
    return ((await all.resources?.(input, call)) ?? []).map(arnOf);
  };
  const data = [arn('volume', VolumeId), made];
  assert.deepEqual(await ofAll(false), [arn('instance', InstanceId), arn('volume', boot), ...data]);
  assert.deepEqual(await ofAll(true), [arn('instance', InstanceId), ...data]);
});

test('the copy stays open until its snapshots are made', async () => {
  using bench = new Ec2Bench();
  bench.controller.snapshotsWait = true;
  const waiting = await again(bench);
  assert.equal((await new BootMirror(bench.context).copy())?.version, 1);
  assert.equal((await mirror(bench)).desired, 'running');
  bench.controller.snapshotsWait = false;
  await bench.turns();
  assert.deepEqual(
    [await bench.snapshotState(waiting), (await mirror(bench)).desired],
    ['completed', 'stopped'],
  );
});

test('where the state cannot be copied the snapshot fails, its set with it, and the next one is tried', async () => {
  using bench = new Ec2Bench();
  const VolumeId = await bench.attached();
  const InstanceSpecification = { InstanceId: await bench.instance() };
  bench.controller.copiesFail = 'the disk is broken';
  const { Snapshots = [] } = await bench.call('CreateSnapshots', { InstanceSpecification });
  await bench.turns();
  for (const { SnapshotId } of Snapshots) {
    const { Snapshots: told } = await bench.call('DescribeSnapshots', { SnapshotIds: [must(SnapshotId)] });
    assert.deepEqual([told?.[0]?.State, told?.[0]?.StateMessage], ['error', 'the disk is broken']);
  }
  assert.deepEqual(await bench.context.snapshots.list(), []);
  assert.equal((await mirror(bench)).desired, 'stopped');
  assert.equal(await bench.state(VolumeId), 'in-use attached');
  bench.controller.copiesFail = undefined;
  assert.equal(await bench.snapshotState(await again(bench)), 'completed');
});

async function again(bench: Ec2Bench): Promise<string> {
  const { SnapshotId } = await bench.call('CreateSnapshot', { VolumeId: await bench.boot() });
  await bench.turns();
  return must(SnapshotId);
}

test('a copy that somebody removes is made anew, as another one, and its snapshots stay', async () => {
  using bench = new Ec2Bench();
  const first = await again(bench);
  const { name } = await mirror(bench);
  await bench.context.databases.setDesired(name, 'deleted');
  const second = await again(bench);
  assert.deepEqual(
    [await bench.snapshotState(first), await bench.snapshotState(second)],
    ['completed', 'completed'],
  );
  const other = (await mirror(bench)).name;
  assert.notEqual(other, name);
  await checkNothingLeft(bench);
  // It is gone when the next one is asked for: no volume takes its id again.
  await bench.context.databases.setDesired(other, 'deleted');
  await bench.turns();
  assert.deepEqual(await mirrors(bench), []);
  await again(bench);
  assert.ok(![name, other].includes((await mirror(bench)).name));
  // One that no record names is somebody's who has slept.
  const files = { sizeBytes: 2 ** 30, stateCopy: 0 };
  await bench.context.databases.create({ name: 'boot-0123456789abcdef', engine: 'files', files });
  await bench.turns();
  assert.equal((await mirrors(bench)).length, 1);
  assert.deepEqual(await bench.registry.get('state-copies/boot-0123456789abcdef'), undefined);
});

test('a copy that was opened later than a restored registry knows gives way to another one', async () => {
  using bench = new Ec2Bench();
  const first = await again(bench);
  const { name } = await mirror(bench);
  bench.controller.snapshotsWait = true;
  for (const [reason, gives] of [
    ['QUORUM_LOST: three nodes are away', false],
    ['VOLUME_FENCED: it was opened by another writer', true],
  ] as const) {
    bench.controller.startsFail = reason;
    const SnapshotId = await again(bench);
    bench.controller.startsFail = undefined;
    bench.controller.snapshotsWait = false;
    await bench.turns();
    assert.equal(await bench.snapshotState(SnapshotId), gives ? 'error' : 'completed');
    assert.equal((await mirrors(bench))[0]?.name === name, !gives);
  }
  assert.equal(await bench.snapshotState(await again(bench)), 'completed');
  assert.equal(await bench.snapshotState(first), 'completed');
});

test('while a copy is leased, snapshots are of it, and it is kept open', async () => {
  using bench = new Ec2Bench();
  const own = new BootMirror(bench.context);
  const version = await own.lease(LEASE_MS);
  await bench.turns();
  assert.equal((await own.copy())?.version, version);
  assert.equal((await mirror(bench)).desired, 'running');
  const wanted = async () => {
    await bench.call('CreateSnapshot', { VolumeId: await bench.boot() });
    const [last] = (await bench.context.snapshots.list()).filter(({ phase }) => phase === 'creating');
    await bench.turns(2);
    return last.stateCopy;
  };
  assert.equal(await wanted(), version);
  await own.letGo(version + 1);
  assert.equal(await wanted(), version, 'another one lets go of what is his own');
  await own.letGo(version);
  assert.equal(await wanted(), version + 1);
  // Of one who has died it is over by itself.
  const late = await own.lease(LEASE_MS);
  bench.clock.advanceTo(bench.clock.nowMs() + LEASE_MS);
  assert.equal(await wanted(), late + 1);
  await bench.turns();
  assert.equal((await mirror(bench)).desired, 'stopped');
});

test('when it runs', () => {
  const database = (stateCopy: number) => ({ files: { sizeBytes: 1, stateCopy } }) as DatabaseRecord;
  const record: BootMirrorRecord = { id: 'boot-1', made: true };
  const rows: [runs: boolean, wanted: number, copy: StateCopy, isAwaited: boolean, untilMs?: number][] = [
    [false, 1, { version: 1 }, false],
    [true, 1, { version: 1 }, true],
    [true, 2, { version: 1 }, false],
    [true, 2, { version: 1, underWay: 2 }, false],
    [false, 2, { version: 1, underWay: 2, failure: 'so' }, false],
    [true, 3, { version: 1, underWay: 2, failure: 'so' }, false],
    [true, 1, { version: 1 }, false, 11],
    [false, 1, { version: 1 }, false, 10],
  ];
  for (const [runs, wanted, copy, isAwaited, untilMs] of rows) {
    const lease = untilMs === undefined ? {} : { lease: { version: 1, untilMs } };
    const of = { record: { ...record, ...lease }, database: database(wanted), copy, isAwaited, nowMs: 10 };
    assert.equal(decideMirror(of), runs ? 'running' : 'stopped', JSON.stringify(of));
  }
});

test('where other machines may run the database there is none', async () => {
  using bench = new Ec2Bench();
  const { registry, secrets, clock } = bench;
  const random = new SeededRandom(3);
  const databases = new Databases({ registry, secrets, clock, random, moves: true });
  const { call } = processOver({ ...bench.contextOver(registry, 3), databases });
  await assert.rejects(call('CreateSnapshot', { VolumeId: await bench.boot() }), {
    code: 'UnsupportedOperation',
    message: /etcd/,
  });
  assert.deepEqual(await registry.list(''), []);
});
