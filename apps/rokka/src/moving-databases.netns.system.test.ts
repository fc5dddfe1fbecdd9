/**
 * Databases and volumes that move between machines, with all that the AWS API made of them: a cluster on three machines, made of network
 * namespaces, with etcd on each, and by Debian's AWS CLI. What was acknowledged on one machine is there on the next, whichever way the first
 * one was lost; and one that was cut off, and does not know that it was replaced, writes nothing more.
 */
import assert from 'node:assert/strict';
import * as fs from 'node:fs';
import * as path from 'node:path';
import { after, before, describe, test } from 'node:test';
import type { DescribeInstancesResult, DescribeVolumesResult, Volume } from '@aws-sdk/client-ec2';
import type { DBClusterMessage, DBClusterSnapshotMessage } from '@aws-sdk/client-rds';
import { BUCKET } from '@rokka/archive/testing';
import { probeNativeSupport } from '@rokka/databases';
import { must } from '@rokka/kernel';
import { askControl, CONTROL } from './control.ts';
import { dataPaths, readIdentity } from './data-directory.ts';
import { mountPointOf } from './databases/volume-mounts.ts';
import type { SupervisorStatus } from './status.ts';
import { AVAILABILITY_ZONE } from './testing/ec2-under-test.ts';
import { EtcdOnMachines } from './testing/etcd-on-machines.ts';
import { Machine } from './testing/machine.ts';
import { TestNet, until as untilSoon } from './testing/netns.ts';
import { S3OnMachine } from './testing/s3-on-machine.ts';
import { RokkaCommand } from './testing/rokka-command.ts';
import { queryOnce } from './testing/superuser.ts';
import { TestPlace } from './testing/test-place.ts';
import { whySkipped } from './testing/why-skipped.ts';

const support = await probeNativeSupport();
const skip =
  (!support.possible && `native PostgreSQL cannot run here: ${JSON.stringify(support)}`) ||
  whySkipped({ cli: true, root: true }) ||
  (TestNet.missing ?? EtcdOnMachines.missing);
const timeout = 1_200_000;
/** Of a recovery, or an initdb, where much else is going on. */
const PATIENCE_MS = 400_000;
const until = <T>(what: string, look: () => Promise<T | undefined | false>) =>
  untilSoon(what, look, PATIENCE_MS);
/** Inside of a machine every port is free. */
const AWS_PORT = '4566';
const SHOP_PORT = 5433;
const ENGINE = ['--engine', 'aurora-postgresql'];
/** The bucket takes everybody's. */
const KEYS = { AWS_ACCESS_KEY_ID: 'KEYOFTHEBUCKET', AWS_SECRET_ACCESS_KEY: 'hush', AWS_SESSION_TOKEN: '' };
const PASSWORDS = ['first-secret-9', 'second-secret-9'] as const;

