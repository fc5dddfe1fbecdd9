/**
 * Snapshots in which an application has nothing to recover, as AWS's own walk-through has it: a role for the instance, the package of
 * writers, the command, the tags, and the proof: what is restored starts.
 */
import assert from 'node:assert/strict';
import * as path from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { after, before, test } from 'node:test';
import * as ec2 from '@aws-sdk/client-ec2';
import { must } from '@rokka/kernel';
import { installedPrograms, PostgresServer, REDO_BYTES_MAX, SqliteLoad } from '@rokka/snapshots/testing';
import { CloudUnderTest } from './testing/cloud-under-test.ts';
import { InstanceUnderTest } from './testing/instance-under-test.ts';
import { InsertLoad } from './testing/insert-load.ts';
import { RokkaUnderTest } from './testing/rokka-under-test.ts';
import { freePort, TestPlace } from './testing/test-place.ts';
import { whySkipped } from './testing/why-skipped.ts';

const programs = installedPrograms().find((found) => found.skip === false);
const skip = whySkipped({ cli: true, root: true }) || (programs ? false : 'there is no PostgreSQL');
const timeout = 400_000;
const SNAPSHOT = 'AWSEC2-CreateVssSnapshot';
/** As AWS told the feature first. */
const RIGHTS = ['DescribeInstances', 'CreateTags', 'CreateSnapshot'];
const RESTORING = [
  'DescribeSnapshots',
  'DescribeVolumes',
  'CreateVolume',
  'AttachVolume',
  'DetachVolume',
  'DeleteVolume',
];
let place: TestPlace;
let rokka: RokkaUnderTest;
let cloud: CloudUnderTest;
let instance: InstanceUnderTest;

before(
  async () => {
    if (skip) return;
    place = await TestPlace.make();
    const port = await freePort();
    rokka = await RokkaUnderTest.start(place, { env: { ROKKA_AWS_PORT: String(port) } });
    cloud = await CloudUnderTest.start(rokka, port);
    instance = await InstanceUnderTest.of(cloud);
  },
  { timeout },
);

after(
  async () => {
    await rokka?.[Symbol.asyncDispose]();
    await place?.[Symbol.asyncDispose]();
  },
  { timeout },
);

const tagsOf = ({ Tags = [] }: ec2.Snapshot): Partial<Record<string, string>> =>
  Object.fromEntries(Tags.map(({ Key, Value }) => [Key, Value]));

test('what is missing is said before anybody is held', { skip, timeout }, async () => {
  const why = async (more: Readonly<Record<string, string>> = {}) => {
    const { Status, StandardErrorContent } = await instance.snapshot(more);
    assert.equal(Status, 'Failed');
    return StandardErrorContent ?? '';
  };
  assert.match(await why(), /AwsVssComponents is not installed/);
  const installed = await instance.installWriters();
  assert.equal(installed.Status, 'Success', installed.StandardErrorContent);
  assert.match(await why(), /No instance profile is associated/);
  await instance.giveRole();
  await instance.allow('DescribeInstances');
  assert.match(await why(), /has no volume but its boot volume/);
  const volume = await instance.own.volume({ Size: 1 });
  await instance.own.attach(volume, 'sdp');
  assert.match(await why(), /lacks a right: .*ec2:CreateSnapshot action/);
  await instance.allow(...RIGHTS.filter((right) => right !== 'CreateTags'));
  assert.match(await why(), /lacks a right: .*ec2:CreateTags/);
  await instance.allow(...RIGHTS);
  assert.match(await why({ tags: 'Key=AppConsistent,Value=True' }), /AppConsistent is reserved/);
  const { Snapshots } = await instance.own.client.send(
    new ec2.DescribeSnapshotsCommand({ OwnerIds: ['self'] }),
  );
  assert.deepEqual(Snapshots, []);
  await instance.own.detach(volume);
});

