/** What is told of copies of a real server's files: whole ones, damaged ones, and ones that somebody has made to do harm. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import * as fs from 'node:fs';
import * as path from 'node:path';
import { after, before, test } from 'node:test';
import { must } from '@rokka/kernel';
import type { Verdict } from '../../verifier.ts';
import { connect, startMariadb } from '../testing/mariadb-fixture.ts';
import { skipWithout, StoreDirectory } from '../testing/store.ts';
import { findMariadb } from './copies.ts';
import { startRestoredMariadb } from './restored.ts';
import { mariadbVerifier } from './verifier.ts';

const SKIP = skipWithout('mysql', ['mariadbd', 'mariadb-install-db']);
const LIMITS = { skip: SKIP, timeout: 900_000 };
const deadline = () => AbortSignal.timeout(300_000);
const PAGE_BYTES = 16_384;
const LIBRARY = 'metadata_lock_info';

let directory: StoreDirectory;
/** Whose server was killed, and so has something to redo; and a volume that has a table of it. */
let original: string;
let space: string;
let copies = 0;

before(async () => {
  if (SKIP) return;
  directory = new StoreDirectory('mysql');
  [original, space] = ['original', 'space'].map((name) => directory.volume(name).mountPoint);
  await carryOut({}, [
    'CREATE DATABASE t',
    'USE t',
    'CREATE TABLE t.innodb (id INT PRIMARY KEY AUTO_INCREMENT, v VARCHAR(200), KEY (v)) ENGINE=InnoDB',
    "INSERT INTO t.innodb (v) SELECT CONCAT(seq, REPEAT('x', 150)) FROM seq_1_to_5000",
    'CREATE TABLE t.myisam (id INT PRIMARY KEY, v VARCHAR(200)) ENGINE=MyISAM',
    "INSERT INTO t.myisam SELECT seq, REPEAT('x', 100) FROM seq_1_to_1000",
    'CREATE TABLE t.versioned (id INT) WITH SYSTEM VERSIONING',
    'CREATE VIEW t.view AS SELECT * FROM t.innodb',
    `INSTALL SONAME '${LIBRARY}'`,
    'CREATE TABLE t.ran (id INT)',
    'CREATE EVENT t.run ON SCHEDULE EVERY 1 SECOND DO INSERT INTO t.ran VALUES (1)',
  ]);
  // The log has all of what is made from here on, and names its file by its whole path.
  await carryOut({ isInstalled: true, isKilled: true }, [
    'USE t',
    `CREATE TABLE t.elsewhere (id INT) ENGINE=InnoDB DATA DIRECTORY='${space}'`,
    'INSERT INTO t.elsewhere SELECT seq FROM seq_1_to_100',
  ]);
});

/** By a server that is started for it, and ends in good order or by force. */
async function carryOut(
  { isInstalled = false, isKilled = false, on = original, settings = [] as string[] },
  statements: readonly string[],
): Promise<void> {
  await using server = await startMariadb(on, settings, deadline(), { isInstalled });
  await using session = await connect(server, deadline());
  for (const statement of statements) await session.query(statement, deadline());
  if (!isKilled) return;
  server.kill('SIGKILL');
  await server.exited;
}

after(() => directory?.[Symbol.dispose]());

interface Copied {
  readonly data: string;
  readonly mountPoints: readonly string[];
  readonly originals: ReadonlyMap<string, string>;
}

function copied(): Copied {
  const mounts = [original, space].map((from, at) => {
    const to = directory.volume(`copy-${++copies}-${at}`).mountPoint;
    execFileSync('cp', ['-a', `${from}/.`, to]);
    return [to, from] as const;
  });
  const mountPoints = mounts.map(([to]) => to);
  return { data: must(mountPoints[0]), mountPoints, originals: new Map(mounts) };
}

/** Of a copy, after something was done to it. */
async function told(change: (data: string) => void, program?: string): Promise<Verdict | undefined> {
  const { data, ...volumes } = copied();
  change(data);
  const verifier = mariadbVerifier(program === undefined ? {} : { program });
  const [verdict, ...others] = await verifier.verify({ ...volumes, signal: deadline() });
  assert.deepEqual(others, []);
  return verdict;
}

function notClean(verdict: Verdict | undefined, words: RegExp): void {
  assert.equal(verdict?.isClean, false, JSON.stringify(verdict));
  assert.match(verdict.words, words);
}

function overwrite(file: string, at: number): void {
  const handle = fs.openSync(file, 'r+');
  fs.writeSync(handle, Buffer.alloc(PAGE_BYTES, 7), 0, PAGE_BYTES, at);
  fs.closeSync(handle);
}

function contents(directory: string): Record<string, string> {
  const files = fs.readdirSync(directory, { recursive: true, withFileTypes: true });
  return Object.fromEntries(
    files
      .filter((entry) => entry.isFile())
      .map(({ parentPath, name }) => path.join(parentPath, name))
      .map((file) => [file, fs.readFileSync(file, 'latin1')]),
  );
}

