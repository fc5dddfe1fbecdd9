/**
 * Everything is killed in the middle of the long operations of RDS and EC2, some of them at a time, and started again. Whatever
 * Describe says then is so: what is available answers with its data, what is gone is gone, nothing stays between two states, and every
 * snapshot that is finished gives back what was in it. ROKKA_SEED is another choice of moments.
 */
import assert from 'node:assert/strict';
import * as fs from 'node:fs';
import * as path from 'node:path';
import { test, type TestContext } from 'node:test';
import * as ec2 from '@aws-sdk/client-ec2';
import * as rds from '@aws-sdk/client-rds';
import { must, SeededRandom, systemClock } from '@rokka/kernel';
import { freePort } from '@rokka/kernel/testing';
import { readIdentity } from './data-directory.ts';
import { mountPointOf } from './databases/volume-mounts.ts';
import { CloudUnderTest } from './testing/cloud-under-test.ts';
import { AVAILABILITY_ZONE as AvailabilityZone, Ec2UnderTest } from './testing/ec2-under-test.ts';
import { ENGINE, PASSWORD, RdsUnderTest } from './testing/rds-under-test.ts';
import { RokkaUnderTest } from './testing/rokka-under-test.ts';
import { TestPlace } from './testing/test-place.ts';
import { whySkipped } from './testing/why-skipped.ts';

const skip = whySkipped({ root: true });
const timeout = 1_500_000;
const seed = Number(process.env['ROKKA_SEED'] ?? 1);

/** The shortest of them take a quarter of a second, the longest some seconds. */
const MOMENT_MS_MAX = 600;
const SETTLED_MS_MAX = 400_000;
const LOOK_MS = 250;
const SUM = `select count(*)::int as n, md5(string_agg(text, '' order by n)) as sum from rows`;
const FILL = 'create table rows as select n, md5(n::text) as text from generate_series(1, 5000) n';
/** What nothing stays in. */
const ON_THE_WAY =
  /^(creating|modifying|starting|stopping|rebooting|failing-over|backing-up|deleting|resetting-master-credentials|pending|attaching|detaching|busy)$/;

const withWhy = (state: string | undefined, why: string | undefined) =>
  why === undefined ? state : `${state}: ${why}`;

class Cloud {
  readonly #place: TestPlace;
  readonly #rokka: RokkaUnderTest;
  readonly #cloud: CloudUnderTest;
  readonly #random = new SeededRandom(seed);
  readonly shop: RdsUnderTest;
  readonly own: Ec2UnderTest;

  constructor(place: TestPlace, rokka: RokkaUnderTest, cloud: CloudUnderTest) {
    this.#place = place;
    this.#rokka = rokka;
    this.#cloud = cloud;
    const client = cloud.client(cloud.administratorKey());
    this.shop = new RdsUnderTest(new rds.RDSClient(client));
    this.own = new Ec2UnderTest(new ec2.EC2Client(client), must(readIdentity(place.data)).cluster);
  }

