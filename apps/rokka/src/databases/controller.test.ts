/** The controller with heads that are stand-ins, on a virtual clock: turns, failures, deletions that are cut short. */
import assert from 'node:assert/strict';
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import { test } from 'node:test';
import {
  type DatabasePhase,
  type DatabaseRecord,
  Databases,
  DatabaseSecrets,
  Snapshots,
} from '@rokka/databases';
import {
  CodedError,
  Deferred,
  type Lsn,
  must,
  type NodeId,
  SeededRandom,
  VirtualClock,
  type VolumeId,
} from '@rokka/kernel';
import { MemoryRegistry } from '@rokka/registry';
import { DatabaseController } from './controller.ts';
import { SpareProcess } from '../spare-process.ts';
import type { Head, UnitOptions } from './database-unit.ts';

type MakeHead = Parameters<UnitOptions['makeHead']>[0];

class StandIn implements Head {
  readonly pid = 1;
  readonly restarts = 0;
  ready = false;
  lastError: CodedError | undefined;
  ended = false;
  readonly record: DatabaseRecord;
  readonly #of: MakeHead;
  readonly #served = new Deferred<void>();
  readonly asked: string[] = [];
  refuses = false;
  spareWaits: boolean;
  readonly handedOver: SpareProcess | undefined;

  constructor(of: MakeHead) {
    this.record = of.record;
    this.handedOver = of.handedOver;
    this.spareWaits = (of.record.standbys ?? 0) > 0;
    this.#of = of;
  }

  start(): Promise<void> {
    return this.#served.promise;
  }

  async ask(what: string, _timeoutMs: number, argument?: unknown): Promise<unknown> {
    this.asked.push(what);
    // The answer comes in another turn, as over a channel.
    await new Promise((done) => setImmediate(done));
    if (this.refuses) throw new CodedError('ARCHIVE_STORE_FAILED', 'it is so');
    const { files } = this.record;
    if (what === 'resize') return { ...(argument as object), mountPoint: `/run/${files?.mount}` };
    return { lsn: this.asked.length };
  }

  serve(): void {
    this.ready = true;
    this.#served.resolve();
    const { port, userName: user, databaseName: database, files } = this.record;
    if (files) this.#of.onReady({ sizeBytes: files.sizeBytes, mountPoint: `/run/${files.mount}` });
    else this.#of.onReady({ host: '127.0.0.1', port, user, database, socketDirectory: '/' });
  }

  fail(code: string): void {
    const error = new CodedError(code, 'it is so');
    this.lastError = error;
    this.ended = true;
    this.#served.reject(error);
    this.#of.onFinal(error);
  }

  async status(): Promise<unknown> {
    return undefined;
  }

  kill(): void {}

  keepSpare(wanted: boolean): void {
    this.spareWaits = wanted;
  }

  /** What it has handed over cannot be launched: whether it still would be says whether it is kept. */
  launches = 0;
  given: SpareProcess | undefined;

  handOver(): SpareProcess {
    const launch = () => {
      throw new Error(`it is not launched: ${++this.launches}`);
    };
    this.given = new SpareProcess({ launch, onMissing: () => {} });
    return this.given;
  }

  /** It takes its time to end. */
  lingers: Deferred<void> | undefined;

  async [Symbol.asyncDispose](): Promise<void> {
    await this.lingers?.promise;
    this.ended = true;
    this.ready = false;
  }
}

class Bench implements AsyncDisposable {
  readonly clock = new VirtualClock();
  readonly registry = new MemoryRegistry();
  readonly directory = fs.mkdtempSync(path.join(os.tmpdir(), 'rokka-controller-'));
  readonly secrets = new DatabaseSecrets(this.directory);
  readonly databases: Databases;
  readonly snapshots: Snapshots;
  readonly heads: StandIn[] = [];
  readonly finals: CodedError[] = [];
  readonly volumes = new Set<VolumeId>();
  /** Volumes that a node still holds, though deleted. */
  readonly half = new Set<VolumeId>();
  /** What the next attempt to drop a volume does. */
  drop: 'well' | 'ill' | 'node away' | 'never' = 'well';
  controller: DatabaseController;
  /** Where a stopped database ended. */
  end: Lsn | undefined;

