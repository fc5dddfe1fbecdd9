/** Snapshot sets of a running cluster, restored by Run Command with the instance's own keys: tried out, put in place, and cut short. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import * as fs from 'node:fs';
import * as path from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { test } from 'node:test';
import * as ec2 from '@aws-sdk/client-ec2';
import { must, systemClock } from '@rokka/kernel';
import { freePort } from '@rokka/kernel/testing';
import type { RestoreTest } from '@rokka/services';
import { killServersIn, RedisClient, startServer } from '@rokka/snapshots/testing';
import { APP_CONSISTENT, tagsOf } from './agent/vss-report.ts';
import { CloudUnderTest } from './testing/cloud-under-test.ts';
import type { Ec2UnderTest } from './testing/ec2-under-test.ts';
import { InstanceUnderTest } from './testing/instance-under-test.ts';
import { RokkaUnderTest } from './testing/rokka-under-test.ts';
import { TestPlace } from './testing/test-place.ts';
import { whySkipped } from './testing/why-skipped.ts';

const skip = whySkipped({ root: true });
const timeout = 600_000;
const COMMAND_MS_MAX = 180_000;
const LOOK_MS = 20;
const hasRedis = fs.existsSync('/usr/bin/redis-server');
const DEVICES = ['sdf', 'sdg'];
const RIGHTS = [
  'DescribeInstances',
  'DescribeSnapshots',
  'DescribeVolumes',
  'CreateVolume',
  'AttachVolume',
  'DetachVolume',
  'CreateTags',
];

const eventually = async <T>(what: string, look: () => Promise<T | undefined>): Promise<T> => {
  const endsAtMs = systemClock.nowMs() + COMMAND_MS_MAX;
  for (;;) {
    const found = await look();
    if (found !== undefined) return found;
    assert.ok(systemClock.nowMs() < endsAtMs, what);
    await systemClock.sleep(LOOK_MS);
  }
};

/** A Redis in a directory of its own, with one key. */
class OneKey implements AsyncDisposable {
  readonly #directory: string;
  readonly #server: Awaited<ReturnType<typeof startServer>>;
  readonly #signal = new AbortController().signal;

  private constructor(directory: string, server: Awaited<ReturnType<typeof startServer>>) {
    this.#directory = directory;
    this.#server = server;
  }

  static async start(directory: string): Promise<OneKey> {
    fs.mkdirSync(directory);
    execFileSync('chown', ['redis:', directory]);
    const server = await startServer({
      program: 'redis-server',
      dataDirectory: directory,
      args: (socket) => ['--port', '0', '--unixsocket', socket, '--dir', directory, '--appendonly', 'yes'],
      ready: /ready to accept connections/i,
      signal: new AbortController().signal,
    });
    return new OneKey(directory, server);
  }

