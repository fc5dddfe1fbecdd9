import assert from 'node:assert/strict';
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import { test } from 'node:test';
import { SeededRandom, VirtualClock } from '@rokka/kernel';
import { MemoryRegistry, type Registry } from '@rokka/registry';
import { DatabaseSecrets, secretFile } from './database-secrets.ts';
import { Databases, type DatabasesOptions } from './databases.ts';

class Bench implements Disposable {
  readonly directory = fs.mkdtempSync(path.join(os.tmpdir(), 'rokka-records-'));
  readonly registry = new MemoryRegistry();
  readonly secrets = new DatabaseSecrets(this.directory);
  changes = 0;

  databases(part: Partial<DatabasesOptions> = {}): Databases {
    return new Databases({
      registry: this.registry.another(),
      secrets: this.secrets,
      clock: new VirtualClock(),
      random: new SeededRandom(1),
      onChanged: () => this.changes++,
      ...part,
    });
  }

  [Symbol.dispose](): void {
    fs.rmSync(this.directory, { recursive: true });
  }
}

const FIRST = { name: 'main', engine: 'native', volumeId: 'vol-1', createdAtMs: 7 };

test('the record of main as 0.1.0 wrote it is read, and may be changed', async () => {
  using bench = new Bench();
  await bench.registry.put('databases/main', FIRST, 0);
  const databases = bench.databases();
  const upgraded = {
    ...FIRST,
    port: 5432,
    desired: 'running',
    generation: 0,
    settings: {},
    databaseName: 'postgres',
    userName: 'postgres',
    passwordVersion: 0,
    retentionDays: 0,
  };
  assert.deepEqual(await databases.get('main'), upgraded);
  assert.deepEqual(await databases.list(), [upgraded]);
  await databases.restart('main');
  await databases.moveMain(6000);
  assert.deepEqual(await databases.get('main'), { ...upgraded, generation: 1, port: 6000 });
});

test('main stays', async () => {
  using bench = new Bench();
  await bench.registry.put('databases/main', FIRST, 0);
  const databases = bench.databases();
  for (const desired of ['stopped', 'deleted'] as const)
    await assert.rejects(databases.setDesired('main', desired), { code: 'DATABASE_MAIN_STAYS' });
  await assert.rejects(databases.change('main', { port: 1 }), { code: 'DATABASE_MAIN_STAYS' });
  await assert.rejects(databases.create({ name: 'main', engine: 'native' }), { code: 'DATABASE_EXISTS' });
  assert.equal((await databases.get('main')).desired, 'running');
});

test('a database is made once, with a port and a password of its own', async () => {
  using bench = new Bench();
  const databases = bench.databases({ isPortFree: async (port) => port !== 5434 });
  const made = await Promise.all(
    ['one', 'two', 'three'].map((name) => databases.create({ name, engine: 'native' })),
  );
  assert.deepEqual(
    made.map(({ port }) => port),
    [5433, 5435, 5436],
  );
  assert.equal(new Set(made.map(({ volumeId }) => volumeId)).size, 3);
  assert.equal(new Set(await Promise.all(made.map(({ name }) => bench.secrets.read(name)))).size, 3);
  assert.equal(bench.changes, 3);
  const before = await bench.secrets.read('one');
  await assert.rejects(databases.create({ name: 'one', engine: 'native', password: 'other' }), {
    code: 'DATABASE_EXISTS',
  });
  assert.equal(await bench.secrets.read('one'), before);
  await assert.rejects(databases.create({ name: 'four', engine: 'native', port: 5433 }), {
    code: 'DATABASE_PORT_TAKEN',
  });
  await assert.rejects(databases.change('two', { port: 5433 }), { code: 'DATABASE_PORT_TAKEN' });
  await databases.change('two', { port: 5435, settings: { work_mem: '8MB' } });
  assert.deepEqual((await databases.get('two')).settings, { work_mem: '8MB' });
});

