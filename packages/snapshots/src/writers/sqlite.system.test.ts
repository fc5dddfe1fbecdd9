/** Databases that another process writes to. The snapshot is a copy that is made while all is held. */
import assert from 'node:assert/strict';
import { execFile, execFileSync, spawnSync } from 'node:child_process';
import * as fs from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import * as os from 'node:os';
import * as path from 'node:path';
import { test, type TestContext } from 'node:test';
import { promisify } from 'node:util';
import { isCoded, must } from '@rokka/kernel';
import { sqlite, tryRestoredSqlite, type SqliteWriter } from './sqlite.ts';
import { straysOn } from '../strays.ts';
import { filesOf, sideFilesOf } from './sqlite-files.ts';
import { sqliteVerifier } from './sqlite-verifier.ts';
import { SqliteLoad } from './testing/sqlite-program.ts';

const signal = () => AbortSignal.timeout(120_000);
const OPTIONS = { timeout: 300_000 };

for (const journalMode of ['wal', 'delete', 'truncate', 'persist'])
  test(
    `journal_mode ${journalMode}: a copy under load has all that was committed, and nothing to recover`,
    OPTIONS,
    async (t) => {
      const base = temporary(t);
      const file = path.join(base, 'deep/er/app.db');
      await using load = await SqliteLoad.start({ file, journalMode });
      await using writer = await only(base);
      const components = await writer.identify();
      assert.deepEqual(components, [{ name: `SQLite database ${file}`, paths: filesOf(file) }]);
      await writer.prepare(signal());
      const frozen = await writer.freeze(signal());
      await load.hasSaid(rowsOf(file));
      const volumes = [{ volume: 'vol-1', mountPoint: base }];
      const strays = await straysOn({ volumes, components, signal: signal() });
      assert.deepEqual(
        strays.filter((stray) => stray.includes(base)),
        [],
        'it is spoken for with its log',
      );
      const { committed } = load;
      const copy = path.join(temporary(t), 'copy');
      await promisify(execFile)('cp', ['-a', base, copy]);
      assert.equal(load.committed, committed, 'nobody writes while it is held');
      await writer.thaw(signal());
      await load.goesOn();
      assert.equal(frozen.level, 'application');
      assert.match(must(frozen.position), /app\.db@\d+$/);

      const restored = path.join(copy, 'deep/er/app.db');
      assert.deepEqual(await tryRestoredSqlite({ mountPoints: [copy], signal: signal() }), [
        { path: restored, logBytes: 0, hotJournal: false, integrity: 'ok' },
      ]);
      assert.equal(rowsOf(restored), committed);
    },
  );

test('a log that readers keep is no recovered application', OPTIONS, async (t) => {
  const base = temporary(t);
  const file = path.join(base, 'app.db');
  using database = new DatabaseSync(file);
  database.exec('PRAGMA journal_mode=wal; CREATE TABLE t (n); INSERT INTO t VALUES (1)');
  using reader = new DatabaseSync(file);
  reader.exec('BEGIN; SELECT * FROM t');
  database.exec('INSERT INTO t VALUES (2)');
  await using writer = await only(base, 3_000);
  const { level, why } = await writer.freeze(signal());
  assert.equal(level, 'crash');
  assert.match(must(why), /app\.db: readers that do not end, .* keep \d+ bytes in its log/);
  const copy = path.join(temporary(t), 'copy');
  fs.cpSync(base, copy, { recursive: true });
  await writer.thaw(signal());
  const [examined] = await tryRestoredSqlite({ mountPoints: [copy], signal: signal() });
  assert.ok(examined.logBytes > 0);
  assert.equal(examined.integrity, 'ok');
});

