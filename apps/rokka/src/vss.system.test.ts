/**
 * Snapshots in which an application has nothing to recover, as AWS's own walk-through has it: a role for the instance, the package of
 * writers, the command, the tags, and the proof: what is restored starts.
 */
import assert from 'node:assert/strict';
import * as path from 'node:path';
import { after, before, test } from 'node:test';
import * as ec2 from '@aws-sdk/client-ec2';
import * as iam from '@aws-sdk/client-iam';
import { SSMClient } from '@aws-sdk/client-ssm';
import { must } from '@rokka/kernel';
import { installedPrograms, PostgresServer, REDO_BYTES_MAX } from '@rokka/snapshots/testing';
import { readIdentity } from './data-directory.ts';
import { CloudUnderTest } from './testing/cloud-under-test.ts';
import { Ec2UnderTest } from './testing/ec2-under-test.ts';
import { InsertLoad } from './testing/insert-load.ts';
import { RokkaUnderTest } from './testing/rokka-under-test.ts';
import { RunCommandUnderTest } from './testing/run-command.ts';
import { freePort, TestPlace } from './testing/test-place.ts';
import { whySkipped } from './testing/why-skipped.ts';

const programs = installedPrograms().find((found) => found.skip === false);
const skip = whySkipped({ cli: true, root: true }) || (programs ? false : 'there is no PostgreSQL');
const timeout = 400_000;
const SNAPSHOT = 'AWSEC2-CreateVssSnapshot';
const WRITERS = { action: 'Install', name: 'AwsVssComponents' };
const RIGHTS = ['ec2:DescribeInstances', 'ec2:CreateTags', 'ec2:CreateSnapshots'];
const RESTORING = [
  'ec2:DescribeSnapshots',
  'ec2:DescribeVolumes',
  'ec2:CreateVolume',
  'ec2:AttachVolume',
  'ec2:DetachVolume',
  'ec2:DeleteVolume',
];
const TRUST = {
  Version: '2012-10-17',
  Statement: [{ Effect: 'Allow', Principal: { Service: 'ec2.amazonaws.com' }, Action: 'sts:AssumeRole' }],
};

let place: TestPlace;
let rokka: RokkaUnderTest;
let cloud: CloudUnderTest;
let own: Ec2UnderTest;
let commands: RunCommandUnderTest;