  private constructor() {
    const { registry, clock, secrets } = this;
    const random = new SeededRandom(1);
    const onChanged = () => this.controller.nudge();
    this.databases = new Databases({ registry, secrets, clock, random, many: true, onChanged });
    this.snapshots = new Snapshots({ registry, secrets, clock, random, onChanged });
    this.controller = this.#make();
  }

  static async start(): Promise<Bench> {
    const bench = new Bench();
    const main = { name: 'main', engine: 'native', volumeId: 'vol-main', createdAtMs: 0 };
    await bench.registry.put('databases/main', main, 0);
    return bench;
  }

  /** Main serves. */
  async up(): Promise<void> {
    const started = this.controller.start();
    started.catch(() => {});
    await this.pass(300);
    must(this.head('main')).serve();
    await started;
  }

  /** Everything is forgotten but the registry, the secrets and the volumes. */
  async crash(): Promise<void> {
    this.controller.kill();
    this.heads.length = 0;
    this.controller = this.#make();
    await this.up();
  }

  head(name: string): StandIn | undefined {
    return this.heads.findLast(({ record, ended }) => record.name === name && !ended);
  }

  async phase(name: string): Promise<DatabasePhase | undefined> {
    return (await this.databases.state(name))?.phase;
  }

  async create(name: string): Promise<void> {
    await this.databases.create({ name, engine: 'native' });
    await this.pass(300);
  }

  async pass(ms: number): Promise<void> {
    for (const endMs = this.clock.nowMs() + ms; this.clock.nowMs() < endMs;) {
      this.clock.advanceTo(Math.min(endMs, this.clock.nowMs() + 50));
      for (let turn = 0; turn < 4; turn++) await new Promise((done) => setImmediate(done));
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.drop = 'well';
    const stopped = this.controller[Symbol.asyncDispose]();
    await this.pass(1_000);
    await stopped;
    fs.rmSync(this.directory, { recursive: true });
  }

  #make(): DatabaseController {
    return new DatabaseController({
      databases: this.databases,
      secrets: this.secrets,
      clock: this.clock,
      random: new SeededRandom(2),
      makeHead: (of) => {
        const head = new StandIn(of);
        this.heads.push(head);
        return head;
      },
      makeVolume: async ({ volumeId }) => void this.volumes.add(volumeId),
      dropVolume: async (volumeId, signal) => {
        if (this.drop === 'never') {
          await new Promise((done) => signal.addEventListener('abort', done));
          return { left: ['n1' as NodeId], reasons: {} };
        }
        if (this.drop === 'ill') throw new CodedError('REGISTRY_UNREACHABLE', 'it is so');
        const isAway = this.drop === 'node away';
        if (isAway) this.half.add(volumeId);
        else this.half.delete(volumeId);
        this.volumes.delete(volumeId);
        return { left: isAway ? ['n1' as NodeId] : [], reasons: {} };
      },
      halfDropped: async () => [...this.half],
      snapshots: this.snapshots,
      endOf: async () => this.end,
      removeSockets: () => {},
      onMainFinal: (error) => this.finals.push(error),
      onLog: () => {},
    });
  }
}

test('main comes first, then two at a time', async () => {
  await using bench = await Bench.start();
  for (const name of ['a', 'b', 'c', 'd']) await bench.databases.create({ name, engine: 'native' });
  const started = bench.controller.start();
  await bench.pass(1_000);
  const running = () => bench.heads.filter(({ ended }) => !ended).map(({ record }) => record.name);
  assert.deepEqual(running(), ['main']);
  must(bench.head('main')).serve();
  await started;
  await bench.pass(1_000);
  assert.deepEqual(running(), ['main', 'a', 'b']);
  must(bench.head('b')).serve();
  await bench.pass(1_000);
  assert.deepEqual(running(), ['main', 'a', 'b', 'c']);
  // One that takes long holds up nobody.
  await bench.pass(31_000);
  assert.deepEqual(running(), ['main', 'a', 'b', 'c', 'd']);
  assert.equal(await bench.phase('b'), 'available');
  assert.equal(await bench.phase('d'), 'creating');
});

