import assert from 'node:assert/strict';
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import { test } from 'node:test';
import { asLsn, CodedError, SeededRandom, VirtualClock } from '@rokka/kernel';
import { MemoryRegistry } from '@rokka/registry';
import { DatabaseSecrets } from './database-secrets.ts';
import { Databases } from './databases.ts';
import { newSnapshotName, Snapshots } from './snapshots.ts';

class Bench implements Disposable {
  readonly directory = fs.mkdtempSync(path.join(os.tmpdir(), 'rokka-snapshots-'));
  readonly registry = new MemoryRegistry();
  readonly random = new SeededRandom(1);
  readonly of = {
    registry: this.registry,
    secrets: new DatabaseSecrets(this.directory),
    clock: new VirtualClock(),
    random: this.random,
  };
  readonly databases = new Databases(this.of);
  readonly snapshots = new Snapshots(this.of);

  [Symbol.dispose](): void {
    fs.rmSync(this.directory, { recursive: true });
  }
}

const AVAILABLE = { phase: 'available', lsn: asLsn(9), takenAtMs: 5 } as const;

test('a snapshot is kept with the password of its database', async () => {
  using bench = new Bench();
  const { databases, snapshots } = bench;
  const database = await databases.create({ name: 'one', engine: 'native', password: 'first' });
  const { name, phase } = await snapshots.request(database);
  assert.equal(phase, 'creating');
  await databases.setPassword('one', 'second');
  await snapshots.settle(name, AVAILABLE);
  await snapshots.settle(name, { phase: 'failed', reason: 'too late' });
  assert.deepEqual([(await snapshots.get(name)).lsn, await snapshots.password(name)], [9, 'first']);
  assert.deepEqual(
    [await databases.password('one'), await databases.password('none')],
    ['second', undefined],
  );
  const bare = await databases.create({ name: 'bare', engine: 'native', retentionDays: 0 });
  await assert.rejects(snapshots.request(bare), { code: 'DATABASE_NO_ARCHIVE' });
});

test('one that was named before is made once, and stays as it was', async () => {
  using bench = new Bench();
  const { databases, snapshots, random } = bench;
  const database = await databases.create({ name: 'one', engine: 'native', password: 'first' });
  const wish = { name: newSnapshotName(random), owner: 'me' };
  const made = await Promise.all([snapshots.request(database, wish), snapshots.request(database, wish)]);
  assert.deepEqual(made[0], made[1]);
  await snapshots.settle(wish.name, AVAILABLE);
  await databases.setPassword('one', 'second');
  const again = await snapshots.request(database, wish);
  assert.deepEqual(
    [again.phase, again.owner, await snapshots.password(wish.name)],
    ['available', 'me', 'first'],
  );
  assert.equal((await snapshots.list()).length, 1);
});

test('a copy is another one of the same point, and of nobody unless it is said', async () => {
  using bench = new Bench();
  const { databases, snapshots } = bench;
  const database = await databases.create({ name: 'one', engine: 'native', password: 'first' });
  const { name } = await snapshots.request(database, { owner: 'me' });
  await assert.rejects(snapshots.copy(name), { code: 'DATABASE_NO_SNAPSHOT' });
  await snapshots.settle(name, AVAILABLE);
  const copy = await snapshots.copy(name);
  assert.deepEqual([copy.phase, copy.lsn, copy.owner], ['available', 9, undefined]);
  await snapshots.remove(name);
  assert.deepEqual([(await snapshots.get(copy.name)).lsn, await snapshots.password(copy.name)], [9, 'first']);
  await assert.rejects(snapshots.copy(name), { code: 'DATABASE_NO_SNAPSHOT' });
});

test('a copy of what goes before it is written down is none: nobody may have kept its point', async () => {
  using bench = new Bench();
  const { databases, snapshots, registry } = bench;
  const database = await databases.create({ name: 'one', engine: 'native' });
  const { name } = await snapshots.request(database);
  await snapshots.settle(name, AVAILABLE);
  const other = registry.another();
  const put = other.put.bind(other);
  other.put = async (key, value, revision) => {
    await snapshots.remove(name);
    return put(key, value, revision);
  };
  const late = new Snapshots({ ...bench.of, registry: other });
  await assert.rejects(late.copy(name), { code: 'DATABASE_NO_SNAPSHOT' });
  assert.deepEqual(await snapshots.list(), []);
});