for (const journalMode of ['wal', 'delete'])
  test(
    `journal_mode ${journalMode}: a lock that is not to be had is a veto with the file's name`,
    OPTIONS,
    async (t) => {
      const base = temporary(t);
      const [free, taken] = ['a.db', 'b.db'].map((name) => path.join(base, name));
      using first = new DatabaseSync(free);
      using second = new DatabaseSync(taken);
      for (const database of [first, second])
        database.exec(`PRAGMA journal_mode=${journalMode}; CREATE TABLE t (n)`);
      second.exec('BEGIN IMMEDIATE; INSERT INTO t VALUES (1)');
      await using writer = await only(base, 300);
      await assert.rejects(writer.freeze(signal()), (error) => {
        assert.ok(isCoded(error, 'SNAPSHOTS_VETO'));
        assert.ok(error.message.includes(taken));
        return true;
      });
      first.exec('INSERT INTO t VALUES (2)');
    },
  );

for (const journalMode of ['wal', 'delete'])
  test(
    `journal_mode ${journalMode}: a program that has its database to itself is a veto, and is not disturbed`,
    OPTIONS,
    async (t) => {
      const base = temporary(t);
      const file = path.join(base, 'app.db');
      using database = new DatabaseSync(file);
      database.exec(
        `PRAGMA locking_mode=EXCLUSIVE; PRAGMA journal_mode=${journalMode}; CREATE TABLE t (n); INSERT INTO t VALUES (1)`,
      );
      await using writer = await only(base, 300);
      await writer.prepare(signal());
      await assert.rejects(writer.freeze(signal()), (error) => {
        assert.ok(isCoded(error, 'SNAPSHOTS_VETO'));
        assert.match(error.message, /app\.db: somebody else has it locked all the time.*EXCLUSIVE/);
        return true;
      });
      database.exec('INSERT INTO t VALUES (2)');
    },
  );

test(
  'a log that leads elsewhere is in no copy: its database is not opened, nor a copy of it',
  OPTIONS,
  async (t) => {
    const [base, elsewhere] = [temporary(t), temporary(t)];
    for (const side of sideFilesOf('')) {
      const file = path.join(base, `app${side}.db`);
      using database = new DatabaseSync(file);
      database.exec('CREATE TABLE t (n)');
      fs.symlinkSync(path.join(elsewhere, side), file + side);
      using _ = new DatabaseSync(file);
      await using writer = await only(base);
      await assert.rejects(writer.identify(), (error) => {
        assert.ok(isCoded(error, 'SNAPSHOTS_UNREACHABLE'));
        assert.ok(error.message.includes(`${file}${side} leads elsewhere`), error.message);
        return true;
      });
      const [{ isRefused }] = await tryRestoredSqlite({ mountPoints: [base], signal: signal() });
      assert.equal(isRefused, true);
      fs.unlinkSync(file + side);
      fs.unlinkSync(file);
    }
    assert.deepEqual(fs.readdirSync(elsewhere), [], 'nobody followed it');
  },
);

test('the process that holds is killed, and the program goes on', OPTIONS, async (t) => {
  const base = temporary(t);
  await using load = await SqliteLoad.start({ file: path.join(base, 'app.db'), journalMode: 'wal' });
  await using writer = await only(base);
  await writer.freeze(signal());
  process.kill(must(writer.helperPids[0]), 'SIGKILL');
  await load.goesOn();
  await assert.rejects(writer.thaw(signal()), (error) => isCoded(error, 'SNAPSHOTS_HELPER_ENDED'));
});

test('a database that is replaced while it is held does not count', OPTIONS, async (t) => {
  const base = temporary(t);
  const file = path.join(base, 'app.db');
  using database = new DatabaseSync(file);
  database.exec('CREATE TABLE t (n)');
  await using writer = await only(base);
  await writer.freeze(signal());
  fs.copyFileSync(file, `${file}.new`);
  fs.renameSync(`${file}.new`, file);
  await assert.rejects(writer.thaw(signal()), (error) => isCoded(error, 'SNAPSHOTS_NOT_HELD'));
});

