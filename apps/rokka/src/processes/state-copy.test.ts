/** The state of a cluster, copied into a filesystem: what of it, how, and again after it has changed. */
import assert from 'node:assert/strict';
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { test, type TestContext } from 'node:test';
import { checkFilesystem, FileSystem, type Ino, nameFromUtf8, nameToUtf8, ROOT_INO } from '@rokka/filesystem';
import { SeededRandom, VirtualClock } from '@rokka/kernel';
import { MemoryPageStore } from '@rokka/volume';
import { copyState, type StateCopyOptions } from './state-copy.ts';

class Bench {
  readonly directory = fs.mkdtempSync(path.join(os.tmpdir(), 'rokka-state-copy-'));
  readonly store = new MemoryPageStore();
  readonly filesystem: FileSystem;
  readonly signal = new AbortController().signal;

  constructor(t: TestContext) {
    t.after(() => fs.rmSync(this.directory, { recursive: true }));
    const clock = new VirtualClock();
    FileSystem.format(this.store, { clock, random: new SeededRandom(1) });
    this.filesystem = FileSystem.mount(this.store, { clock });
    for (const made of ['run', 'nodes/1', 'archive/volumes', 'compile-cache', 'secrets/aws', 'agent/scripts'])
      fs.mkdirSync(path.join(this.directory, made), { recursive: true, mode: 0o700 });
    fs.chmodSync(this.directory, 0o700);
  }

  write(name: string, text: string, mode = 0o600): void {
    fs.rmSync(path.join(this.directory, name), { force: true });
    fs.writeFileSync(path.join(this.directory, name), text, { mode });
    fs.chmodSync(path.join(this.directory, name), mode);
  }

  database(name: string): DatabaseSync {
    const database = new DatabaseSync(path.join(this.directory, name));
    database.exec('PRAGMA journal_mode=wal; CREATE TABLE IF NOT EXISTS t (n INTEGER)');
    fs.chmodSync(path.join(this.directory, name), 0o600);
    return database;
  }

  copy(into: Pick<StateCopyOptions, 'filesystem' | 'store'> = this) {
    const { directory, signal } = this;
    return copyState({ directory, signal, ...into, name: 'boot-1' });
  }

  /** `secrets/aws/key 600`, of everything. */
  list(ino: Ino = ROOT_INO, at = '', filesystem = this.filesystem): string[] {
    return filesystem.list(ino).flatMap(({ name, ino: child, kind }) => {
      if (name === '.' || name === '..') return [];
      const here = at + nameToUtf8(name);
      const mode = (filesystem.attributes(child).mode & 0o7777).toString(8);
      return kind === 'directory'
        ? [`${here}/ ${mode}`, ...this.list(child, `${here}/`, filesystem)]
        : [`${here} ${kind === 'file' ? mode : kind}`];
    });
  }

  bytes(name: string, filesystem = this.filesystem): Buffer {
    let ino: Ino = ROOT_INO;
    for (const part of name.split('/')) ino = filesystem.lookup(ino, nameFromUtf8(part)).ino;
    const into = Buffer.alloc(filesystem.attributes(ino).sizeBytes);
    filesystem.read(ino, 0, into);
    return into;
  }

  text = (name: string) => this.bytes(name).toString();

  /** Of a database in the copy, opened by itself. */
  count(name: string): number {
    const file = path.join(this.directory, 'run', 'opened.sqlite');
    fs.writeFileSync(file, this.bytes(name));
    using opened = new DatabaseSync(file);
    const [{ integrity_check: whole }] = opened.prepare('PRAGMA integrity_check').all();
    assert.equal(whole, 'ok');
    return (opened.prepare('SELECT count(*) AS n FROM t').get() as { n: number }).n;
  }
}