describe('databases that move between machines', { skip: skip ?? false }, () => {
  const resources = new AsyncDisposableStack();
  let net: TestNet;
  let first: Machine;
  let standby: Machine;
  let volume: string;

  before(
    async () => {
      const place = resources.use(await TestPlace.make());
      net = resources.use(TestNet.make(3));
      const etcd = resources.use(await EtcdOnMachines.start(net, place));
      const joined = ['b1', 'b2', 'c1', 'c2'].map((name, index) =>
        resources.use(new Machine({ net, place, machine: 2 + Math.floor(index / 2), name })),
      );
      const of = { net, place, ownRun: true, env: { ROKKA_AWS_PORT: AWS_PORT, ...KEYS } };
      standby = resources.use(new Machine({ ...of, machine: 2, name: 'standby' }));
      // Last, so that it is stopped first: a head needs its members for its last words.
      first = resources.use(new Machine({ ...of, machine: 1, name: 'first' }));
      const bucket = resources.use(await S3OnMachine.start(net, 3));
      const past = ['--archive', `s3://${BUCKET}`, '--archive-endpoint', bucket.endpoint];
      await first.up('--listen', first.host, '--registry', etcd.location, ...past);
      await Promise.all(
        joined.map(async (machine, index) =>
          machine.join(await first.token(index < 2 ? 'b' : 'c'), 7600 + 10 * index),
        ),
      );
      await spread();
      await standby.standBy(await first.standbyToken(), etcd.location);
      await answers(first);
    },
    { timeout },
  );
  after(() => resources.disposeAsync(), { timeout });

  /** The zones b and c leave the first machine, which may be lost then. */
  async function spread(): Promise<void> {
    const nodes = [3, 4, 5, 6];
    for (const ordinal of nodes) await askControl(first.data, CONTROL.NODE, { action: 'drain', ordinal });
    await until('the members are spread', async () => isSpread(await first.status()));
    for (const ordinal of nodes) await askControl(first.data, CONTROL.NODE, { action: 'remove', ordinal });
  }

  function isSpread({ head, nodes }: SupervisorStatus): boolean {
    const group = head.detail?.groups[0];
    const ordinals = group?.members.map(({ node }) => nodes.find((one) => one.node === node)?.ordinal ?? 0);
    const isStill = group?.changes.length === 0 && group.members.every(({ hydrating }) => !hydrating);
    return isStill && ordinals?.toSorted((a, b) => a - b).join() === '1,2,7,8,9,10';
  }

  const answers = (machine: Machine) =>
    until('the AWS API answers', async () => (await machine.status()).gateway?.ready);

  async function aws<T>(machine: Machine, ...words: string[]): Promise<T> {
    const { status, err, out } = await awsEnd(machine, ...words);
    assert.equal(status, 0, `aws ${words.join(' ')}: ${err}`);
    return (out.trim() === '' ? {} : JSON.parse(out)) as T;
  }

  const awsEnd = (machine: Machine, ...words: string[]) =>
    RokkaCommand.run(['--data', machine.data, 'aws', ...words, '--output', 'json'], {
      prefix: net.prefix(machine.number),
      env: { ROKKA_AWS_PORT: AWS_PORT },
    });

  async function cluster(machine: Machine, name: string) {
    const found = await aws<DBClusterMessage>(
      machine,
      'rds',
      'describe-db-clusters',
      '--db-cluster-identifier',
      name,
    );
    return must(found.DBClusters?.[0]);
  }

  async function createCluster(machine: Machine, name: string): Promise<void> {
    const of = ['--db-cluster-identifier', name, ...ENGINE];
    const user = ['--master-username', 'keeper', '--master-user-password', PASSWORDS[0]];
    await aws(machine, 'rds', 'create-db-cluster', ...of, ...user);
    await createInstance(machine, name);
  }

  async function createInstance(machine: Machine, name: string): Promise<void> {
    const of = ['--db-cluster-identifier', name, ...ENGINE];
    const size = ['--db-instance-identifier', `${name}-1`, '--db-instance-class', 'db.t4g.medium'];
    await aws(machine, 'rds', 'create-db-instance', ...of, ...size);
    await serves(machine, name);
  }

  const serves = (machine: Machine, name: string) =>
    until(`${name} serves`, async () => {
      const instances = ['rds', 'describe-db-instances', '--db-instance-identifier', `${name}-1`];
      const found = await aws<{ DBInstances?: { DBInstanceStatus?: string }[] }>(machine, ...instances);
      return found.DBInstances?.[0]?.DBInstanceStatus === 'available';
    });

  /** By the server's unix socket, which no network fault touches. */
  const query = <Row extends object>(
    machine: Machine,
    { port, sql, password = PASSWORDS[0] }: { port: number; sql: string; password?: string },
  ) =>
    queryOnce<Row>(
      {
        host: dataPaths.postgresSockets(machine.data),
        port,
        user: 'keeper',
        database: 'postgres',
        password,
        connectionTimeoutMillis: 60_000,
      },
      sql,
      [],
    );
  const shop = <Row extends object>(machine: Machine, sql: string, password?: string) =>
    query<Row>(machine, { port: SHOP_PORT, sql, ...(password !== undefined && { password }) });

  /** As programs of the machine see it. */
  const note = (machine: Machine) => {
    const directory = mountPointOf(must(readIdentity(machine.data)).cluster, 'sdf');
    return path.join(`/proc/${machine.command.pid}/root`, directory, 'note.txt');
  };
  const read = (machine: Machine) => fs.readFileSync(note(machine), 'utf8');
  const write = (machine: Machine, text: string) => fs.writeFileSync(note(machine), text, { flush: true });

  /** @throws where something of it is still there, and what that is */
  async function hasEnded(machine: Machine): Promise<true> {
    const { head, gateway } = await machine.status();
    const left = { head: head.pid, gateway, isMounted: fs.existsSync(note(machine)) };
    assert.deepEqual(left, { head: undefined, gateway: undefined, isMounted: false });
    return true;
  }

  test('a cluster and a volume are made where the databases run', { timeout }, async () => {
    await createCluster(first, 'shop');
    assert.equal((await cluster(first, 'shop')).Port, SHOP_PORT);
    await shop(first, 'create table sold as select generate_series(1, 1000) as n');
    const size = ['--availability-zone', AVAILABILITY_ZONE, '--size', '1'];
    volume = must((await aws<Volume>(first, 'ec2', 'create-volume', ...size)).VolumeId);
    const { Reservations } = await aws<DescribeInstancesResult>(first, 'ec2', 'describe-instances');
    const instances = (Reservations ?? []).flatMap(({ Instances }) => Instances ?? []);
    assert.equal(instances.length, 1);
    const device = ['--volume-id', volume, '--device', '/dev/sdf'];
    await until('it is available', async () => (await described(first))?.State === 'available');
    await aws(first, 'ec2', 'attach-volume', '--instance-id', must(instances[0]?.InstanceId), ...device);
    await isAttached(first);
    write(first, 'one');
  });

  const described = async (machine: Machine) =>
    (await aws<DescribeVolumesResult>(machine, 'ec2', 'describe-volumes', '--volume-ids', volume))
      .Volumes?.[0];
  const isAttached = (machine: Machine) =>
    until('it is attached', async () => (await described(machine))?.Attachments?.[0]?.State === 'attached');

  test('a snapshot of the cluster is in the bucket', { timeout }, async () => {
    const names = ['--db-cluster-identifier', 'shop', '--db-cluster-snapshot-identifier', 'early'];
    await aws(first, 'rds', 'create-db-cluster-snapshot', ...names);
    const only = ['--db-cluster-snapshot-identifier', 'early'];
    const isKept = async () => {
      const found = await aws<DBClusterSnapshotMessage>(
        first,
        'rds',
        'describe-db-cluster-snapshots',
        ...only,
      );
      return found.DBClusterSnapshots?.[0]?.Status === 'available';
    };
    await until('it is kept', isKept);
    await shop(first, 'insert into sold select generate_series(1001, 1200)');
  });

  test('the machine that stands by lists them, and sends wishes to the other one', { timeout }, async () => {
    const list = await standby.run('database', 'list');
    assert.match(list.out, /^c-[0-9a-f]+ .*available/m);
    const create = await standby.run('database', 'create', 'more');
    assert.match(create.err, /the first machine \(10\.77\.0\.1\) runs the databases/);
  });

  test('everything on the first machine is killed: all of it is on the standby', { timeout }, async () => {
    await first.kill();
    await standby.serves();
    await answers(standby);
    await serves(standby, 'shop');
    assert.equal((await shop(standby, 'select n from sold')).length, 1200);
    await isAttached(standby);
    assert.equal(read(standby), 'one');
    write(standby, 'two');
  });

  test('there they are changed, and others are made', { timeout }, async () => {
    const change = ['--master-user-password', PASSWORDS[1], '--apply-immediately'];
    await aws(standby, 'rds', 'modify-db-cluster', '--db-cluster-identifier', 'shop', ...change);
    await until('the password is another one', () => shop(standby, 'select 1', PASSWORDS[1]));
    await createCluster(standby, 'books');
    assert.notEqual((await cluster(standby, 'books')).Port, SHOP_PORT);
  });

  test('the snapshot of the lost machine is restored there, with its password', { timeout }, async () => {
    const of = ['--db-cluster-identifier', 'again', ...ENGINE];
    const from = ['--snapshot-identifier', 'early'];
    await aws(standby, 'rds', 'restore-db-cluster-from-snapshot', ...of, ...from);
    await createInstance(standby, 'again');
    const port = must((await cluster(standby, 'again')).Port);
    assert.equal((await query(standby, { port, sql: 'select n from sold' })).length, 1000);
  });

  test('that machine is cut off: the first one takes all of it back', { timeout }, async () => {
    await first.againBeside();
    net.cut(standby.number);
    await until('the first one serves', async () => (await first.status()).head.ready);
    await answers(first);
    for (const name of ['shop', 'books']) await serves(first, name);
    // The old head is there, and nobody has told it: what it is asked to write is never acknowledged.
    const refused = assert.rejects(shop(standby, 'create table stray as select 1', PASSWORDS[1]));
    await shop(first, 'insert into sold select generate_series(1201, 1500)', PASSWORDS[1]);
    await isAttached(first);
    assert.equal(read(first), 'two');
    net.heal(standby.number);
    await until('the old ones have ended', () => hasEnded(standby));
    await refused;
    const rows = await shop<{ there: string | null; sold: number }>(
      first,
      `select to_regclass('stray')::text as there, count(*)::int as sold from sold`,
      PASSWORDS[1],
    );
    assert.deepEqual(rows, [{ there: null, sold: 1500 }]);
  });

  test(
    'that one stands still, and wakes when another has taken over: it changes nothing',
    { timeout },
    async () => {
      first.signal('SIGSTOP');
      try {
        await until('the standby serves', async () => (await standby.status()).head.ready);
        await answers(standby);
        for (const name of ['shop', 'books', 'again']) await serves(standby, name);
        await shop(standby, 'insert into sold select generate_series(1501, 1600)', PASSWORDS[1]);
      } finally {
        first.signal('SIGCONT');
      }
      await until('it stands by', () => hasEnded(first));
      assert.equal((await shop(standby, 'select n from sold', PASSWORDS[1])).length, 1600);
      await isAttached(standby);
      await until('all are available', async () =>
        (await standby.status()).databases.every(({ phase }) => phase === 'available'),
      );
      assert.equal(read(standby), 'two');
    },
  );

  test('what is deleted is gone', { timeout }, async () => {
    await aws(standby, 'rds', 'delete-db-instance', '--db-instance-identifier', 'books-1');
    const of = ['--db-cluster-identifier', 'books'];
    await aws(standby, 'rds', 'delete-db-cluster', ...of, '--skip-final-snapshot');
    const isGone = async () =>
      /DBClusterNotFoundFault/.test((await awsEnd(standby, 'rds', 'describe-db-clusters', ...of)).err);
    await until('it is gone', isGone);
  });
});