test('a copy that one of two has seen to count stays, though the other one comes too late', async () => {
  using bench = new Bench();
  const { databases, snapshots, registry, random } = bench;
  const database = await databases.create({ name: 'one', engine: 'native' });
  const { name } = await snapshots.request(database);
  await snapshots.settle(name, AVAILABLE);
  const wish = { name: newSnapshotName(random) };
  // It has written the copy down, and sleeps before it looks for the first one again.
  const sleepy = registry.another();
  const get = sleepy.get.bind(sleepy);
  let looks = 0;
  sleepy.get = async <T>(key: string) => {
    if (key.endsWith(name) && ++looks === 2) {
      assert.equal((await snapshots.get(wish.name)).unconfirmed, true);
      await snapshots.copy(name, wish);
      await snapshots.remove(name);
    }
    return get<T>(key);
  };
  const copied = await new Snapshots({ ...bench.of, registry: sleepy }).copy(name, wish);
  assert.deepEqual([copied.name, copied.lsn, copied.unconfirmed], [wish.name, 9, undefined]);
  assert.deepEqual(await snapshots.list(), [copied]);
});

test('a set is decided by one write: whoever comes after a crash has the rest of it say the same', async () => {
  using bench = new Bench();
  const { databases, snapshots, registry } = bench;
  const set = { id: 'set-1', size: 2 };
  const names = [];
  for (const name of ['one', 'two']) {
    const database = await databases.create({ name, engine: 'native' });
    names.push((await snapshots.request(database, { set })).name);
  }
  const points = { [names[0]]: asLsn(4), [names[1]]: asLsn(9) };
  const broken = registry.another();
  const put = broken.put.bind(broken);
  let writes = 0;
  broken.put = async (...of) => {
    if (++writes > 2) throw new CodedError('REGISTRY_UNREACHABLE', 'it is so');
    return put(...of);
  };
  const dying = new Snapshots({ ...bench.of, registry: broken });
  const cut = { atMs: 3, heldMs: 12 };
  await snapshots.tellCut(set.id, { atMs: 1, heldMs: 7 });
  await snapshots.tellCut(set.id, cut);
  assert.deepEqual(await snapshots.cutOf(set.id), cut);
  await assert.rejects(dying.settleSet(set.id, { phase: 'available', points, takenAtMs: 5, cut }), {
    code: 'REGISTRY_UNREACHABLE',
  });
  const stated = async () =>
    Object.fromEntries((await snapshots.list()).map(({ database, phase, lsn }) => [database, [phase, lsn]]));
  const phases = Object.values(await stated()).map(([phase]) => phase);
  assert.ok(phases.includes('available') && phases.includes('creating'), phases.join(' '));
  // What the next one finds by itself counts no more.
  await snapshots.settleSet(set.id, { phase: 'failed', reason: 'another moment' });
  assert.deepEqual(await stated(), { one: ['available', 4], two: ['available', 9] });
  assert.deepEqual(await registry.list('snapshot-'), []);
  assert.equal(await snapshots.cutOf(set.id), undefined);
  assert.deepEqual((await snapshots.get(names[1])).cut, cut);
  const copy = await snapshots.copy(names[0]);
  assert.equal(copy.set, undefined);
});

test('files have neither port nor password, and a size that has room for them', async () => {
  using bench = new Bench();
  const { databases } = bench;
  const create = (files: { sizeBytes: number; mount?: string }) =>
    databases.create({ name: 'vol-1', engine: 'files', files });
  for (const files of [
    { sizeBytes: 1 },
    { sizeBytes: 2 ** 24 + 0.5 },
    { sizeBytes: 2 ** 24, mount: '../etc' },
  ])
    await assert.rejects(create(files), { code: 'DATABASE_NAME_INVALID' });
  const { port, userName, volumeId } = await create({ sizeBytes: 2 ** 24 });
  assert.deepEqual([port, userName, volumeId], [0, '', 'vol-1']);
  assert.deepEqual(fs.readdirSync(bench.directory), []);
  await assert.rejects(databases.change('vol-1', { files: { sizeBytes: 0 } }), {
    code: 'DATABASE_NAME_INVALID',
  });
});