test('a copy has the state and nothing else, with the modes and owners that it had', async (t) => {
  const bench = new Bench(t);
  bench.write('rokka.json', '{"format":1}\n');
  bench.write('secrets/aws/key', 'secret');
  bench.write('secrets/aws/old', 'old', 0o400);
  bench.write('agent/scripts/pre-ledger', '#!/bin/sh\n', 0o755);
  bench.write('agent/scripts/größe', 'ä');
  fs.symlinkSync('pre-ledger', path.join(bench.directory, 'agent/scripts/post-ledger'));
  for (const left of ['nodes/1/log', 'archive/volumes/page', 'run/holder', 'compile-cache/code', 'rokka.log'])
    bench.write(left, 'not state');
  bench.write('lock.sqlite', 'no database');
  bench.write('later.thing', 'of a version that is not written yet');
  const registry = bench.database('registry.sqlite');
  const audit = bench.database('audit.sqlite');
  registry.exec('INSERT INTO t VALUES (1), (2), (3)');
  assert.ok(fs.existsSync(path.join(bench.directory, 'registry.sqlite-wal')));

  const { files } = await bench.copy();
  assert.deepEqual(
    bench.list().sort(),
    words(`agent/|700 agent/scripts/|700 agent/scripts/größe|600 agent/scripts/post-ledger|symlink
      agent/scripts/pre-ledger|755 audit.sqlite|600 later.thing|600 registry.sqlite|600 rokka.json|600
      secrets/|700 secrets/aws/|700 secrets/aws/key|600 secrets/aws/old|400`),
  );
  assert.equal(files, 8);
  assert.deepEqual([bench.text('secrets/aws/key'), bench.text('agent/scripts/größe')], ['secret', 'ä']);
  assert.equal(bench.count('registry.sqlite'), 3);
  assert.equal(bench.count('audit.sqlite'), 0);
  const { mode, uid } = bench.filesystem.attributes(ROOT_INO);
  assert.deepEqual([mode & 0o7777, uid], [0o700, process.getuid?.()]);
  const { mtimeMs } = fs.statSync(path.join(bench.directory, 'rokka.json'));
  const { mtime } = bench.filesystem.attributes(bench.filesystem.lookup(ROOT_INO, 'rokka.json').ino);
  assert.equal(mtime.seconds, Math.floor(mtimeMs / 1000));
  assert.deepEqual(fs.readdirSync(path.join(bench.directory, 'run')).sort(), [
    'holder',
    'opened.sqlite',
    'state-copies',
  ]);
  assert.deepEqual(fs.readdirSync(path.join(bench.directory, 'run/state-copies')), []);
  registry.close();
  audit.close();
});

/** `name|mode`, as `Bench.list` has them, sorted. */
const words = (text: string) =>
  text
    .split(/\s+/)
    .map((word) => word.replace('|', ' '))
    .sort();

test('the next copy has what has changed, and what has gone is gone', async (t) => {
  const bench = new Bench(t);
  bench.write('rokka.json', 'x'.repeat(100_000));
  bench.write('secrets/one', 'one');
  bench.write('secrets/two', 'two', 0o644);
  bench.write('thing', 'a file');
  bench.write('top', 'it goes');
  fs.mkdirSync(path.join(bench.directory, 'other/deep'), { recursive: true });
  bench.write('other/deep/file', 'deep');
  const registry = bench.database('registry.sqlite');
  registry.exec('INSERT INTO t VALUES (1)');
  await bench.copy();
  const before = bench.filesystem.attributes(bench.filesystem.lookup(ROOT_INO, 'rokka.json').ino);

  registry.exec('BEGIN');
  for (let row = 0; row < 5_000; row++) registry.exec(`INSERT INTO t VALUES (${row})`);
  registry.exec('COMMIT');
  bench.write('rokka.json', 'short');
  fs.rmSync(path.join(bench.directory, 'top'));
  fs.rmSync(path.join(bench.directory, 'secrets/one'));
  fs.chmodSync(path.join(bench.directory, 'secrets/two'), 0o600);
  fs.rmSync(path.join(bench.directory, 'thing'));
  fs.mkdirSync(path.join(bench.directory, 'thing'), { mode: 0o700 });
  fs.rmSync(path.join(bench.directory, 'other'), { recursive: true });
  bench.write('other', 'a file now');
  await bench.copy();
  assert.deepEqual(
    bench.list().sort(),
    words(`registry.sqlite|600 rokka.json|600 secrets/|700 secrets/aws/|700 secrets/two|600 thing/|700 other|600
      agent/|700 agent/scripts/|700`),
  );
  assert.equal(bench.text('rokka.json'), 'short');
  assert.equal(before.ino, bench.filesystem.lookup(ROOT_INO, 'rokka.json').ino, 'in place');
  assert.equal(bench.count('registry.sqlite'), 5_001);
  registry.close();
  const { problems } = checkFilesystem(bench.store);
  assert.deepEqual(problems, []);
});