test('main that cannot start is told to whoever started it', async () => {
  await using bench = await Bench.start();
  const started = bench.controller.start();
  started.catch(() => {});
  await bench.pass(300);
  must(bench.head('main')).fail('DATABASE_PORT_USED');
  await assert.rejects(started, { code: 'DATABASE_PORT_USED' });
  assert.deepEqual(
    bench.finals.map(({ code }) => code),
    ['DATABASE_PORT_USED'],
  );
});

test('one that fails says why, is tried again by itself, and at once when it is changed', async () => {
  await using bench = await Bench.start();
  await bench.up();
  await bench.create('a');
  must(bench.head('a')).fail('DATABASE_PORT_USED');
  await bench.pass(300);
  const failed = await bench.databases.state('a');
  assert.deepEqual([failed?.phase, failed?.reason], ['failed', 'DATABASE_PORT_USED: it is so']);
  assert.equal(bench.head('a'), undefined);
  await bench.pass(2_000);
  must(bench.head('a')).fail('DATABASE_PORT_USED');
  await bench.pass(2_000);
  assert.equal(bench.head('a'), undefined, 'the pause grows');
  await bench.databases.change('a', { port: 6_000 });
  await bench.pass(300);
  assert.equal(must(bench.head('a')).record.port, 6_000);
  must(bench.head('a')).serve();
  await bench.pass(300);
  const { atMs: _, ...state } = must(await bench.databases.state('a'));
  assert.deepEqual(state, {
    phase: 'available',
    generation: 0,
    passwordVersion: 0,
    endpoint: { host: '127.0.0.1', port: 6_000 },
  });
  assert.deepEqual(bench.finals, []);
});

test('what is deleted goes, whatever fails or is killed on the way', async () => {
  await using bench = await Bench.start();
  await bench.up();
  await bench.create('a');
  const head = must(bench.head('a'));
  head.serve();
  await bench.pass(300);
  bench.drop = 'ill';
  await bench.databases.setDesired('a', 'deleted');
  await bench.pass(300);
  assert.equal(head.ended, true);
  const state = await bench.databases.state('a');
  assert.deepEqual([state?.phase, state?.reason], ['deleting', 'REGISTRY_UNREACHABLE: it is so']);
  bench.drop = 'never';
  await bench.pass(10_000);
  await bench.crash();
  assert.equal(await bench.phase('a'), 'deleting');
  assert.equal(bench.volumes.size, 1);
  bench.drop = 'node away';
  await bench.crash();
  await bench.pass(1_000);
  assert.deepEqual([(await bench.databases.list()).length, bench.half.size], [1, 1]);
  assert.deepEqual(fs.readdirSync(bench.directory), ['postgres-password']);
  // The name is free at once, and what the node still holds is not that of the next.
  await bench.create('a');
  bench.drop = 'well';
  await bench.pass(11_000);
  assert.deepEqual([bench.half.size, bench.volumes.size], [0, 1]);
});

test('a wish that comes in the middle of another one is carried out next', async () => {
  await using bench = await Bench.start();
  await bench.up();
  await bench.create('a');
  await bench.databases.setDesired('a', 'stopped');
  await bench.pass(300);
  assert.equal(bench.head('a'), undefined);
  assert.equal(await bench.phase('a'), 'stopped');
  await bench.databases.setDesired('a', 'running');
  await bench.pass(300);
  const first = must(bench.head('a'));
  await bench.databases.restart('a');
  await bench.pass(300);
  const second = must(bench.head('a'));
  assert.notEqual(first, second);
  second.serve();
  await bench.pass(300);
  assert.equal((await bench.databases.state('a'))?.generation, 1);
});