test(
  'PostgreSQL with its log on a second volume, and SQLite beside it, are snapshotted under load and start clean',
  { skip, timeout },
  async () => {
    const volumes = [await instance.own.volume({ Size: 2 }), await instance.own.volume({ Size: 2 })];
    const [data, log] = [
      await instance.own.attach(volumes[0], 'sdf'),
      await instance.own.attach(volumes[1], 'sdg'),
    ];
    const options = {
      programs: must(programs),
      dataDirectory: path.join(data, 'pgdata'),
      walDirectory: path.join(log, 'wal'),
    };
    await using server = await PostgresServer.create(options);
    await using load = await InsertLoad.start(() => server.client(), 3);
    await load.acknowledged(200);
    const file = path.join(data, 'app/app.db');
    await using rows = await SqliteLoad.start({ file, journalMode: 'wal' });
    const [early, earlyRows] = [load.count, rows.committed];
    const command = await cloud.ask<{ Command: { CommandId: string } }>(
      'ssm',
      'send-command',
      '--document-name',
      SNAPSHOT,
      '--instance-ids',
      await instance.own.instance(),
      '--parameters',
      JSON.stringify({
        ExcludeBootVolume: ['True'],
        description: ['before the change'],
        tags: ['Key=Name,Value=ledger;Key=Team,Value=books'],
      }),
    );
    const end = await instance.commands.ended(command.Command.CommandId);
    assert.equal(end.Status, 'Success', `${end.StandardOutputContent}${end.StandardErrorContent}`);
    await load.acknowledged(200);
    const late = await load.stop();
    await rows.goesOn();
    await rows[Symbol.asyncDispose]();

    const { Snapshots = [] } = await instance.own.client.send(
      new ec2.DescribeSnapshotsCommand({ Filters: [{ Name: 'tag:AppConsistent', Values: ['True'] }] }),
    );
    const facts = Snapshots.map((made) => {
      const { Device, Name, Team, AwsVssConfig } = tagsOf(made);
      const { level } = JSON.parse(must(AwsVssConfig)) as { level: string };
      return [made.VolumeId, Device, Name, Team, made.Description, level];
    });
    const said = ['ledger', 'books', 'before the change', 'application'];
    assert.deepEqual(
      new Set(facts.map(String)),
      new Set([[volumes[0], '/dev/sdf', ...said].join(), [volumes[1], '/dev/sdg', ...said].join()]),
    );

    await instance.allow(...RIGHTS, ...RESTORING);
    const { set } = JSON.parse(must(tagsOf(must(Snapshots[0])).AwsVssConfig)) as { set: string };
    const tried = await instance.commands.run('Rokka-RestoreVssSnapshot', { SnapshotSetId: set });
    assert.equal(tried.Status, 'Success', `${tried.StandardOutputContent}${tried.StandardErrorContent}`);
    assert.match(
      must(tried.StandardOutputContent),
      /PostgreSQL at .*pgdata.*it starts, after \d+ bytes of its log/,
    );

    assert.match(must(tried.StandardOutputContent), /app\.db: clean: whole, with nothing to recover/);

    await server[Symbol.asyncDispose]();
    for (const volume of volumes) await instance.own.detach(volume);
    for (const made of Snapshots) {
      const volume = await instance.own.volume({ SnapshotId: must(made.SnapshotId) });
      await instance.own.attach(volume, path.basename(must(tagsOf(made).Device)));
    }
    using database = new DatabaseSync(file, { readOnly: true });
    const foundRows = Number(database.prepare('SELECT count(*) AS count FROM t').get()?.['count']);
    assert.ok(
      earlyRows <= foundRows && foundRows <= rows.committed,
      `${earlyRows} were acknowledged before it, ${foundRows} are there, of ${rows.committed}`,
    );
    await using restored = await PostgresServer.open(options);
    const found = await InsertLoad.found(await restored.client());
    assert.ok(
      early <= found && found <= late,
      `${early} were acknowledged before it, ${found} are there, of ${late}`,
    );
    const { redoBytes } = restored.recovery;
    assert.ok(redoBytes <= REDO_BYTES_MAX, `${redoBytes} bytes of log were read`);
  },
);
