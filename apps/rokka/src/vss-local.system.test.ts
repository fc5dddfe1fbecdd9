/** A snapshot of volumes with local file systems of the machine beside them: one moment, one level, for all. */
import assert from 'node:assert/strict';
import * as fs from 'node:fs';
import * as path from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { after, before, test } from 'node:test';
import * as ec2 from '@aws-sdk/client-ec2';
import { must, systemClock } from '@rokka/kernel';
import { freePort } from '@rokka/kernel/testing';
import { isFrozen, LoopBench, skipWithoutLoops } from '@rokka/snapshots/testing';
import { CloudUnderTest } from './testing/cloud-under-test.ts';
import { InstanceUnderTest } from './testing/instance-under-test.ts';
import { RokkaUnderTest } from './testing/rokka-under-test.ts';
import { TestPlace } from './testing/test-place.ts';
import { whySkipped } from './testing/why-skipped.ts';

const skip = whySkipped({ cli: true, root: true }) || skipWithoutLoops();
const timeout = 900_000;
const NUMBERS_MS = 2;
let place: TestPlace;
let rokka: RokkaUnderTest;
let instance: InstanceUnderTest;
let bench: LoopBench;

before(
  async () => {
    if (skip) return;
    bench = new LoopBench();
    place = await TestPlace.make();
    const port = await freePort();
    rokka = await RokkaUnderTest.start(place, { env: { ROKKA_AWS_PORT: String(port) } });
    instance = await InstanceUnderTest.of(await CloudUnderTest.start(rokka, port));
    await instance.mayMakeSnapshots();
  },
  { timeout },
);

after(
  async () => {
    await rokka?.[Symbol.asyncDispose]();
    await place?.[Symbol.asyncDispose]();
    bench?.[Symbol.dispose]();
  },
  { timeout },
);

/** Numbers go to a database on the volume first, and then to one on the local file system: local ≤ volume ≤ local + 1. */
class TwoDatabases implements AsyncDisposable {
  readonly #databases: readonly DatabaseSync[];
  readonly #over = new AbortController();
  readonly #running: Promise<void>;
  written = 0;

  constructor(files: readonly string[]) {
    this.#databases = files.map((file) => {
      const database = new DatabaseSync(file);
      database.exec('PRAGMA journal_mode=WAL; CREATE TABLE t (n INTEGER PRIMARY KEY)');
      return database;
    });
    this.#running = this.#run();
  }

  async #run(): Promise<void> {
    for (; !this.#over.signal.aborted; this.written++) {
      for (const database of this.#databases) await this.#insert(database, this.written + 1);
      await systemClock.sleep(NUMBERS_MS);
    }
  }

  /** What is held is tried again: this process must not stand still, for it waits for the command as well. */
  async #insert(database: DatabaseSync, n: number): Promise<void> {
    for (;;)
      try {
        database.prepare('INSERT INTO t VALUES (?)').run(n);
        return;
      } catch (error) {
        assert.match((error as Error).message, /locked/);
        await systemClock.sleep(NUMBERS_MS);
      }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#over.abort();
    await this.#running;
    for (const database of this.#databases) database.close();
  }
}

function lastIn(file: string): number {
  using database = new DatabaseSync(`file:${file}?immutable=1`, { readOnly: true });
  const { last } = database.prepare('SELECT max(n) AS last FROM t').get() as { last: number };
  return last;
}

const list = (text: string) =>
  fs.writeFileSync(path.join(place.data, 'agent', 'local-filesystems'), text, { mode: 0o600 });

async function made(): Promise<{ all: number; consistent: number }> {
  const { Snapshots = [] } = await instance.own.client.send(
    new ec2.DescribeSnapshotsCommand({ OwnerIds: ['self'] }),
  );
  const isConsistent = ({ Tags = [] }: ec2.Snapshot) => Tags.some(({ Key }) => Key === 'AppConsistent');
  return { all: Snapshots.length, consistent: Snapshots.filter(isConsistent).length };
}

function setsIn(store: string): { id: string; level: string; copy: string }[] {
  return fs
    .globSync(path.join(store, '.rokka-snapshots', '*', 'set.json'))
    .sort()
    .map((file) => {
      const { id, level, fileSystems } = JSON.parse(fs.readFileSync(file, 'utf8')) as {
        id: string;
        level: string;
        fileSystems: { copy: string }[];
      };
      return { id, level, copy: must(fileSystems[0]).copy };
    });
}

/** A machine that is slow thaws too late, and is told so: then it is tried again. */
const TRIES_MAX = 5;