test('two processes that make databases at once never give one port twice', async () => {
  using bench = new Bench();
  const names = Array.from({ length: 12 }, (_, at) => `db${at}`);
  const made = await Promise.all(names.map((name) => bench.databases().create({ name, engine: 'native' })));
  assert.equal(new Set(made.map(({ port }) => port)).size, names.length);
  // The same port by name: one has it.
  const asked = await Promise.allSettled(
    ['one', 'two', 'three'].map((name) => bench.databases().create({ name, engine: 'native', port: 6000 })),
  );
  const refused = asked.flatMap((one) => (one.status === 'rejected' ? [one.reason.code] : []));
  assert.deepEqual(refused, ['DATABASE_PORT_TAKEN', 'DATABASE_PORT_TAKEN']);
  const moved = await Promise.allSettled(
    ['db1', 'db2'].map((name) => bench.databases().change(name, { port: 7000 })),
  );
  assert.equal(moved.filter(({ status }) => status === 'fulfilled').length, 1);
  // What is gone holds no port.
  const holder = (await bench.databases().list()).find(({ port }) => port === 6000);
  await bench.databases().remove(holder?.name ?? '');
  await bench.databases().create({ name: 'four', engine: 'native', port: 6000 });
});

test('a database that is made anew while the one before goes keeps the port that it has chosen', async () => {
  using bench = new Bench();
  const [first, second, third] = [bench.databases(), bench.databases(), bench.databases()];
  await first.create({ name: 'shop', engine: 'native', port: 6000 });
  const registry = bench.registry.another();
  const { remove, put } = registry;
  const [chosen, gone] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  let anew: Promise<unknown> | undefined;
  registry.put = async (key, value, revision) => {
    if (key === 'databases/shop') {
      chosen.resolve();
      await gone.promise;
    }
    return put.call(registry, key, value, revision);
  };
  registry.remove = async (key, revision) => {
    await remove.call(registry, key, revision);
    if (key !== 'databases/shop') return;
    anew = bench.databases({ registry }).create({ name: 'shop', engine: 'native' });
    await chosen.promise;
  };
  await bench.databases({ registry }).remove('shop');
  // Its record is not there yet.
  const other = await second.create({ name: 'other', engine: 'native' });
  gone.resolve();
  await anew;
  assert.notEqual((await third.get('shop')).port, other.port);
});

test('names that would do harm are refused, and leave nothing', async () => {
  using bench = new Bench();
  const databases = bench.databases();
  const refused = { code: 'DATABASE_NAME_INVALID' };
  for (const name of ['', 'A', '1a', 'a/b', '../a', 'a_b', 'postgres', 'a'.repeat(64)])
    await assert.rejects(databases.create({ name, engine: 'native' }), refused, name);
  for (const userName of ['', 'pg_read', 'a b', 'a"b'])
    await assert.rejects(databases.create({ name: 'a', engine: 'native', userName }), refused, userName);
  for (const databaseName of ['', 'ä'.repeat(32), 'a\nb'])
    await assert.rejects(databases.create({ name: 'a', engine: 'native', databaseName }), refused);
  for (const password of ['', ' a', 'a\nb'])
    await assert.rejects(databases.create({ name: 'a', engine: 'native', password }), refused);
  await assert.rejects(databases.create({ name: 'a', engine: 'pglite', userName: 'me' }), refused);
  assert.deepEqual(await databases.list(), []);
  assert.deepEqual(fs.readdirSync(bench.directory), []);
  for (const name of ['none', '../main']) {
    await assert.rejects(databases.get(name), { code: 'DATABASE_NONE' });
    await assert.rejects(databases.setDesired(name, 'deleted'), { code: 'DATABASE_NONE' });
  }
});

test('what is being deleted stays so, until all of it is gone', async () => {
  using bench = new Bench();
  const databases = bench.databases();
  await databases.create({ name: 'one', engine: 'native' });
  await databases.observe('one', { phase: 'available', atMs: 1 });
  await databases.setDesired('one', 'deleted');
  await databases.setDesired('one', 'deleted');
  const refused = { code: 'DATABASE_DELETED' };
  await assert.rejects(databases.setDesired('one', 'running'), refused);
  await assert.rejects(databases.restart('one'), refused);
  await assert.rejects(databases.setPassword('one', 'other'), refused);
  await assert.rejects(databases.create({ name: 'one', engine: 'native' }), { code: 'DATABASE_EXISTS' });
  await databases.remove('one');
  await databases.remove('one');
  assert.deepEqual([await databases.list(), (await databases.states()).size], [[], 0]);
  await databases.create({ name: 'one', engine: 'native' });
});

