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
import { must, systemClock } from '@rokka/kernel';
import { freePort } from '@rokka/kernel/testing';
import { readIdentity } from './data-directory.ts';
import { CloudUnderTest } from './testing/cloud-under-test.ts';
import { Ec2UnderTest } from './testing/ec2-under-test.ts';
import { InstanceUnderTest } from './testing/instance-under-test.ts';
import { RokkaUnderTest } from './testing/rokka-under-test.ts';
import { TestPlace } from './testing/test-place.ts';
import { whySkipped } from './testing/why-skipped.ts';

const skip = whySkipped({ cli: true, root: true });
const timeout = 900_000;
const SETTLED_MS = 300_000;
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
    // Everything is killed before it is made: whoever comes next goes on with it.
    rokka.kill([rokka.up.pid]);
    await rokka.up.ended();
    await rokka.again();
    await cloud.answers();
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

    // The copy is opened once more, which the registry of this snapshot does not know of.
    const later = await client.send(new ec2.CreateSnapshotCommand({ VolumeId: boot.id }));
    await own.completed([must(later.SnapshotId)]);

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
    const kept = keysIn(before, 'snapshots/');
    assert.deepEqual(
      keysIn(restored, 'snapshots/').filter((key) => !kept.includes(key)),
      [],
    );
    assert.equal(keysIn(restored, 'snapshots/').length, kept.length - 1, 'all but the later one');
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
    // Of the set, which is pending in its own registry, the copy cannot be opened any more; the next snapshot is of another one.
    assert.deepEqual((await settled(own)).get(boot.id)?.sort(), ['completed', 'error']);
    await client.send(new ec2.CreateSnapshotCommand({ VolumeId: boot.id }));
    assert.deepEqual((await settled(own)).get(boot.id)?.sort(), ['completed', 'completed', 'error']);
  },
);

/** What has become of the snapshots, by the volumes that they show; when none is pending any more. */
async function settled({ client }: Ec2UnderTest): Promise<Map<string, (string | undefined)[]>> {
  const untilMs = systemClock.nowMs() + SETTLED_MS;
  for (;;) {
    const { Snapshots = [] } = await client.send(new ec2.DescribeSnapshotsCommand({ OwnerIds: ['self'] }));
    const isOver = Snapshots.every(({ State }) => State !== 'pending');
    const groups = Map.groupBy(Snapshots, ({ VolumeId }) => VolumeId ?? '');
    if (isOver) return new Map([...groups].map(([id, all]) => [id, all.map(({ State }) => State)]));
    assert.ok(systemClock.nowMs() < untilMs, JSON.stringify(Snapshots));
    await systemClock.sleep(500);
  }
}