async function heldByHand(mountPoint: string): Promise<void> {
  const io = (Action: string) => instance.commands.run('AWSEC2-ManageVssIO', { Action });
  const tryIt = async () => {
    const frozen = await io('Freeze');
    assert.equal(frozen.Status, 'Success', frozen.StandardErrorContent);
    const wasFrozen = isFrozen(mountPoint);
    return { wasFrozen, thawed: await io('Thaw') };
  };
  let tried = await tryIt();
  for (let tries = 1; tried.thawed.Status !== 'Success' && tries < TRIES_MAX; tries++) {
    assert.match(tried.thawed.StandardErrorContent ?? '', /nobody thawed within 10000 ms/);
    tried = await tryIt();
  }
  assert.equal(tried.wasFrozen, true);
  assert.match(tried.thawed.StandardOutputContent ?? '', /Local file systems were frozen for \d+ ms/);
  assert.equal(isFrozen(mountPoint), false);

  // The agent is killed before anybody has thawed: the file system goes on, and Thaw says that it did.
  await io('Freeze');
  rokka.kill([must((await rokka.status()).agent?.pid)]);
  while (isFrozen(mountPoint)) await systemClock.sleep(NUMBERS_MS);
  const late = await io('Thaw');
  assert.equal(late.Status, 'Failed');
  assert.match(
    late.StandardErrorContent ?? '',
    /nothing is frozen: it never was, or the agent has begun anew/,
  );
}

test('applications on volumes and on local file systems are held together', { skip, timeout }, async () => {
  const store = bench.store().mountPoint;
  const { mountPoint } = bench.make('ledger', { type: 'ext4', directory: store });
  const volume = await instance.own.volume({ Size: 1 });
  const root = await instance.own.attach(volume, 'sdf');
  list(`# what is beside the volumes\n${mountPoint}\n`);
  {
    await using databases = new TwoDatabases([path.join(root, 'app.db'), path.join(mountPoint, 'app.db')]);
    while (databases.written < 50) await systemClock.sleep(10);
    const early = databases.written;
    const end = await instance.snapshot();
    assert.equal(end.Status, 'Success', `${end.StandardOutputContent}${end.StandardErrorContent}`);
    const [set] = setsIn(store);
    assert.equal(must(set).level, 'application');
    const output = must(end.StandardOutputContent);
    assert.match(
      output,
      new RegExp(`Local snapshot set ${set?.id}, of the same level:\\n  ${set?.copy} of ${mountPoint}\\n`),
    );
    assert.match(output, /Local file systems were frozen for \d+ ms/);
    for (const at of [root, mountPoint]) assert.ok(output.includes(` ${at}/app.db@`), output);
    assert.deepEqual(await made(), { all: 1, consistent: 1 });
    const inCopy = bench.look(must(set).copy, 'ext4', (at) => {
      assert.deepEqual(
        fs
          .readdirSync(at)
          .filter((name) => name.endsWith('-wal'))
          .map((name) => fs.statSync(path.join(at, name)).size),
        [0],
        'nothing is left to replay',
      );
      return lastIn(path.join(at, 'app.db'));
    });
    assert.ok(early <= inCopy && inCopy <= databases.written);
    const { Snapshots = [] } = await instance.own.client.send(
      new ec2.DescribeSnapshotsCommand({ OwnerIds: ['self'] }),
    );
    const restored = await instance.own.volume({ SnapshotId: must(Snapshots[0]?.SnapshotId) });
    const inVolume = lastIn(path.join(await instance.own.attach(restored, 'sdg'), 'app.db'));
    assert.ok(
      inCopy <= inVolume && inVolume <= inCopy + 1,
      `${inVolume} in the volume, ${inCopy} in the copy`,
    );
    await instance.own.detach(restored);
  }

  const stray = fs.openSync(path.join(mountPoint, 'stray'), 'w');
  try {
    const lesser = await instance.snapshot();
    assert.equal(lesser.Status, 'Failed');
    assert.match(
      lesser.StandardErrorContent ?? '',
      new RegExp(`no writer speaks for .* writes ${mountPoint}/stray`),
    );
  } finally {
    fs.closeSync(stray);
  }
  assert.deepEqual(await made(), { all: 2, consistent: 1 });
  assert.deepEqual(
    setsIn(store).map(({ level }) => level),
    ['application', 'filesystem'],
  );

  await heldByHand(mountPoint);

  list(`${mountPoint}\n/\n`);
  const refused = await instance.snapshot();
  assert.equal(refused.Status, 'Failed');
  assert.match(refused.StandardErrorContent ?? '', /SNAPSHOTS_LOCAL_UNFIT: \/ cannot be in a snapshot/);
  assert.deepEqual([await made(), setsIn(store).length], [{ all: 2, consistent: 1 }, 2]);
  await instance.own.detach(volume);
});
