/** EC2 of a running cluster: volumes whose files programs of this machine see, by the AWS CLI and by the SDK with its waiters. */
import assert from 'node:assert/strict';
import * as fs from 'node:fs';
import * as path from 'node:path';
import { test } from 'node:test';
import * as ec2 from '@aws-sdk/client-ec2';
import { must } from '@rokka/kernel';
import { freePort } from '@rokka/kernel/testing';
import { readIdentity } from './data-directory.ts';
import { CloudUnderTest } from './testing/cloud-under-test.ts';
import { AVAILABILITY_ZONE as AvailabilityZone, Ec2UnderTest } from './testing/ec2-under-test.ts';
import { RokkaUnderTest } from './testing/rokka-under-test.ts';
import { TestPlace } from './testing/test-place.ts';
import { whySkipped } from './testing/why-skipped.ts';

const skip = whySkipped({ cli: true, root: true });
const timeout = 900_000;

const file = (directory: string) => path.join(directory, 'note.txt');
const freeBytes = (directory: string) => {
  const { blocks, bsize } = fs.statfsSync(directory);
  return blocks * bsize;
};

test(
  'volumes are attached by mounting, grow while they are in use, and come back from their snapshots',
  { skip, timeout },
  async () => {
    await using place = await TestPlace.make();
    const port = await freePort();
    await using rokka = await RokkaUnderTest.start(place, { env: { ROKKA_AWS_PORT: String(port) } });
    const cloud = await CloudUnderTest.start(rokka, port);
    const client = new ec2.EC2Client(cloud.client(cloud.administratorKey()));
    const own = new Ec2UnderTest(client, must(readIdentity(place.data)).cluster);

    const made = await cloud.ask<{ VolumeId: string; State: string }>(
      'ec2',
      'create-volume',
      '--availability-zone',
      AvailabilityZone,
      '--size',
      '1',
    );
    const first = made.VolumeId;
    await ec2.waitUntilVolumeAvailable(own.waiting, { VolumeIds: [first] });
    const second = await own.volume({ Size: 1 });
    const [here, there] = [await own.attach(first, 'sdf'), await own.attach(second, 'xvdg')];
    assert.match(fs.readFileSync('/proc/self/mounts', 'utf8'), new RegExp(`^${first} ${here} fuse`, 'm'));
    fs.writeFileSync(file(here), 'one');
    fs.writeFileSync(file(there), 'one');
    assert.ok(Math.abs(freeBytes(here) - 2 ** 30) < 2 ** 26, `${freeBytes(here)} bytes`);
    await client.send(new ec2.ModifyVolumeCommand({ VolumeId: first, Size: 2 }));
    const { VolumesModifications } = await client.send(
      new ec2.DescribeVolumesModificationsCommand({ VolumeIds: [first] }),
    );
    assert.ok(['modifying', 'completed'].includes(must(VolumesModifications?.[0]?.ModificationState)));
    assert.equal(fs.readFileSync(file(here), 'utf8'), 'one', 'it is in use all the time');

    const { Snapshots = [] } = await client.send(
      new ec2.CreateSnapshotsCommand({
        InstanceSpecification: { InstanceId: await own.instance(), ExcludeBootVolume: true },
      }),
    );
    const ids = Snapshots.map(({ SnapshotId }) => must(SnapshotId));
    assert.equal(ids.length, 2);
    await own.completed(ids);
    fs.writeFileSync(file(here), 'two', { flush: true });

    // Everything is killed, and what was attached is attached again by itself.
    rokka.kill([rokka.up.pid]);
    await rokka.up.ended();
    await rokka.again();
    await cloud.answers();
    await own.attached(first);
    assert.equal(fs.readFileSync(file(here), 'utf8'), 'two');
    assert.ok(freeBytes(here) > 1.9 * 2 ** 30, `${freeBytes(here)} bytes`);

    await own.detach(first);
    assert.ok(!fs.existsSync(here), 'the directory goes with the mount');
    const before = must(Snapshots.find(({ VolumeId }) => VolumeId === first)).SnapshotId;
    const past = await own.volume({ SnapshotId: before });
    assert.equal(fs.readFileSync(file(await own.attach(past, 'sdf')), 'utf8'), 'one');
    assert.equal(fs.readFileSync(file(await own.attach(first, 'sdh')), 'utf8'), 'two');

    await own.detach(past);
    await client.send(new ec2.DeleteVolumeCommand({ VolumeId: past }));
    await ec2.waitUntilVolumeDeleted(own.waiting, { VolumeIds: [past] });
    for (const SnapshotId of ids) await client.send(new ec2.DeleteSnapshotCommand({ SnapshotId }));
    const { Snapshots: left } = await client.send(new ec2.DescribeSnapshotsCommand({ OwnerIds: ['self'] }));
    assert.deepEqual(left, []);
    await rokka.stop();
    assert.ok(!fs.existsSync(path.dirname(here)), 'nothing stays behind');
  },
);