test(
  'one command has the boot volume in its set, a restore tries it out, and leaves it alone when it replaces',
  { skip, timeout },
  async () => {
    await using place = await TestPlace.make();
    const port = await freePort();
    await using rokka = await RokkaUnderTest.start(place, { env: { ROKKA_AWS_PORT: String(port) } });
    const instance = await InstanceUnderTest.of(await CloudUnderTest.start(rokka, port));
    const { own, commands } = instance;
    await instance.mayMakeSnapshots();
    await instance.allow(...RIGHTS);
    const boot = await bootOf(own);
    // As AWS's guide has it: the boot volume is in it unless it is left out.
    const snapshot = (more: Readonly<Record<string, string>> = {}) =>
      commands.run('AWSEC2-CreateVssSnapshot', { description: 'nightly', ...more });

    const alone = await snapshot();
    assert.equal(alone.Status, 'Success', `${alone.StandardOutputContent}${alone.StandardErrorContent}`);
    const [first, ...others] = await consistent(own);
    assert.deepEqual(others, []);
    assert.deepEqual([first.VolumeId, first.Device, first.config.size], [boot.id, BOOT_DEVICE, 1]);

    const data = await own.volume({ Size: 1 });
    const mounted = await own.attach(data, 'sdf');
    using ledger = new DatabaseSync(path.join(mounted, 'ledger.sqlite'));
    ledger.exec('CREATE TABLE t (n INTEGER); INSERT INTO t VALUES (1)');
    const asImage = { CreateAmi: 'True', AmiName: 'nightly' };
    const lacking = await snapshot(asImage);
    assert.match(must(lacking.StandardErrorContent), /lacks a right: .*ec2:CreateImage action/);
    await instance.allow(...RIGHTS, 'CreateImage', 'DescribeImages');
    const both = await snapshot(asImage);
    assert.equal(both.Status, 'Success', `${both.StandardOutputContent}${both.StandardErrorContent}`);
    assert.match(must(both.StandardOutputContent), /^ {2}rokka: STABLE$/m);
    const set = (await consistent(own)).filter(({ config }) => config.size === 2);
    assert.deepEqual(
      new Map(set.map(({ VolumeId, Device }) => [VolumeId, Device])),
      new Map([
        [boot.id, BOOT_DEVICE],
        [data, '/dev/sdf'],
      ]),
    );
    const { Images: [image, ...more] = [] } = await own.client.send(
      new ec2.DescribeImagesCommand({ Filters: [{ Name: 'tag:AppConsistent', Values: ['True'] }] }),
    );
    assert.deepEqual(
      [image.Name, image.State, image.Description, more],
      ['nightly', 'available', 'nightly', []],
    );
    assert.match(
      must(both.StandardOutputContent),
      new RegExp(`^Image ${image.ImageId}, nightly, has these`, 'm'),
    );
    assert.deepEqual(
      new Map(image.BlockDeviceMappings?.map(({ DeviceName, Ebs }) => [Ebs?.SnapshotId, DeviceName])),
      new Map(set.map(({ SnapshotId, Device }) => [SnapshotId, Device])),
    );
    const [{ SnapshotId }] = set;
    await assert.rejects(own.client.send(new ec2.DeleteSnapshotCommand({ SnapshotId })), {
      name: 'InvalidSnapshot.InUse',
    });
    const taken = await snapshot(asImage);
    assert.match(must(taken.StandardErrorContent), /has the name "nightly" already/);
    ledger.exec('INSERT INTO t VALUES (2)');
    ledger.close();

    const restore = (Mode: string, id: string) =>
      commands.run('Rokka-RestoreVssSnapshot', { SnapshotSetId: id, Mode });
    // As the set that it has.
    const tried = await commands.run('Rokka-RestoreVssSnapshot', { ImageId: must(image.ImageId) });
    assert.equal(tried.Status, 'Success', `${tried.StandardOutputContent}${tried.StandardErrorContent}`);
    const said = must(tried.StandardOutputContent);
    for (const name of ['registry', 'audit', 'ledger'])
      assert.match(
        said,
        new RegExp(`^sqlite: .*/${name}\\.sqlite: clean: whole, with nothing to recover$`, 'm'),
      );

    const refused = await restore('Replace', first.config.set);
    assert.equal(refused.Status, 'Failed');
    assert.match(must(refused.StandardErrorContent), /the boot volume alone, which is never replaced/);
    const replaced = await restore('Replace', set[0].config.set);
    assert.equal(
      replaced.Status,
      'Success',
      `${replaced.StandardOutputContent}${replaced.StandardErrorContent}`,
    );
    assert.match(must(replaced.StandardOutputContent), /The boot volume at \/dev\/xvda is left alone/);
    assert.equal((await bootOf(own)).id, boot.id);
    using restored = new DatabaseSync(path.join(mounted, 'ledger.sqlite'));
    assert.deepEqual(restored.prepare('SELECT count(*) AS n FROM t').get()?.['n'], 1);
  },
);

const RIGHTS = `DescribeInstances DescribeSnapshots DescribeVolumes CreateSnapshots CreateTags
  CreateVolume AttachVolume DetachVolume DeleteVolume`.split(/\s+/);

/** What the snapshots say of themselves that are consistent for applications. */
async function consistent({ client }: Ec2UnderTest) {
  const Filters = [{ Name: 'tag:AppConsistent', Values: ['True'] }];
  const { Snapshots = [] } = await client.send(new ec2.DescribeSnapshotsCommand({ Filters }));
  return Snapshots.map(({ SnapshotId, VolumeId, Tags = [] }) => {
    const tags = Object.fromEntries(Tags.map(({ Key, Value }) => [Key, Value]));
    const config = JSON.parse(must(tags['AwsVssConfig'])) as { set: string; size: number };
    return { SnapshotId, VolumeId, Device: tags['Device'], config };
  });
}