test('a journal that a crash left is rolled back before the snapshot', OPTIONS, async (t) => {
  const base = temporary(t);
  const crashed = path.join(base, 'crashed');
  fs.mkdirSync(crashed);
  using database = new DatabaseSync(path.join(base, 'app.db'));
  database.exec('CREATE TABLE t (n); INSERT INTO t VALUES (1); PRAGMA cache_size=1; BEGIN');
  database.exec(
    'WITH RECURSIVE s(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s WHERE n < 5000) INSERT INTO t SELECT randomblob(500) FROM s',
  );
  for (const name of ['app.db', 'app.db-journal'])
    fs.copyFileSync(path.join(base, name), path.join(crashed, name));
  const before = path.join(temporary(t), 'before');
  fs.cpSync(crashed, before, { recursive: true });
  const [examined] = await tryRestoredSqlite({ mountPoints: [before], signal: signal() });
  assert.equal(examined.hotJournal, true, 'the crash is one');
  await using writer = await only(crashed);
  await writer.freeze(signal());
  assert.deepEqual(fs.readdirSync(crashed), ['app.db']);
  await writer.thaw(signal());
  assert.equal(rowsOf(path.join(crashed, 'app.db')), 1);
});

test(
  'a database that is open in another mount namespace is found, or said to be there',
  {
    ...OPTIONS,
    skip:
      spawnSync('unshare', ['--mount', 'true']).status !== 0 &&
      'mount namespaces are for root (unshare --mount)',
  },
  async (t) => {
    const base = temporary(t);
    const [volume, elsewhere] = ['volume', 'elsewhere'].map((name) => path.join(base, name));
    for (const directory of [volume, elsewhere]) fs.mkdirSync(directory);
    using mounts = new DisposableStack();
    const mount = (at: string) => {
      execFileSync('mount', ['-t', 'tmpfs', 'rokka-test', at]);
      mounts.defer(() => execFileSync('umount', ['--lazy', at]));
    };
    mount(volume);
    const bind = `mount --bind ${volume} ${elsewhere} && exec "$@"`;
    await using _load = await SqliteLoad.start({
      file: path.join(elsewhere, 'in/app.db'),
      journalMode: 'delete',
      namespace: ['unshare', '--mount', 'sh', '-c', bind, 'sh'],
    });
    {
      await using writer = await only(volume);
      assert.deepEqual((await writer.identify())[0].paths, filesOf(path.join(volume, 'in/app.db')));
      assert.equal((await writer.freeze(signal())).level, 'application');
      await writer.thaw(signal());
    }
    mount(path.join(volume, 'in'));
    await using blind = await only(volume);
    await assert.rejects(blind.identify(), (error) => isCoded(error, 'SNAPSHOTS_UNREACHABLE'));
  },
);

test('databases that nobody has open are nobody to be held', OPTIONS, async (t) => {
  const base = temporary(t);
  new DatabaseSync(path.join(base, 'app.db')).close();
  fs.writeFileSync(path.join(base, 'text'), 'text');
  fs.writeFileSync(path.join(base, 'text-journal'), 'text');
  const volumes = [{ volume: 'vol-1', mountPoint: base }];
  assert.deepEqual(await sqlite().discover({ volumes, signal: signal() }), []);
});

const NOBODY = 65_534;
const ASROOT = { ...OPTIONS, skip: process.getuid?.() !== 0 && 'root is needed, to give files away' };