  async ask(...words: string[]): Promise<unknown> {
    const at = { path: this.#server.socketPath };
    await using client = await RedisClient.open({ server: 'Redis', at }, this.#signal);
    return await client.command(words, this.#signal);
  }

  /** Also one that was started again by somebody else: it is known by its directory, while that is there. */
  async end(): Promise<void> {
    await killServersIn([this.#directory], this.#signal);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.end();
    await this.#server[Symbol.asyncDispose]();
  }
}

/** An instance with two volumes and a snapshot set of them. */
class Machine {
  readonly instance: InstanceUnderTest;
  directories: string[] = [];

  constructor(instance: InstanceUnderTest) {
    this.instance = instance;
  }

  get own(): Ec2UnderTest {
    return this.instance.own;
  }

  async makeVolumes(): Promise<void> {
    for (const device of DEVICES) {
      const volume = await this.own.volume({ Size: 1 });
      this.directories.push(await this.own.attach(volume, device));
    }
  }

  write(text: string): void {
    for (const directory of this.directories)
      fs.writeFileSync(path.join(directory, 'note.txt'), text, { flush: true });
  }

  /** On the first volume. */
  makeDatabase(): void {
    using database = new DatabaseSync(path.join(must(this.directories[0]), 'app.db'));
    database.exec('CREATE TABLE t (n); INSERT INTO t VALUES (1)');
  }

  /** On the first volume: an empty one, of an account that has no other rights there. */
  makeDump(): void {
    const file = path.join(must(this.directories[0]), 'dump.rdb');
    // No more than its header, its end, and no checksum.
    fs.writeFileSync(file, Buffer.from('REDIS0009\xff' + '\0'.repeat(8), 'latin1'), { flush: true });
    execFileSync('chown', ['redis:', file]);
  }

  get texts(): string[] {
    return this.directories.map((directory) => fs.readFileSync(path.join(directory, 'note.txt'), 'utf8'));
  }

  /** @returns the id that its tags have for it */
  async snapshotSet(): Promise<string> {
    const { client } = this.own;
    const { Volumes = [] } = await client.send(new ec2.DescribeVolumesCommand({}));
    const { Snapshots = [] } = await client.send(
      new ec2.CreateSnapshotsCommand({
        InstanceSpecification: { InstanceId: await this.own.instance(), ExcludeBootVolume: true },
      }),
    );
    const snapshots = Snapshots.map(({ VolumeId, SnapshotId }) => ({
      volume: must(VolumeId),
      snapshot: must(SnapshotId),
    }));
    await this.own.completed(snapshots.map(({ snapshot }) => snapshot));
    const set = { id: 'set-by-hand', snapshots };
    for (const { volume, snapshot } of snapshots) {
      const device = must(Volumes.find(({ VolumeId }) => VolumeId === volume)?.Attachments?.[0]?.Device);
      const Tags = tagsOf({ set, level: 'filesystem', reasons: [], writers: [] }, device);
      await client.send(new ec2.CreateTagsCommand({ Resources: [snapshot], Tags }));
    }
    return set.id;
  }

  /** As the agent does it where its writers held. */
  async markConsistent(): Promise<void> {
    const { client } = this.own;
    const { Snapshots = [] } = await client.send(new ec2.DescribeSnapshotsCommand({}));
    const Resources = Snapshots.map(({ SnapshotId }) => must(SnapshotId));
    await client.send(new ec2.CreateTagsCommand({ Resources, Tags: [APP_CONSISTENT] }));
  }

  begin(parameters: Readonly<Record<string, string>>): Promise<string> {
    return this.instance.commands.send('Rokka-RestoreVssSnapshot', parameters);
  }

  async ended(command: string): Promise<{ status: string; out: string; err: string }> {
    const end = await this.instance.commands.ended(command);
    return {
      status: must(end.Status),
      out: end.StandardOutputContent ?? '',
      err: end.StandardErrorContent ?? '',
    };
  }

  async restore(parameters: Readonly<Record<string, string>>) {
    return this.ended(await this.begin(parameters));
  }

  /** Asked of the kernel: what lasts for a moment only is over before a call is answered. */
  get isOneDetached(): boolean {
    const mounts = fs.readFileSync('/proc/self/mounts', 'utf8').split('\n');
    return !this.directories.every((directory) => mounts.some((line) => line.split(' ')[1] === directory));
  }

  /** Of volumes that are not going: by their tag where they have it, or of all. */
  async volumes(tag?: string, value = '*'): Promise<ec2.Volume[]> {
    const Filters = tag === undefined ? [] : [{ Name: `tag:${tag}`, Values: [value] }];
    const { Volumes = [] } = await this.own.client.send(new ec2.DescribeVolumesCommand({ Filters }));
    return Volumes.filter(({ State }) => State !== 'deleting');
  }
}

interface Told {
  readonly AssociationDescription: {
    readonly AssociationId: string;
    readonly Overview: { readonly Status: string };
    readonly Status?: { readonly Message: string };
  };
}

/** By an association, as whoever operates makes one and looks at it. */
async function triedEveryNight(cloud: CloudUnderTest, machine: Machine, set: string): Promise<void> {
  const association = async (operation: string, ...words: string[]) =>
    (await cloud.ask<Told>('ssm', `${operation}-association`, ...words)).AssociationDescription;
  const target = `Key=InstanceIds,Values=${await machine.own.instance()}`;
  const name = ['--name', 'Rokka-RestoreVssSnapshot', '--association-name', 'nightly', '--targets', target];
  const settings = [...name, '--schedule-expression', 'cron(0 4 * * ? *)', '--parameters'];
  const latest = 'SnapshotSetId=latest,MaxAgeHours=26';
  const { AssociationId } = await association('create', ...settings, latest);
  const id = ['--association-id', AssociationId];
  const ended = () =>
    eventually('its run ends', async () => {
      const told = await association('describe', ...id);
      return ['Success', 'Failed'].includes(told.Overview.Status) ? told : undefined;
    });
  const seen = (what: string, look: (test: RestoreTest) => boolean) =>
    cloud.rokka.until(what, ({ gateway }) => gateway?.restoreTests?.some(look) === true);

  // Nothing says of the set so far that it is consistent for applications.
  const none = await ended();
  assert.equal(none.Overview.Status, 'Failed');
  assert.match(none.Status?.Message ?? '', /no set of snapshots .* is consistent for applications/);
  await seen(
    'that it failed is seen',
    (one) => one.association === 'nightly' && /no set/.test(one.why ?? ''),
  );
  await machine.markConsistent();
  await cloud.ask('ssm', 'start-associations-once', '--association-ids', AssociationId);
  await seen('that it went well is seen', ({ failedAtMs, succeededAtMs }) => !failedAtMs && !!succeededAtMs);
  assert.equal((await association('describe', ...id)).Overview.Status, 'Success');
  const { AssociationExecutions } = await cloud.ask<{ AssociationExecutions: { ExecutionId: string }[] }>(
    'ssm',
    'describe-association-executions',
    ...id,
  );
  const { out } = await machine.ended(must(AssociationExecutions[0]).ExecutionId);
  assert.match(out, new RegExp(`^The newest set of this instance .*\nSnapshot set ${set}, `));
  await cloud.ask('ssm', 'delete-association', ...id);
}

test(
  'a snapshot set is tried out, put in place of what there is, and nothing stays of what was cut short',
  { skip, timeout },
  async () => {
    await using place = await TestPlace.make();
    const port = await freePort();
    await using rokka = await RokkaUnderTest.start(place, { env: { ROKKA_AWS_PORT: String(port) } });
    const cloud = await CloudUnderTest.start(rokka, port);
    const machine = new Machine(await InstanceUnderTest.of(cloud));
    await machine.instance.giveRole();
    await machine.makeVolumes();
    machine.write('one');
    machine.makeDatabase();
    if (hasRedis) machine.makeDump();
    await using redis = hasRedis
      ? await OneKey.start(path.join(must(machine.directories[1]), 'redis'))
      : undefined;
    await redis?.ask('SET', 'note', 'one');
    const SnapshotSetId = await machine.snapshotSet();
    machine.write('two');
    await redis?.ask('SET', 'note', 'two');
    const before = (await machine.volumes()).length;

    await machine.instance.allow(...RIGHTS);
    const refused = await machine.restore({ SnapshotSetId });
    assert.match(refused.err, /ROKKA_RESTORE_REFUSED.*ec2:DeleteVolume/);
    assert.deepEqual(await machine.volumes('RokkaRestore'), []);
    await machine.instance.allow(...RIGHTS, 'DeleteVolume');

    const tried = await machine.restore({ SnapshotSetId });
    assert.equal(tried.status, 'Success', JSON.stringify(tried));
    const [files, others] = hasRedis ? [3, '4 files'] : [2, '1 files with 3 bytes'];
    assert.match(tried.out, new RegExp(`readable: .*clean: ${files} files.*\nreadable: .*clean: ${others}`));
    if (hasRedis) assert.match(tried.out, /redis: .*dump\.rdb: clean: it loads whole, with 0 keys/);
    assert.match(tried.out, /sqlite: .*app\.db: clean: whole/);
    assert.equal((await machine.volumes()).length, before);
    assert.deepEqual(machine.texts, ['two', 'two']);

    await triedEveryNight(cloud, machine, SnapshotSetId);
    assert.equal((await machine.volumes()).length, before);

    // The agent is killed as soon as something is there that it has made.
    const agent = async () => must((await rokka.status()).agent?.pid);
    const first = await agent();
    const command = await machine.begin({ SnapshotSetId });
    await eventually('a volume is made', async () => (await machine.volumes('RokkaRestore', command))[0]);
    rokka.kill([first]);
    const cut = await machine.ended(command);
    assert.match(cut.err, /the agent ended.*What it had made is deleted: vol-/);
    assert.equal(cut.status, 'Failed');
    assert.equal((await machine.volumes()).length, before);

    const held = fs.openSync(path.join(must(machine.directories[0]), 'note.txt'), 'a');
    const busy = await machine.restore({ SnapshotSetId, Mode: 'Replace' });
    fs.closeSync(held);
    assert.match(busy.err, new RegExp(`programs have files open.*pid ${process.pid}.*note.txt`));
    assert.deepEqual(machine.texts, ['two', 'two']);
    const runs = async (text: string) => {
      assert.deepEqual(machine.texts, [text, text]);
      if (redis) assert.equal(await redis.ask('GET', 'note'), text);
    };
    await runs('two');

    // It is killed in the middle of replacing: then all are those that were there, or all are new.
    // What was stopped for it runs again, in either case.
    const second = await agent();
    // It is watched from before it begins: all of it may be over before whoever sent it hears that it was sent.
    const cutShort = eventually('one is detached', async () => machine.isOneDetached || undefined);
    const killed = cutShort.then(
      () => rokka.kill([second]),
      (error: unknown) => error,
    );
    const exchange = await machine.begin({ SnapshotSetId, Mode: 'Replace', Verify: 'False' });
    const why = await killed;
    const ended = await machine.ended(exchange);
    assert.ok(!(why instanceof Error), `${String(why)}: ${JSON.stringify(ended)}`);
    assert.equal(ended.status, 'Failed');
    const isBefore = /What it had made is deleted: .* As before: vol-/.test(ended.err);
    assert.deepEqual(machine.texts, isBefore ? ['two', 'two'] : ['one', 'one'], JSON.stringify(ended));
    await runs(isBefore ? 'two' : 'one');

    const replaced = await machine.restore({ SnapshotSetId, Mode: 'Replace' });
    assert.equal(replaced.status, 'Success', JSON.stringify(replaced));
    assert.match(replaced.out, /Everything starts clean\./);
    await runs('one');
    const kept = await machine.volumes('RokkaReplaced');
    assert.ok(kept.length >= DEVICES.length);
    assert.deepEqual(
      kept.map(({ State }) => State),
      kept.map(() => 'available'),
    );
    await redis?.end();
    await rokka.stop();
  },
);
