/**
 * Snapshots of the boot volume of a running cluster, by the SDK: what they hold is the state of the cluster, and what comes back of it onto another data
 * directory is the same cluster.
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import * as fs from 'node:fs';
import * as path from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { test } from 'node:test';
import * as ec2 from '@aws-sdk/client-ec2';
import { must } from '@rokka/kernel';
import { readIdentity } from './data-directory.ts';
import { CloudUnderTest } from './testing/cloud-under-test.ts';
import { Ec2UnderTest } from './testing/ec2-under-test.ts';
import { RokkaUnderTest } from './testing/rokka-under-test.ts';
import { freePort, TestPlace } from './testing/test-place.ts';
import { whySkipped } from './testing/why-skipped.ts';

const skip = whySkipped({ cli: true, root: true });
const timeout = 400_000;
const BOOT_DEVICE = '/dev/xvda';

const bootOf = async ({ client }: Ec2UnderTest) => {
  const { Volumes = [] } = await client.send(new ec2.DescribeVolumesCommand({}));
  const boot = Volumes.find(({ Attachments }) => Attachments?.[0]?.Device === BOOT_DEVICE);
  return { id: must(boot?.VolumeId), count: Volumes.length };
};

/** `secrets/aws/credentials 600`, of all that is a file or a directory. */
function listing(directory: string, isMeant: (name: string) => boolean): string[] {
  const names = fs.readdirSync(directory, { recursive: true, encoding: 'utf8' }).filter(isMeant).sort();
  return names.map(
    (name) => `${name} ${(fs.statSync(path.join(directory, name)).mode & 0o7777).toString(8)}`,
  );
}

/** Of a registry that nobody has open. */
function keysIn(directory: string, prefix: string): string[] {
  using registry = new DatabaseSync(path.join(directory, 'registry.sqlite'));
  const rows = registry.prepare("SELECT key FROM entries WHERE key LIKE ? || '%' ORDER BY key").all(prefix);
  return rows.map(({ key }) => String(key));
}

test(
  'a snapshot of the boot volume has the state of the cluster, which comes back onto another data directory',
  { skip, timeout },
  async () => {
    await using place = await TestPlace.make();
    const port = await freePort();
    await using rokka = await RokkaUnderTest.start(place, { env: { ROKKA_AWS_PORT: String(port) } });
    const cloud = await CloudUnderTest.start(rokka, port);
    const client = new ec2.EC2Client(cloud.client(cloud.administratorKey()));
    const identity = must(readIdentity(place.data));
    const own = new Ec2UnderTest(client, identity.cluster);
    await rokka.query('CREATE TABLE ledger AS SELECT 7 AS entry');
    const data = await own.volume({ Size: 1 });
    fs.writeFileSync(path.join(await own.attach(data, 'sdf'), 'note.txt'), 'one', { flush: true });

    const boot = await bootOf(own);
    const alone = await client.send(
      new ec2.CreateSnapshotCommand({ VolumeId: boot.id, Description: 'the state' }),
    );
    assert.deepEqual([alone.VolumeId, alone.State, alone.Description], [boot.id, 'pending', 'the state']);
    await own.completed([must(alone.SnapshotId)]);
    const { Snapshots = [] } = await client.send(
      new ec2.CreateSnapshotsCommand({ InstanceSpecification: { InstanceId: await own.instance() } }),
    );
    assert.deepEqual(new Set(Snapshots.map(({ VolumeId }) => VolumeId)), new Set([boot.id, data]));
    await own.completed(Snapshots.map(({ SnapshotId }) => must(SnapshotId)));
    assert.deepEqual(await bootOf(own), boot, 'there is no further volume');

    const SnapshotId = must(Snapshots.find(({ VolumeId }) => VolumeId === boot.id)?.SnapshotId);
    const copy = await own.volume({ SnapshotId });
    const mounted = await own.attach(copy, 'sdg');
    const left = /^(nodes|archive|run|compile-cache)(\/|$)|^rokka\.log|^lock\.sqlite|\.sqlite-(wal|shm)$/;
    assert.deepEqual(
      listing(mounted, () => true),
      listing(place.data, (name) => !left.test(name)),
    );
    assert.equal(fs.statSync(mounted).mode & 0o7777, 0o700, 'nobody else may look into it');
    for (const name of ['rokka.json', 'secrets/postgres-password', 'secrets/aws/credentials'])
      assert.equal(
        fs.readFileSync(path.join(mounted, name), 'utf8'),
        fs.readFileSync(path.join(place.data, name), 'utf8'),
      );

    // As docs/restoring-snapshots.md has it: the state, and beside it the nodes and the archive.
    const restored = path.join(place.path, 'restored');
    fs.mkdirSync(restored, { mode: 0o700 });
    execFileSync('cp', ['-a', `${mounted}/.`, restored]);
    await own.detach(copy);
    await rokka.stop();
    assert.deepEqual(readIdentity(restored), identity);
    const before = place.data;
    assert.deepEqual(
      keysIn(restored, 'databases/'),
      keysIn(before, 'databases/').filter((key) => key !== `databases/${copy}`),
    );
    assert.deepEqual(keysIn(restored, 'snapshots/'), keysIn(before, 'snapshots/'));
    for (const part of ['nodes', 'archive'])
      fs.renameSync(path.join(before, part), path.join(restored, part));
    place.data = restored;
    await rokka.again();
    await cloud.answers();
    assert.deepEqual(await rokka.query('SELECT entry FROM ledger'), [{ entry: 7 }]);
    await own.attached(data);
    const back = await client.send(new ec2.DescribeSnapshotsCommand({ OwnerIds: ['self'] }));
    assert.deepEqual(
      new Set(back.Snapshots?.map((each) => each.SnapshotId)),
      new Set([alone.SnapshotId, ...Snapshots.map((each) => each.SnapshotId)]),
    );
    const again = await own.volume({ SnapshotId: must(alone.SnapshotId) });
    assert.deepEqual(readIdentity(await own.attach(again, 'sdh')), identity);
  },
);