  /** Asks for all of these, kills everything some moment after the answers, starts again, and waits until nothing is on its way. */
  async cutShort(t: TestContext, ...asks: (() => Promise<unknown>)[]): Promise<void> {
    for (const ask of asks) await ask();
    await systemClock.sleep(this.#random.below(MOMENT_MS_MAX));
    const onTheWay = await this.#onTheWay();
    this.#rokka.kill([this.#rokka.up.pid]);
    // Nothing starts them again now; and none is left to end in its own way.
    for (const line of this.#place.processes()) this.#rokka.kill([Number.parseInt(line, 10)]);
    await this.#rokka.up.ended();
    await this.#rokka.again();
    await this.#cloud.answers();
    t.diagnostic(`killed with ${onTheWay.join(', ') || 'nothing'} on the way`);
    for (const untilMs = systemClock.nowMs() + SETTLED_MS_MAX; ;) {
      const left = await this.#onTheWay();
      if (left.length === 0) return;
      assert.ok(systemClock.nowMs() < untilMs, `it stays so: ${left.join(', ')}`);
      await systemClock.sleep(LOOK_MS);
    }
  }

  async #onTheWay(): Promise<string[]> {
    return [...(await this.statuses())].flatMap(([id, status]) =>
      ON_THE_WAY.test(status) ? `${id} ${status}` : [],
    );
  }

  /** Of all that there is, by its id. */
  async statuses(): Promise<Map<string, string>> {
    const { client: databases } = this.shop;
    const { client: volumes } = this.own;
    const [clusters, instances, snapshots, of, pieces, images] = await Promise.all([
      databases.send(new rds.DescribeDBClustersCommand({})),
      databases.send(new rds.DescribeDBInstancesCommand({})),
      databases.send(new rds.DescribeDBClusterSnapshotsCommand({})),
      volumes.send(new ec2.DescribeVolumesCommand({})),
      volumes.send(new ec2.DescribeSnapshotsCommand({ OwnerIds: ['self'] })),
      volumes.send(new ec2.DescribeImagesCommand({ Owners: ['self'] })),
    ]);
    const all: [string | undefined, string | undefined][] = [
      ...must(clusters.DBClusters).map((one) => [one.DBClusterIdentifier, one.Status] as const),
      ...must(instances.DBInstances).map((one) => [one.DBInstanceIdentifier, one.DBInstanceStatus] as const),
      ...must(snapshots.DBClusterSnapshots).map(
        (one) => [one.DBClusterSnapshotIdentifier, one.Status] as const,
      ),
      ...must(of.Volumes).map((one) => [one.VolumeId, one.Attachments?.[0]?.State ?? one.State] as const),
      ...must(pieces.Snapshots).map((one) => [one.SnapshotId, withWhy(one.State, one.StateMessage)] as const),
      ...must(images.Images).map(
        (one) => [one.ImageId, withWhy(one.State, one.StateReason?.Message)] as const,
      ),
    ].map(([id, status]) => [id, status]);
    return new Map(all.map(([id, status]) => [must(id), must(status)]));
  }

  /** As Describe has them; `gone` where it has none. */
  async assertStatuses(expected: Readonly<Record<string, string>>): Promise<void> {
    const found = await this.statuses();
    const told = Object.keys(expected).map((id) => [id, found.get(id) ?? 'gone']);
    assert.deepEqual(Object.fromEntries(told), expected);
  }
}

test('everything is killed in the middle of each of them', { skip, timeout }, async (t) => {
  await using place = await TestPlace.make();
  const port = await freePort();
  await using rokka = await RokkaUnderTest.start(place, { env: { ROKKA_AWS_PORT: String(port) } });
  const cloud = new Cloud(place, rokka, await CloudUnderTest.start(rokka, port));
  const { shop, own } = cloud;
  const { client: databases } = shop;
  const { client: volumes } = own;
  const cluster = (id: string) => ({ DBClusterIdentifier: id });
  /** At a port of this test: what a cluster takes by itself those of other tests take, too, until it listens there. */
  const newCluster = async (id: string) => ({ ...cluster(id), Port: await freePort() });
  const login = { MasterUsername: 'boss', MasterUserPassword: PASSWORD, DatabaseName: 'goods' };
  const instance = (id: string, of: string) => ({
    ...ENGINE,
    DBInstanceIdentifier: id,
    DBClusterIdentifier: of,
    DBInstanceClass: 'db.t4g.medium',
  });
  const file = (directory: string) => path.join(directory, 'note.txt');
  const directory = (device: string) => mountPointOf(must(readIdentity(place.data)).cluster, device);
  const attachment = async (VolumeId: string, device: string) =>
    new ec2.AttachVolumeCommand({ VolumeId, InstanceId: await own.instance(), Device: `/dev/${device}` });

  // What is there before anything is killed: a cluster, a volume, and what they hold.
  await databases.send(
    new rds.CreateDBClusterCommand({ ...(await newCluster('shop')), ...ENGINE, ...login }),
  );
  await shop.serve('shop');
  await shop.query('shop', FILL);
  const [rows] = await shop.query('shop', SUM);
  const assertRows = async (id: string, password?: string) =>
    assert.deepEqual(await shop.query(id, SUM, password), [rows], id);
  const first = await own.volume({ Size: 1 });
  fs.writeFileSync(file(await own.attach(first, 'sdf')), 'one', { flush: true });

  const snapshot = (id: string) => ({ DBClusterSnapshotIdentifier: id });
  let second = '';
  await cloud.cutShort(
    t,
    async () =>
      databases.send(new rds.CreateDBClusterCommand({ ...(await newCluster('made')), ...ENGINE, ...login })),
    () => databases.send(new rds.CreateDBInstanceCommand(instance('made-1', 'made'))),
    () => databases.send(new rds.CreateDBClusterSnapshotCommand({ ...cluster('shop'), ...snapshot('one') })),
    async () => {
      const made = await volumes.send(new ec2.CreateVolumeCommand({ AvailabilityZone, Size: 1 }));
      second = must(made.VolumeId);
    },
  );
  await cloud.assertStatuses({
    made: 'available',
    'made-1': 'available',
    one: 'available',
    shop: 'available',
    [second]: 'available',
    [first]: 'attached',
  });
  await assertRows('shop');
  await shop.query('made', FILL);
  assert.equal(fs.readFileSync(file(directory('sdf')), 'utf8'), 'one');

  let [piece, image] = ['', ''];
  await cloud.cutShort(
    t,
    () =>
      databases.send(
        new rds.CopyDBClusterSnapshotCommand({
          SourceDBClusterSnapshotIdentifier: 'one',
          TargetDBClusterSnapshotIdentifier: 'two',
        }),
      ),
    async () =>
      databases.send(
        new rds.RestoreDBClusterFromSnapshotCommand({
          ...ENGINE,
          ...(await newCluster('again')),
          SnapshotIdentifier: 'one',
        }),
      ),
    () => databases.send(new rds.CreateDBInstanceCommand(instance('again-1', 'again'))),
    () => databases.send(new rds.DeleteDBInstanceCommand({ DBInstanceIdentifier: 'made-1' })),
    async () => volumes.send(await attachment(second, 'sdg')),
    async () => {
      const made = await volumes.send(new ec2.CreateSnapshotCommand({ VolumeId: first }));
      piece = must(made.SnapshotId);
    },
  );
  await cloud.assertStatuses({
    two: 'available',
    again: 'available',
    'again-1': 'available',
    'made-1': 'gone',
    made: 'available',
    [second]: 'attached',
    [piece]: 'completed',
  });
  await assertRows('again');
  fs.writeFileSync(file(directory('sdg')), 'two', { flush: true });

  let third = '';
  await cloud.cutShort(
    t,
    () =>
      databases.send(
        new rds.ModifyDBClusterCommand({
          ...cluster('shop'),
          MasterUserPassword: 'another-secret-9',
          ApplyImmediately: true,
        }),
      ),
    async () =>
      databases.send(
        new rds.RestoreDBClusterToPointInTimeCommand({
          ...(await newCluster('clone')),
          SourceDBClusterIdentifier: 'again',
          UseLatestRestorableTime: true,
          RestoreType: 'copy-on-write',
        }),
      ),
    () => databases.send(new rds.CreateDBInstanceCommand(instance('clone-1', 'clone'))),
    () =>
      databases.send(
        new rds.DeleteDBClusterCommand({ ...cluster('made'), FinalDBSnapshotIdentifier: 'last' }),
      ),
    () => volumes.send(new ec2.ModifyVolumeCommand({ VolumeId: first, Size: 2 })),
    async () => {
      const made = await volumes.send(
        new ec2.CreateVolumeCommand({ AvailabilityZone, SnapshotId: piece, Size: 1 }),
      );
      third = must(made.VolumeId);
    },
    async () => {
      const made = await volumes.send(
        new ec2.CreateImageCommand({ InstanceId: await own.instance(), Name: 'nightly', NoReboot: true }),
      );
      image = must(made.ImageId);
    },
  );
  await cloud.assertStatuses({
    shop: 'available',
    clone: 'available',
    'clone-1': 'available',
    made: 'gone',
    last: 'available',
    [first]: 'attached',
    [third]: 'available',
    [image]: 'available',
  });
  await assertRows('shop', 'another-secret-9');
  await assert.rejects(shop.query('shop', SUM), { code: '28P01' });
  await assertRows('clone');
  const { blocks, bsize } = fs.statfsSync(directory('sdf'));
  assert.ok(blocks * bsize > 1.9 * 2 ** 30, `${blocks * bsize} bytes`);

  await shop.serve('shop', 'shop-2');
  await cloud.cutShort(
    t,
    () => databases.send(new rds.StopDBClusterCommand(cluster('again'))),
    () => databases.send(new rds.RebootDBInstanceCommand({ DBInstanceIdentifier: 'clone-1' })),
    () =>
      databases.send(
        new rds.FailoverDBClusterCommand({ ...cluster('shop'), TargetDBInstanceIdentifier: 'shop-2' }),
      ),
    () => databases.send(new rds.DeleteDBClusterSnapshotCommand(snapshot('two'))),
    () => volumes.send(new ec2.DetachVolumeCommand({ VolumeId: second })),
    async () => volumes.send(await attachment(third, 'sdh')),
  );
  await cloud.assertStatuses({
    again: 'stopped',
    'again-1': 'stopped',
    clone: 'available',
    'clone-1': 'available',
    two: 'gone',
    shop: 'available',
    'shop-1': 'available',
    'shop-2': 'available',
    [second]: 'available',
    [third]: 'attached',
  });
  assert.deepEqual(await shop.members('shop'), ['shop-2', 'shop-1']);
  await assertRows('shop', 'another-secret-9');
  await assertRows('clone');
  assert.equal(fs.readFileSync(file(directory('sdh')), 'utf8'), 'one');
  assert.ok(!fs.existsSync(directory('sdg')));

  await cloud.cutShort(
    t,
    () => databases.send(new rds.StartDBClusterCommand(cluster('again'))),
    async () =>
      databases.send(
        new rds.RestoreDBClusterFromSnapshotCommand({
          ...ENGINE,
          ...(await newCluster('heir')),
          SnapshotIdentifier: 'last',
        }),
      ),
    () => databases.send(new rds.CreateDBInstanceCommand(instance('heir-1', 'heir'))),
    () => volumes.send(new ec2.DeleteVolumeCommand({ VolumeId: second })),
    () => volumes.send(new ec2.DeregisterImageCommand({ ImageId: image })),
  );
  await cloud.assertStatuses({
    again: 'available',
    'again-1': 'available',
    heir: 'available',
    'heir-1': 'available',
    [second]: 'gone',
    [image]: 'gone',
  });
  await assertRows('again');
  await assertRows('heir');
  await assertRows('shop', 'another-secret-9');
});