test(
  'a copy of a server that was killed is clean, and the original is not touched by it',
  LIMITS,
  async () => {
    const before = contents(space);
    const verdict = await told(() => {});
    assert.deepEqual(contents(space), before);
    assert.ok(verdict?.isClean, JSON.stringify(verdict));
    assert.match(verdict.words, /^it starts, after \d+ bytes of InnoDB's log.*; \d+ tables were checked$/);
  },
);

test('of nothing there is no verdict, and a directory that is not whole is told', LIMITS, async () => {
  const [empty, half] = ['empty', 'half'].map((name) => directory.volume(name).mountPoint);
  for (const name of ['ibdata1', 'aria_log_control', 'mysql']) fs.writeFileSync(path.join(half, name), '');
  const verify = (mountPoint: string) =>
    mariadbVerifier().verify({ mountPoints: [mountPoint], signal: deadline() });
  assert.deepEqual(await verify(empty), []);
  notClean((await verify(half))[0], /it has no directory mysql/);
  notClean(await told((data) => fs.rmSync(path.join(data, 'ib_logfile0'))), /its ib_logfile0 is not in it/);
});

test('a damaged page, and a damaged table without transactions, are not clean', LIMITS, async () => {
  const page = await told((data) => overwrite(path.join(data, 't/innodb.ibd'), 20 * PAGE_BYTES));
  notClean(page, /innodb/i);
  const table = await told((data) => fs.truncateSync(path.join(data, 't/myisam.MYD'), 5_000));
  notClean(table, /myisam/);
  const definition = await told((data) => fs.truncateSync(path.join(data, 't/versioned.frm'), 20));
  notClean(definition, /versioned/);
  notClean(await told((data) => overwrite(path.join(data, 'ib_logfile0'), 0)), /InnoDB/);
});

test('a transaction in doubt is not clean', LIMITS, async () => {
  const { data } = copied();
  const statements = ["XA START 'a'", 'INSERT INTO t.ran VALUES (7)', "XA END 'a'", "XA PREPARE 'a'"];
  await carryOut({ isInstalled: true, isKilled: true, on: data }, statements);
  const mountPoints = [data, space];
  const [verdict] = await mariadbVerifier().verify({ mountPoints, signal: deadline() });
  notClean(verdict, /1 transactions are in doubt/);
});

test('a tablespace in several files, with small pages, and a log elsewhere are clean', LIMITS, async () => {
  const [data, logs] = ['odd', 'odd-logs'].map((name) => directory.volume(name).mountPoint);
  const files = '--innodb-data-file-path=ibdata1:12M;ibdata2:12M:autoextend';
  const settings = ['--innodb-page-size=4k', files, `--innodb-log-group-home-dir=${logs}`];
  await carryOut({ on: data, isKilled: true, settings }, ['CREATE DATABASE t', 'CREATE TABLE t.a (id INT)']);
  const [verdict] = await mariadbVerifier().verify({ mountPoints: [data, logs], signal: deadline() });
  assert.ok(verdict?.isClean, JSON.stringify(verdict));
});

test('nothing is run that is on a copy', LIMITS, async () => {
  const { data, ...volumes } = copied();
  fs.writeFileSync(path.join(data, 'init.sql'), 'CREATE DATABASE evil;\n');
  for (const name of ['my.cnf', '.my.cnf', 'auto.cnf'])
    fs.writeFileSync(path.join(data, name), `[mysqld]\ninit-file=${data}/init.sql\n`);
  const [copy] = await findMariadb({ ...volumes, signal: deadline() });
  await using restored = await startRestoredMariadb({ copy, volumes, signal: deadline() });
  const ask = async (question: string) => restored.session.query(question, deadline());
  assert.deepEqual(await ask('SELECT name FROM mysql.plugin'), [{ name: LIBRARY.toUpperCase() }]);
  assert.deepEqual(
    await ask('SELECT PLUGIN_NAME FROM information_schema.PLUGINS WHERE PLUGIN_LIBRARY IS NOT NULL'),
    [],
  );
  assert.deepEqual(await ask("SHOW DATABASES LIKE 'evil'"), []);
  const [ran] = await ask('SELECT COUNT(*) AS n, SLEEP(1.5) FROM t.ran');
  const [later] = await ask('SELECT COUNT(*) AS n FROM t.ran');
  assert.equal(Number(later['n']), Number(ran['n']));
});

test('what leads elsewhere, or is no file, is not opened', LIMITS, async () => {
  const linked = await told((data) => fs.symlinkSync(directory.path, path.join(data, 'linked')));
  notClean(linked, /leads to .*, which is not restored/);
  const piped = await told((data) => execFileSync('mkfifo', [path.join(data, 't/pipe.frm')]));
  notClean(piped, /neither a file nor a directory/);
  const file = path.join(directory.path, 'not-restored.ibd');
  notClean(await told((data) => fs.writeFileSync(path.join(data, 't/x.isl'), file)), /x\.isl leads to/);
});

test('nothing is started as root or as nobody knows whom, nor without a program', LIMITS, async () => {
  notClean(await told((data) => fs.chownSync(data, 0, 0)), /belongs to root/);
  notClean(await told((data) => fs.chownSync(data, 987_654, 987_654)), /987654, of which \/etc\/passwd/);
  const missing = await told(() => {}, '/nowhere/mariadbd');
  notClean(missing, /\/nowhere\/mariadbd is not on this machine.*install it/);
});
