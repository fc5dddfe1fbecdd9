import assert from 'node:assert/strict';
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { test } from 'node:test';
import { systemClock } from '@rokka/kernel';
import { openFile, prepareFile } from './sqlite-file.ts';
import { openSqliteRegistry } from './sqlite-registry.ts';
import { registryConformance } from './testing/registry-conformance.ts';

function makeDirectory() {
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'rokka-registry-'));
  return {
    directory,
    path: path.join(directory, 'registry.db'),
    [Symbol.dispose]: () => fs.rmSync(directory, { recursive: true }),
  };
}

const open = (path: string, more: { create?: boolean; busyTimeoutMs?: number } = {}) =>
  openSqliteRegistry({ path, clock: systemClock, ...more });

registryConformance('sqlite registry', async () => {
  const made = makeDirectory();
  return { open: () => open(made.path), [Symbol.asyncDispose]: async () => made[Symbol.dispose]() };
});

test('what was put is there after all handles were closed; revisions go on', async () => {
  using at = makeDirectory();
  let revision = 0;
  for (let i = 1; i <= 3; i++) {
    await using registry = await open(at.path);
    const next = await registry.put('a', i, revision);
    assert.ok(next > revision);
    revision = next;
  }
  await using registry = await open(at.path, { create: false });
  assert.deepEqual(await registry.get('a'), { key: 'a', value: 3, revision });
});

test('all of its files belong to their owner alone', async () => {
  using at = makeDirectory();
  const file = path.join(at.directory, 'deep', 'registry.db');
  await using registry = await open(file);
  await registry.put('a', 1, 0);
  const names = fs.readdirSync(path.dirname(file));
  assert.ok(names.length >= 2, names.join(' '));
  for (const name of names)
    assert.equal(fs.statSync(path.join(path.dirname(file), name)).mode & 0o777, 0o600);
  assert.equal(fs.statSync(path.dirname(file)).mode & 0o777, 0o700);
  fs.chmodSync(file, 0o644);
  await using _again = await open(file);
  assert.equal(fs.statSync(file).mode & 0o777, 0o600);
});

test('a missing file is made only where that is wanted', async () => {
  using at = makeDirectory();
  await assert.rejects(open(at.path, { create: false }), { code: 'REGISTRY_MISSING' });
  assert.ok(!fs.existsSync(at.path));
  fs.writeFileSync(path.join(at.directory, 'letter'), 'no directory');
  await assert.rejects(open(path.join(at.directory, 'letter', 'registry.db')), { code: 'REGISTRY_FAILED' });
});

test('files of another version and of other programs are refused and left as they are', async () => {
  using at = makeDirectory();
  {
    await using _registry = await open(at.path);
  }
  using newer = new DatabaseSync(at.path);
  newer.exec('PRAGMA user_version = 7');
  await assert.rejects(open(at.path), (error: Error) => /version 7.*reads 1/.test(error.message));
  const foreign = path.join(at.directory, 'foreign.db');
  {
    using database = new DatabaseSync(foreign);
    database.exec('CREATE TABLE songs (name TEXT)');
  }
  const before = fs.readFileSync(foreign);
  await assert.rejects(open(foreign), { code: 'REGISTRY_FOREIGN' });
  assert.deepEqual(fs.readFileSync(foreign), before);
});

test('a damaged file is named, with the way out', async () => {
  using at = makeDirectory();
  {
    await using registry = await open(at.path);
    for (let i = 0; i < 200; i++) await registry.put(`key/${i}`, 'x'.repeat(100), 0);
  }
  const whole = fs.readFileSync(at.path);
  const damaged = async (bytes: Uint8Array) => {
    fs.writeFileSync(at.path, bytes);
    await assert.rejects(open(at.path), (error: Error & { code?: string }) => {
      assert.equal(error.code, 'REGISTRY_CORRUPT');
      assert.ok(error.message.includes(at.path));
      return true;
    });
  };
  await damaged(Buffer.alloc(whole.length, 'nonsense'));
  await damaged(whole.subarray(0, 4096));
  await damaged(Buffer.concat([whole.subarray(0, 8192), Buffer.alloc(whole.length - 8192, 0xee)]));
});

test('a value that was changed behind our back is not believed', async () => {
  using at = makeDirectory();
  await using registry = await open(at.path);
  const revision = await registry.put('volumes/v', { volumeEpoch: 6 }, 0);
  {
    using database = new DatabaseSync(at.path);
    database.exec(`UPDATE entries SET value = '{"volumeEpoch":7}'`);
  }
  const corrupt = { code: 'REGISTRY_CORRUPT' };
  await assert.rejects(registry.get('volumes/v'), corrupt);
  await assert.rejects(registry.list('volumes/'), corrupt);
  await assert.rejects(registry.put('volumes/v', {}, revision), corrupt);
});

test('a lock held by another process is waited for, but not for ever', async () => {
  using at = makeDirectory();
  await using registry = await open(at.path, { busyTimeoutMs: 60 });
  using other = new DatabaseSync(at.path);
  other.exec('BEGIN IMMEDIATE');
  await assert.rejects(registry.put('a', 1, 0), { code: 'REGISTRY_BUSY' });
  assert.equal(await registry.get('a'), undefined, 'readers do not wait for a writer');
  await using patient = await open(at.path);
  const put = patient.put('a', 2, 0);
  await systemClock.sleep(10);
  other.exec('COMMIT');
  assert.ok((await put) > 0);
});

test('a commit is on the disk when it returns: write-ahead log, synced each time', () => {
  using at = makeDirectory();
  prepareFile(at.path, true);
  using database = openFile(at.path);
  const pragma = (name: string) => database.prepare(`PRAGMA ${name}`).get()?.[name];
  assert.deepEqual([pragma('journal_mode'), pragma('synchronous')], ['wal', 2]);
});