test('a copy that was cut short anywhere becomes whole by the next one', { timeout: 120_000 }, async (t) => {
  const bench = new Bench(t);
  bench.write('rokka.json', 'first');
  bench.write('secrets/one', 'one');
  bench.write('gone', 'later it is not there');
  // Of several writes.
  bench.write('agent/big', 'a'.repeat(2_500_000));
  const registry = bench.database('registry.sqlite');
  await bench.copy();
  const begun = bench.store.history.length;
  bench.write('rokka.json', 'second');
  bench.write('secrets/two', 'two');
  bench.write('agent/big', 'b'.repeat(2_500_000));
  fs.rmSync(path.join(bench.directory, 'gone'));
  fs.mkdirSync(path.join(bench.directory, 'gone'), { mode: 0o700 });
  bench.write('gone/file', 'in its place');
  registry.exec('INSERT INTO t VALUES (1), (2)');
  await bench.copy();
  const names = ['rokka.json', 'secrets/one', 'secrets/two', 'gone/file', 'agent/big', 'registry.sqlite'];
  const { history } = bench.store;
  assert.ok(history.length > begun + 10);
  for (let count = begun; count < history.length; count++) {
    const store = MemoryPageStore.replay(history, count);
    const filesystem = FileSystem.mount(store, { clock: new VirtualClock() });
    await bench.copy({ filesystem, store });
    assert.deepEqual(bench.list(ROOT_INO, '', filesystem).sort(), bench.list().sort(), `after ${count}`);
    for (const name of names) assert.ok(bench.bytes(name, filesystem).equals(bench.bytes(name)), name);
  }
  registry.close();
});

test(
  'a database is copied as it was at one moment, whoever writes meanwhile',
  { timeout: 60_000 },
  async (t) => {
    const bench = new Bench(t);
    const registry = bench.database('registry.sqlite');
    registry.exec('CREATE TABLE u (n INTEGER)');
    // Two tables that always have as many rows, in one transaction each time.
    const both = () => registry.exec('BEGIN; INSERT INTO t VALUES (1); INSERT INTO u VALUES (1); COMMIT');
    for (let row = 0; row < 200; row++) both();
    const state = { over: false };
    const writing = (async () => {
      while (!state.over) {
        both();
        await new Promise((done) => setImmediate(done));
      }
    })();
    await bench.copy();
    state.over = true;
    await writing;
    const file = path.join(bench.directory, 'run', 'opened.sqlite');
    fs.writeFileSync(file, bench.bytes('registry.sqlite'));
    using opened = new DatabaseSync(file);
    const { t: one, u: other } = opened
      .prepare('SELECT (SELECT count(*) FROM t) AS t, (SELECT count(*) FROM u) AS u')
      .get() as { t: number; u: number };
    assert.equal(one, other);
    assert.ok(one >= 200);
    registry.close();
  },
);

test('what cannot be copied is said in words, and nothing is left beside', async (t) => {
  const bench = new Bench(t);
  bench.write('registry.sqlite', 'this is no database, though it has its name');
  await assert.rejects(bench.copy(), { code: 'ROKKA_STATE_UNCOPIED' });
  assert.deepEqual(fs.readdirSync(path.join(bench.directory, 'run/state-copies')), []);
  fs.rmSync(path.join(bench.directory, 'registry.sqlite'));
  bench.write('rokka.json', 'x'.repeat(3_000_000));
  bench.filesystem.limitBytes = 1_000_000;
  await assert.rejects(bench.copy(), { code: 'ROKKA_STATE_UNCOPIED', message: /pages needed/ });
});
