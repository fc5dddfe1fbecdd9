/** What is so whatever has happened: of answers, and of what is left when it is quiet. */
import assert from 'node:assert/strict';
import { must } from '@rokka/kernel';
import { BOOT_MIRROR, type BootMirrorRecord } from '../ec2/boot-mirror.ts';
import type { Claim } from '../ec2/claims.ts';
import type { ImageRecord, SnapshotRecord, SnapshotSetRecord, VolumeRecord } from '../ec2/ec2-records.ts';
import type { Ec2Bench } from './ec2-bench.ts';

/** What is told to be attached is mounted there, and no directory has two volumes; what is told to be completed can be had. */
export async function checkTruth(bench: Ec2Bench): Promise<void> {
  const states = await bench.context.databases.states();
  const { Volumes = [] } = await bench.call('DescribeVolumes', {});
  for (const { VolumeId, Attachments = [], VolumeType } of Volumes) {
    const [attachment] = Attachments;
    // The disks of machines are of no type.
    if (attachment?.State !== 'attached' || VolumeType === undefined) continue;
    const name = must(attachment.Device).slice('/dev/'.length);
    assert.equal(states.get(must(VolumeId))?.mountPoint, `/files/${name}`);
  }
  const mounts = [...states.values()].flatMap(({ mountPoint }) => mountPoint ?? []);
  assert.equal(new Set(mounts).size, mounts.length, mounts.join(' '));
  const kept = await bench.context.snapshots.list();
  const { Snapshots = [] } = await bench.call('DescribeSnapshots', {});
  const completed = Snapshots.filter(({ State }) => State === 'completed');
  assert.ok(completed.length <= kept.filter(({ phase }) => phase === 'available').length);
  const { Images = [] } = await bench.call('DescribeImages', {});
  const isCompleted = new Set(completed.map(({ SnapshotId }) => SnapshotId));
  for (const { State, BlockDeviceMappings = [] } of Images)
    assert.equal(
      State === 'available',
      BlockDeviceMappings.every(({ Ebs }) => isCompleted.has(Ebs?.SnapshotId)),
    );
  const names = Images.map(({ Name }) => Name);
  assert.equal(new Set(names).size, names.length, 'no two have a name');
}

/** Each database is a volume's, each kept point a snapshot's, each claim a volume's; and no wish or doubt is left. */
export async function checkNothingLeft(bench: Ec2Bench): Promise<void> {
  const records = await bench.registry.list<VolumeRecord & SnapshotRecord & SnapshotSetRecord>('accounts/');
  const of = (kind: string) =>
    records.filter(({ key }) => key.includes(`/ec2/${kind}/`)).map(({ value }) => value);
  const volumes = of('volumes');
  const mirror = (await bench.registry.get<BootMirrorRecord>(BOOT_MIRROR))?.value;
  const databases = await bench.context.databases.list();
  // It is made when it is wanted, and stands still while it is not.
  const mirrors = databases.filter(({ name }) => name === mirror?.id);
  assert.deepEqual(
    databases.map(({ name }) => name),
    [...mirrors, ...volumes].map((each) => ('id' in each ? each.id : each.name)),
  );
  for (const { desired } of mirrors) assert.equal(desired, 'stopped');
  const sets = of('snapshot-sets').filter(({ failure }) => failure === undefined);
  const snapshots = [...of('snapshots'), ...sets.flatMap(({ members }) => members)].filter(
    ({ failure }) => failure === undefined,
  );
  assert.deepEqual(
    (await bench.context.snapshots.list()).map(({ name }) => name),
    snapshots.map(({ kept }) => kept).sort(),
  );
  const images = [
    ...(of('images') as unknown as ImageRecord[]),
    ...of('snapshot-sets').flatMap(({ image }) => image ?? []),
  ];
  for (const { unconfirmed } of images) assert.equal(unconfirmed, undefined);
  const claims = await bench.registry.list<Claim>('ec2/claims/');
  const ofVolumes = volumes.flatMap(({ id, token, attachment }) => [
    ...(token ? [id] : []),
    ...(attachment ? [attachment.id] : []),
  ]);
  const holders = [...ofVolumes, ...images.map(({ id }) => id)];
  assert.deepEqual(claims.map(({ value }) => value.holder).sort(), holders.sort());
  for (const { wish, unconfirmed } of volumes) assert.deepEqual([wish, unconfirmed], [undefined, undefined]);
  for (const { attachment, id } of volumes) {
    const { files, desired } = await bench.context.databases.get(id);
    assert.deepEqual([files?.mount, desired], [attachment?.mount, attachment ? 'running' : 'stopped']);
  }
}