test('a database is held and tried as its owner, also where he does not come by', ASROOT, async (t) => {
  const base = temporary(t);
  const [theirs, ours] = ['theirs/app.db', 'ours/app.db'].map((name) => path.join(base, name));
  for (const file of [theirs, ours]) {
    fs.mkdirSync(path.dirname(file));
    using database = new DatabaseSync(file);
    database.exec('PRAGMA journal_mode=wal; CREATE TABLE t (n)');
  }
  for (const file of [path.dirname(theirs), theirs]) fs.chownSync(file, NOBODY, NOBODY);
  using first = new DatabaseSync(theirs);
  using second = new DatabaseSync(ours);
  for (const database of [first, second]) database.exec('INSERT INTO t VALUES (1)');
  const copy = path.join(temporary(t), 'copy');
  execFileSync('cp', ['-a', base, copy]);
  {
    await using writer = await only(base);
    assert.deepEqual(
      (await writer.identify()).map(({ paths }) => paths[0]),
      [ours, theirs],
    );
    assert.equal((await writer.freeze(signal())).level, 'application');
    const status = writer.helperPids.map((pid) => fs.readFileSync(`/proc/${pid}/status`, 'utf8'));
    const facts = status.map((text) => [
      /^Uid:\t(.*)/m.exec(text)?.[1],
      /^Groups:(.*)/m.exec(text)?.[1].trim(),
    ]);
    assert.ok(facts.some(([uid, groups]) => uid === [0, 0, 0, 0].fill(NOBODY).join('\t') && groups === ''));
    for (const database of [first, second])
      assert.throws(() => database.exec('INSERT INTO t VALUES (2)'), /locked/);
    await writer.thaw(signal());
    for (const database of [first, second]) database.exec('INSERT INTO t VALUES (2)');
  }
  const examined = await tryRestoredSqlite({ mountPoints: [copy], signal: signal() });
  assert.deepEqual(
    examined.map(({ integrity }) => integrity),
    ['ok', 'ok'],
  );
});

test('where the file of one owner cannot be held, those of the others are free', ASROOT, async (t) => {
  const base = temporary(t);
  const [theirs, ours] = ['theirs/app.db', 'ours/app.db'].map((name) => path.join(base, name));
  const databases = [theirs, ours].map((file) => {
    fs.mkdirSync(path.dirname(file));
    const database = new DatabaseSync(file);
    database.exec('CREATE TABLE t (n)');
    return database;
  });
  for (const file of [path.dirname(theirs), theirs]) fs.chownSync(file, NOBODY, NOBODY);
  databases[0].exec('BEGIN IMMEDIATE; INSERT INTO t VALUES (1)');
  await using writer = await only(base, 300);
  await assert.rejects(writer.freeze(signal()), (error) => isCoded(error, 'SNAPSHOTS_VETO'));
  databases[1].exec('INSERT INTO t VALUES (1)');
  for (const database of databases) database.close();
});

test("what is root's in somebody's directory, or has two names, is not opened", ASROOT, async (t) => {
  const base = temporary(t);
  const directory = path.join(base, 'home');
  fs.mkdirSync(directory);
  const [ofRoot, linked] = ['root.db', 'linked.db'].map((name) => path.join(directory, name));
  for (const file of [ofRoot, linked]) {
    using database = new DatabaseSync(file);
    database.exec('CREATE TABLE t (n)');
  }
  fs.linkSync(linked, path.join(base, 'other'));
  fs.chownSync(directory, NOBODY, NOBODY);
  fs.chownSync(linked, NOBODY, NOBODY);
  using _first = new DatabaseSync(ofRoot);
  using _second = new DatabaseSync(linked);
  await using writer = await only(directory);
  await assert.rejects(writer.identify(), (error) => {
    assert.ok(isCoded(error, 'SNAPSHOTS_UNREACHABLE'));
    for (const file of [ofRoot, linked]) assert.ok(error.message.includes(`${file}: `), error.message);
    return true;
  });
  const verdicts = await sqliteVerifier.verify({ mountPoints: [directory], signal: signal() });
  assert.deepEqual(
    verdicts.map(({ isClean, words }) => [isClean, words.slice(0, 'it was not opened'.length)]),
    verdicts.map(() => [false, 'it was not opened']),
  );
  assert.equal(verdicts.length, 2);
});

function temporary(t: TestContext): string {
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'rokka-sqlite-'));
  t.after(() => fs.rmSync(directory, { recursive: true, force: true }));
  return directory;
}

async function only(mountPoint: string, holdMs = 10_000): Promise<SqliteWriter> {
  const volumes = [{ volume: 'vol-1', mountPoint }];
  const writers = await sqlite({ holdMs }).discover({ volumes, signal: signal() });
  assert.equal(writers.length, 1);
  return writers[0] as SqliteWriter;
}

function rowsOf(file: string): number {
  using database = new DatabaseSync(file);
  return Number(database.prepare('SELECT count(*) AS count FROM t').get()?.count);
}