before(
  async () => {
    if (skip) return;
    place = await TestPlace.make();
    const port = await freePort();
    rokka = await RokkaUnderTest.start(place, { env: { ROKKA_AWS_PORT: String(port) } });
    cloud = await CloudUnderTest.start(rokka, port);
    const access = cloud.client(cloud.administratorKey());
    own = new Ec2UnderTest(new ec2.EC2Client(access), must(readIdentity(place.data)).cluster);
    commands = new RunCommandUnderTest(new SSMClient(access), await own.instance());
    await commands.online();
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
const snapshot = (more: Readonly<Record<string, string>> = {}) =>
  commands.run(SNAPSHOT, { ExcludeBootVolume: 'True', ...more });

/** The role of the instance may do this and nothing else. */
async function giveRole(actions: readonly string[]): Promise<void> {
  const client = new iam.IAMClient(cloud.client(cloud.administratorKey()));
  const PolicyDocument = JSON.stringify({
    Version: '2012-10-17',
    Statement: [{ Effect: 'Allow', Action: actions, Resource: '*' }],
  });
  await client.send(new iam.PutRolePolicyCommand({ RoleName: 'vss', PolicyName: 'vss', PolicyDocument }));
  client.destroy();
}

test('what is missing is said before anybody is held', { skip, timeout }, async () => {
  const why = async (more: Readonly<Record<string, string>> = {}) => {
    const { Status, StandardErrorContent } = await snapshot(more);
    assert.equal(Status, 'Failed');
    return StandardErrorContent ?? '';
  };
  assert.match(await why(), /AwsVssComponents is not installed/);
  const installed = await commands.run('AWS-ConfigureAWSPackage', WRITERS);
  assert.equal(installed.Status, 'Success', installed.StandardErrorContent);
  assert.match(await why(), /No instance profile is associated/);
  const client = new iam.IAMClient(cloud.client(cloud.administratorKey()));
  const document = { RoleName: 'vss', AssumeRolePolicyDocument: JSON.stringify(TRUST) };
  await client.send(new iam.CreateRoleCommand(document));
  await client.send(new iam.CreateInstanceProfileCommand({ InstanceProfileName: 'vss' }));
  const names = { InstanceProfileName: 'vss', RoleName: 'vss' };
  await client.send(new iam.AddRoleToInstanceProfileCommand(names));
  const IamInstanceProfile = { Name: 'vss' };
  const InstanceId = await own.instance();
  await own.client.send(new ec2.AssociateIamInstanceProfileCommand({ InstanceId, IamInstanceProfile }));
  await giveRole(RIGHTS.slice(0, 1));
  assert.match(await why(), /has no volume but its boot volume/);
  const volume = await own.volume({ Size: 1 });
  await own.attach(volume, 'sdp');
  assert.match(await why(), /lacks a right: .*ec2:CreateSnapshots/);
  await giveRole(RIGHTS.filter((right) => right !== 'ec2:CreateTags'));
  assert.match(await why(), /lacks a right: .*ec2:CreateTags/);
  await giveRole(RIGHTS);
  assert.match(await why({ tags: 'Key=AppConsistent,Value=True' }), /AppConsistent is reserved/);
  assert.match(await why({ ExcludeBootVolume: 'False' }), /the boot volume/);
  const { Snapshots } = await own.client.send(new ec2.DescribeSnapshotsCommand({ OwnerIds: ['self'] }));
  assert.deepEqual(Snapshots, []);
  await own.detach(volume);
});

test(
  'PostgreSQL with its log on a second volume is snapshotted under load, and starts clean',
  { skip, timeout },
  async () => {
    const volumes = [await own.volume({ Size: 2 }), await own.volume({ Size: 2 })];
    const [data, log] = [await own.attach(volumes[0], 'sdf'), await own.attach(volumes[1], 'sdg')];
    const options = {
      programs: must(programs),
      dataDirectory: path.join(data, 'pgdata'),
      walDirectory: path.join(log, 'wal'),
    };
    await using server = await PostgresServer.create(options);
    await using load = await InsertLoad.start(() => server.client(), 3);
    await load.acknowledged(200);
    const early = load.count;
    const command = await cloud.ask<{ Command: { CommandId: string } }>(
      'ssm',
      'send-command',
      '--document-name',
      SNAPSHOT,
      '--instance-ids',
      await own.instance(),
      '--parameters',
      JSON.stringify({
        ExcludeBootVolume: ['True'],
        description: ['before the change'],
        tags: ['Key=Name,Value=ledger;Key=Team,Value=books'],
      }),
    );
    const end = await commands.ended(command.Command.CommandId);
    assert.equal(end.Status, 'Success', `${end.StandardOutputContent}${end.StandardErrorContent}`);
    await load.acknowledged(200);
    const late = await load.stop();

    const { Snapshots = [] } = await own.client.send(
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

    await giveRole([...RIGHTS, ...RESTORING]);
    const { set } = JSON.parse(must(tagsOf(must(Snapshots[0])).AwsVssConfig)) as { set: string };
    const tried = await commands.run('Rokka-RestoreVssSnapshot', { SnapshotSetId: set });
    assert.equal(tried.Status, 'Success', `${tried.StandardOutputContent}${tried.StandardErrorContent}`);
    assert.match(
      must(tried.StandardOutputContent),
      /PostgreSQL at .*pgdata.*it starts, after \d+ bytes of its log/,
    );

    await server[Symbol.asyncDispose]();
    for (const volume of volumes) await own.detach(volume);
    for (const made of Snapshots) {
      const volume = await own.volume({ SnapshotId: must(made.SnapshotId) });
      await own.attach(volume, path.basename(must(tagsOf(made).Device)));
    }
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