test('a standby comes and goes beside a head that serves, and is told while it waits', async () => {
  await using bench = await Bench.start();
  await bench.up();
  await bench.create('a');
  const head = must(bench.head('a'));
  head.serve();
  await bench.pass(300);
  const told = async () => (await bench.databases.state('a'))?.standbys;
  assert.deepEqual([head.spareWaits, await told()], [false, undefined]);
  await bench.databases.change('a', { standbys: 1 });
  await bench.pass(300);
  assert.deepEqual([head.spareWaits, await told()], [true, 1]);
  head.spareWaits = false;
  await bench.pass(300);
  assert.equal(await told(), undefined, 'it has taken the place of the head, or has ended');
  head.spareWaits = true;
  await bench.databases.change('a', { standbys: 0 });
  await bench.pass(300);
  assert.deepEqual([head.spareWaits, await told()], [false, undefined]);
  assert.equal(bench.head('a'), head, 'nobody was restarted for it');
});

test('who waits is the next head of a database that begins again, and goes with one that does not', async () => {
  await using bench = await Bench.start();
  await bench.up();
  await bench.create('a');
  const first = must(bench.head('a'));
  first.serve();
  await bench.databases.restart('a');
  await bench.pass(300);
  const second = must(bench.head('a'));
  assert.deepEqual([first.handedOver, second.handedOver], [undefined, must(first.given)]);
  second.serve();
  await bench.pass(300);
  await bench.databases.setDesired('a', 'stopped');
  await bench.pass(300);
  assert.equal(second.given, undefined);
  await bench.databases.setDesired('a', 'running');
  await bench.pass(300);
  const third = must(bench.head('a'));
  third.serve();
  third.lingers = new Deferred<void>();
  await bench.databases.restart('a');
  await bench.pass(300);
  await bench.databases.setDesired('a', 'stopped');
  third.lingers.resolve();
  await bench.pass(600);
  assert.equal(await bench.phase('a'), 'stopped');
  must(third.given).prepare();
  assert.equal(third.launches, 0, 'it was let go');
});

test('a snapshot is settled by the head, again where it cannot now, and fails where nobody will', async () => {
  await using bench = await Bench.start();
  await bench.up();
  await bench.create('one');
  must(bench.head('one')).serve();
  await bench.pass(300);
  const record = await bench.databases.get('one');
  const phaseOf = async (name: string) => (await bench.snapshots.get(name)).phase;
  const first = await bench.snapshots.request(record);
  assert.equal(await phaseOf(first.name), 'creating');
  await bench.pass(300);
  const { phase, lsn } = await bench.snapshots.get(first.name);
  assert.deepEqual([phase, lsn], ['available', 1]);
  assert.equal(bench.snapshots.password(first.name), bench.secrets.read('one'));

  must(bench.head('one')).refuses = true;
  const second = await bench.snapshots.request(record);
  await bench.pass(2_500);
  assert.equal(await phaseOf(second.name), 'creating');
  assert.ok(must(bench.head('one')).asked.length >= 3);
  // Whoever comes after a crash goes on with it.
  await bench.crash();
  await bench.pass(300);
  assert.equal(await phaseOf(second.name), 'creating');
  must(bench.head('one')).serve();
  await bench.pass(1_500);
  assert.equal(await phaseOf(second.name), 'available');

  await bench.databases.setDesired('one', 'stopped');
  await bench.pass(300);
  const third = await bench.snapshots.request(record);
  await bench.pass(300);
  assert.deepEqual(await phaseOf(third.name), 'failed');
  bench.end = 77 as Lsn;
  const fourth = await bench.snapshots.request(record);
  await bench.pass(300);
  assert.equal((await bench.snapshots.get(fourth.name)).lsn, 77);
  await bench.snapshots.remove(third.name);
  await bench.snapshots.remove(third.name);
  await assert.rejects(bench.snapshots.get(third.name), { code: 'DATABASE_NO_SNAPSHOT' });
  assert.equal(bench.snapshots.password(third.name), undefined);
  await assert.rejects(bench.snapshots.request({ ...record, retentionDays: 0 }), {
    code: 'DATABASE_NO_ARCHIVE',
  });
});

