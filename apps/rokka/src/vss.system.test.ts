/**
 * Snapshots in which an application has nothing to recover, as AWS's own walk-through has it: a role for the instance, the package of
 * writers, the command, the tags, and the proof: what is restored starts.
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import * as fs from 'node:fs';
import * as path from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { after, before, test } from 'node:test';
import * as ec2 from '@aws-sdk/client-ec2';
import { must } from '@rokka/kernel';
import { freePort } from '@rokka/kernel/testing';
import {
  connectMariadb,
  installedPrograms,
  killServersIn,
  parseRecovery,
  PostgresServer,
  RedisClient,
  REDO_BYTES_MAX,
  skipWithout,
  SqliteLoad,
  startMariadb,
  startServer,
} from '@rokka/snapshots/testing';
import { CloudUnderTest } from './testing/cloud-under-test.ts';
import { InstanceUnderTest } from './testing/instance-under-test.ts';
import { InsertLoad } from './testing/insert-load.ts';
import { RokkaUnderTest } from './testing/rokka-under-test.ts';
import { TestPlace } from './testing/test-place.ts';
import { whySkipped } from './testing/why-skipped.ts';

const programs = installedPrograms().find((found) => found.skip === false);
const skip =
  whySkipped({ cli: true, root: true }) ||
  skipWithout('mysql', ['mariadbd', 'mariadb-install-db']) ||
  skipWithout('redis', ['redis-server']) ||
  (programs ? false : 'there is no PostgreSQL');
/** Where the machine is so busy that not all come to hold in time, the command says so, and is given again. */
const TRIES = 3;
const timeout = 900_000;
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
/** Each has one row under way at any moment. */
const LOADERS = 3;
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

/** A MariaDB and a Redis, each with rows that are counted. */
class Others implements AsyncDisposable {
  readonly #servers: Awaited<ReturnType<typeof startServer>>[] = [];
  readonly #directories: readonly string[];
  readonly #signal = new AbortController().signal;

  private constructor(directories: readonly string[]) {
    this.#directories = directories;
  }

  static async start(directories: { mariadb: string; redis: string }): Promise<Others> {
    const { mariadb, redis } = directories;
    const others = new Others([mariadb, redis]);
    for (const [directory, account] of [
      [mariadb, 'mysql'],
      [redis, 'redis'],
    ] as const) {
      fs.mkdirSync(directory);
      execFileSync('chown', [`${account}:`, directory]);
    }
    others.#servers.push(await startMariadb(mariadb, ['--innodb-log-file-size=8M'], others.#signal));
    others.#servers.push(
      await startServer({
        program: 'redis-server',
        dataDirectory: redis,
        args: (socket) => ['--port', '0', '--unixsocket', socket, '--dir', redis, '--appendonly', 'yes'],
        ready: /ready to accept connections/i,
        signal: others.#signal,
      }),
    );
    await others.#sql('CREATE DATABASE t', 'CREATE TABLE t.t (id INT AUTO_INCREMENT PRIMARY KEY)');
    return others;
  }

  /** One row more each. */
  async add(): Promise<void> {
    await this.#sql('INSERT INTO t.t VALUES ()');
    await this.#redis(['RPUSH', 't', 'row']);
  }

  async rows(): Promise<number[]> {
    const found = await this.#sql('SELECT COUNT(*) AS n FROM t.t');
    return [Number(found), Number(await this.#redis(['LLEN', 't']))];
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await killServersIn(this.#directories, this.#signal);
    for (const server of this.#servers) await server[Symbol.asyncDispose]();
  }

  async #sql(...statements: string[]): Promise<unknown> {
    await using session = await connectMariadb(must(this.#servers[0]), this.#signal);
    let last: unknown;
    for (const each of statements) last = (await session.query(each, this.#signal))[0]?.['n'];
    return last;
  }

  async #redis(words: readonly string[]): Promise<unknown> {
    const at = { path: must(this.#servers[1]).socketPath };
    await using client = await RedisClient.open({ server: 'Redis', at }, this.#signal);
    return await client.command(words, this.#signal);
  }
}

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

/** The command as a person gives it. @returns how it ended */
async function snapshot() {
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
      CollectDiagnosticLogs: ['True'],
      description: ['before the change'],
      tags: ['Key=Name,Value=ledger;Key=Team,Value=books'],
    }),
  );
  return instance.commands.ended(command.Command.CommandId);
}

test(
  'PostgreSQL with its log on a second volume, and MariaDB, Redis and SQLite, are snapshotted under load, and put back while they run',
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
    await using load = await InsertLoad.start(() => server.client(), LOADERS);
    await load.acknowledged(200);
    await using others = await Others.start({
      mariadb: path.join(data, 'maria'),
      redis: path.join(log, 'redis'),
    });
    await others.add();
    const file = path.join(data, 'app/app.db');
    await using rows = await SqliteLoad.start({ file, journalMode: 'wal' });
    const [early, earlyRows] = [load.count, rows.committed];
    let end = await snapshot();
    for (let tries = 1; tries < TRIES && end.Status === 'Failed'; tries++) {
      assert.match(end.StandardOutputContent ?? '', /Not consistent for applications/);
      end = await snapshot();
    }
    assert.equal(end.Status, 'Success', `${end.StandardOutputContent}${end.StandardErrorContent}`);
    const kept = /^Diagnostic log: (\/.*\.log)$/m.exec(end.StandardOutputContent ?? '')?.[1];
    assert.match(
      fs.readFileSync(must(kept), 'utf8'),
      /ms freeze, .*WAITING_FOR_FREEZE[^]*ms thaw, [^]*level application/,
    );
    const late = load.count + LOADERS;
    await load.acknowledged(200);
    await load.stop();
    await others.add();
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
    // All of them run.
    const restored = await instance.commands.run('Rokka-RestoreVssSnapshot', {
      SnapshotSetId: set,
      Mode: 'Replace',
    });
    try {
      const said = `${restored.StandardOutputContent}${restored.StandardErrorContent}`;
      assert.equal(restored.Status, 'Success', said);
      assert.match(said, /PostgreSQL at .*pgdata.*it starts, after \d+ bytes of its log/);
      assert.match(said, /app\.db: clean: whole, with nothing to recover/);
      for (const name of ['PostgreSQL', 'MariaDB', 'Redis'])
        assert.match(said, new RegExp(`Stopped: ${name} at[^]*Runs again: ${name} at`));
      using database = new DatabaseSync(file, { readOnly: true });
      const foundRows = Number(database.prepare('SELECT count(*) AS count FROM t').get()?.['count']);
      assert.ok(
        earlyRows <= foundRows && foundRows <= rows.committed,
        `${earlyRows} were acknowledged before it, ${foundRows} are there, of ${rows.committed}`,
      );
      const found = await InsertLoad.found(await server.client());
      assert.ok(
        early <= found && found <= late,
        `${early} were acknowledged before it, ${found} are there, of ${late}`,
      );
      assert.deepEqual(await others.rows(), [1, 1]);
      const words = fs.readFileSync(path.join(place.data, 'agent/writers/postgresql.log'), 'utf8');
      const { redoBytes } = parseRecovery(words);
      assert.ok(redoBytes <= REDO_BYTES_MAX, `${redoBytes} bytes of log were read`);
    } finally {
      await killServersIn([data, log], new AbortController().signal);
    }
  },
);