test('wishes at the same time all count', async () => {
  using bench = new Bench();
  const first = bench.databases();
  await first.create({ name: 'one', engine: 'native' });
  // Another handle that reads late: somebody is always faster.
  const slow: Registry = {
    get: async (key) => {
      const entry = await bench.registry.get<never>(key);
      await new Promise((done) => setImmediate(done));
      return entry;
    },
    list: (prefix) => bench.registry.list(prefix),
    put: (key, value, revision) => bench.registry.put(key, value, revision),
    remove: (key, revision) => bench.registry.remove(key, revision),
    [Symbol.asyncDispose]: async () => {},
  };
  const wishes = Array.from({ length: 20 }, () => bench.databases({ registry: slow }).restart('one'));
  await Promise.all(wishes);
  assert.equal((await first.get('one')).generation, 20);
});

test('the server has the password that shall be or the one before, whatever comes in between', async () => {
  using bench = new Bench();
  const databases = bench.databases();
  await databases.create({ name: 'one', engine: 'native', password: 'first' });
  const { secrets } = bench;
  assert.equal((await secrets.changing()).has('one'), false);
  await databases.setPassword('one', 'second');
  await databases.setPassword('one', 'third');
  assert.equal((await databases.get('one')).passwordVersion, 2);
  assert.deepEqual([await secrets.read('one'), await secrets.before('one')], ['third', 'first']);
  // Carried out for the second, while the third was written.
  await secrets.wasSet('one', 'second');
  assert.deepEqual([await secrets.read('one'), await secrets.before('one')], ['third', 'second']);
  await secrets.wasSet('one', 'third');
  assert.deepEqual([await secrets.read('one'), (await secrets.changing()).has('one')], ['third', false]);
  const mode = fs.statSync(secretFile(bench.directory, 'one')).mode & 0o777;
  assert.equal(mode.toString(8), '600');
  await databases.setPassword('one', 'fourth');
  await secrets.remove('one');
  assert.deepEqual(fs.readdirSync(bench.directory), []);
});

test('main keeps its secret where it always was', async () => {
  using bench = new Bench();
  assert.equal(path.basename(secretFile(bench.directory, 'main')), 'postgres-password');
  const password = await bench.secrets.ensure('main', new SeededRandom(1));
  assert.equal(await bench.secrets.ensure('main', new SeededRandom(2)), password);
});

test('a change and its restart are one write, and a change that is none restarts nothing', async () => {
  using bench = new Bench();
  const databases = bench.databases();
  await databases.create({ name: 'one', engine: 'native' });
  const change = { cacheMiB: 64, settings: { work_mem: '8MB' } };
  for (let again = 0; again < 2; again++) {
    await databases.change('one', change, { restart: true });
    assert.equal((await databases.get('one')).generation, 1);
  }
  await databases.change('one', { cacheMiB: 128 });
  assert.equal((await databases.get('one')).generation, 1);
  // What stands still reads it when it starts: a stop has ended the generation that served before.
  for (let again = 0; again < 2; again++)
    assert.equal((await databases.setDesired('one', 'stopped')).generation, 2);
  const changed = await databases.change('one', { cacheMiB: 256 }, { restart: true });
  assert.deepEqual([changed.cacheMiB, changed.generation], [256, 2]);
  assert.equal((await databases.setDesired('one', 'running')).generation, 2);
});

test('several who ask for one restart get one', async () => {
  using bench = new Bench();
  const databases = bench.databases();
  await databases.create({ name: 'one', engine: 'native' });
  for (const cacheMiB of [64, 64]) {
    const changed = await databases.change('one', { cacheMiB }, { restart: true, generation: 1 });
    assert.equal(changed.generation, 1);
  }
  assert.equal((await databases.change('one', {}, { generation: 2 })).generation, 2);
  assert.equal((await databases.change('one', {}, { generation: 1 })).generation, 2);
});