test('files without a server are there when they are mounted, and grow while they are used', async () => {
  await using bench = await Bench.start();
  await bench.up();
  const files = { sizeBytes: 2 ** 25, mount: 'sdf' };
  await bench.databases.create({ name: 'vol-1', engine: 'files', files });
  await bench.pass(300);
  must(bench.head('vol-1')).serve();
  await bench.pass(300);
  const stated = async () => {
    const { atMs: _, ...state } = must(await bench.databases.state('vol-1'));
    return state;
  };
  const there = { phase: 'available', generation: 0, passwordVersion: 0, mountPoint: '/run/sdf' };
  assert.deepEqual(await stated(), { ...there, sizeBytes: 2 ** 25 });
  assert.deepEqual(fs.readdirSync(bench.directory), ['postgres-password']);
  must(bench.head('vol-1')).refuses = true;
  await bench.databases.change('vol-1', { files: { ...files, sizeBytes: 2 ** 26 } });
  await bench.pass(300);
  const refused = { ...there, sizeBytes: 2 ** 25, reason: 'ARCHIVE_STORE_FAILED: it is so' };
  assert.deepEqual(await stated(), refused);
  must(bench.head('vol-1')).refuses = false;
  await bench.pass(3_000);
  assert.deepEqual(await stated(), { ...there, sizeBytes: 2 ** 26 });
});

test('the snapshots of a set are cut together when all are written down, and fail together', async () => {
  await using bench = await Bench.start();
  await bench.up();
  const { databases, snapshots } = bench;
  for (const name of ['one', 'two']) {
    await bench.create(name);
    must(bench.head(name)).serve();
  }
  await bench.pass(300);
  const request = async (id: string, name: string) =>
    (await snapshots.request(await databases.get(name), { set: { id, size: 2 } })).name;
  const phases = async (names: string[]) =>
    (await Promise.all(names.map((name) => snapshots.get(name)))).map(({ phase }) => phase);
  const first = await request('set-1', 'one');
  await bench.pass(2_000);
  assert.deepEqual(await phases([first]), ['creating']);
  assert.deepEqual(bench.head('one')?.asked, []);
  const second = await request('set-1', 'two');
  await bench.pass(1_000);
  assert.deepEqual(await phases([first, second]), ['available', 'available']);
  assert.deepEqual(bench.head('one')?.asked, ['hold', 'cut', 'release', 'archive-cut']);
  assert.equal((await snapshots.get(first)).lsn, 2);

  must(bench.head('two')).refuses = true;
  const lost = [await request('set-2', 'one'), await request('set-2', 'two')];
  await bench.pass(2_000);
  assert.deepEqual(await phases(lost), ['creating', 'creating']);
  await bench.pass(8_000);
  assert.deepEqual(await phases(lost), ['failed', 'failed']);

  // Of two that share a database one comes after the other: a second hold would end the first.
  must(bench.head('two')).refuses = false;
  must(bench.head('one')).asked.length = 0;
  const both = [];
  for (const id of ['set-4', 'set-5']) for (const name of ['one', 'two']) both.push(await request(id, name));
  await bench.pass(4_000);
  assert.deepEqual(await phases(both), ['available', 'available', 'available', 'available']);
  const once = ['hold', 'cut', 'release', 'archive-cut'];
  assert.deepEqual(bench.head('one')?.asked, [...once, ...once]);

  // Some of it was removed before the rest was written down: nothing waits for ever.
  const alone = await request('set-3', 'one');
  await bench.pass(50_000);
  assert.deepEqual(await phases([alone]), ['creating']);
  await bench.pass(12_000);
  assert.deepEqual(await phases([alone]), ['failed']);
});
