/** A real PostgreSQL in the head's private namespace, on an ordinary directory in the volume's place. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import * as fs from 'node:fs';
import { describe, test } from 'node:test';
import { Client, type QueryResult, type QueryResultRow } from 'pg';
import { systemClock } from '@rokka/kernel';
import { runCommand } from './command.ts';
import { connectionString, writeClientFiles } from './connection.ts';
import { mountPrivilege } from './namespace.ts';
import type { StandInOptions } from './testing/head-stand-in.ts';
import { commandOf, footprint, StandIn, TestDirectory, vanished, vanishedPid } from './testing/stand-in.ts';

const ROOT = process.platform === 'linux' && mountPrivilege() === 'root';
const nobody = (...words: string[]) =>
  spawnSync('setpriv', ['--reuid=65534', '--regid=65534', '--clear-groups', '--', ...words]).status === 0;
const SKIP = {
  root: !ROOT && 'root on Linux is needed',
  user:
    (!ROOT && 'root on Linux is needed, to become an ordinary user') ||
    (!nobody('test', '-x', process.execPath, '-a', '-r', import.meta.filename) &&
      'an ordinary user cannot read this checkout') ||
    (!nobody('unshare', '--user', '--map-root-user', '--mount', 'true') && 'user namespaces are not allowed'),
};
const TIMEOUT_MS = 600_000;
const RELOAD_MS = 60_000;
const LOOK_AGAIN_MS = 50;

async function query<Row extends QueryResultRow>(
  options: StandInOptions,
  sql: string,
  host = '127.0.0.1',
): Promise<Row[]> {
  const { port, password, database } = options;
  const target = { host, port, user: 'postgres', password, database };
  const client = new Client({
    connectionString: connectionString(target),
    connectionTimeoutMillis: 60_000,
    query_timeout: 120_000,
  });
  // A server that is killed closes its connections, which is what some tests want.
  client.on('error', () => {});
  await client.connect();
  try {
    const result: QueryResult<Row> | QueryResult<Row>[] = await client.query<Row>(sql);
    // Several statements have several results; the last one is asked for.
    return (Array.isArray(result) ? (result.at(-1) as QueryResult<Row>) : result).rows;
  } finally {
    await client.end();
  }
}

/** Mounts of the machine that have to do with the test; others may mount meanwhile. */
const ourMounts = (directory: TestDirectory) =>
  fs
    .readFileSync('/proc/self/mounts', 'utf8')
    .split('\n')
    .filter((line) => line.includes('/mnt/rokka') || line.includes(directory.path));

const failure = async (head: StandIn) => {
  const event = await head.next('failed');
  await head.ended();
  return event;
};

describe('as root', { skip: SKIP.root }, () => {
  test(
    'SQL over TCP and the unix socket, for those who have the password',
    { timeout: TIMEOUT_MS },
    async () => {
      using directory = new TestDirectory();
      const options = await directory.options();
      await using head = StandIn.start(options);
      await head.next('ready');
      const who = `select current_user as who, current_database() as db, pg_encoding_to_char(encoding) as encoding,
      datlocale as locale, current_setting('data_checksums') as sums
      from pg_database where datname = current_database()`;
      const expected = [{ who: 'postgres', db: 'app', encoding: 'UTF8', locale: 'C.UTF-8', sums: 'on' }];
      assert.deepEqual(await query(options, who), expected);
      assert.deepEqual(await query(options, who, options.runDirectory), expected);
      for (const host of ['127.0.0.1', options.runDirectory])
        await assert.rejects(query({ ...options, password: 'wrong' }, 'select 1', host), { code: '28P01' });
    },
  );

  test(
    'the server has an account of its own, no way to more rights, and no memory that could stay',
    { timeout: TIMEOUT_MS },
    async () => {
      using directory = new TestDirectory();
      const options = await directory.options();
      await using head = StandIn.start(options);
      const { uid } = await head.next('staged');
      const { pid } = await head.next('ready');
      const status = fs.readFileSync(`/proc/${pid}/status`, 'latin1');
      assert.notEqual(uid, 0);
      assert.match(status, new RegExp(`^Uid:\t${uid}\t${uid}\t${uid}\t${uid}$`, 'm'));
      assert.match(status, /^CapEff:\t0+$/m);
      assert.match(status, /^NoNewPrivs:\t1$/m);
      assert.match(status, /^NSpid:.*\t1$/m);
      assert.notEqual(fs.readlinkSync(`/proc/${pid}/ns/ipc`), fs.readlinkSync('/proc/self/ns/ipc'));
      assert.doesNotMatch(fs.readFileSync(`/proc/${pid}/maps`, 'latin1'), /\/dev\/shm\//);
      assert.ok(!fs.existsSync('/mnt/rokka'), 'the stage is not seen from outside');
      // A parallel query needs dynamic shared memory: it works, and lies in no file.
      const plan = await query(
        options,
        'set debug_parallel_query = on; explain (analyze, costs off, timing off) select count(*) from pg_class',
      );
      assert.match(JSON.stringify(plan), /Workers Launched: 1/);
    },
  );

  test('settings: ours hold, a person’s win over what we only choose', { timeout: TIMEOUT_MS }, async () => {
    using directory = new TestDirectory();
    const options = { ...(await directory.options()), settings: { work_mem: '7MB', wal_recycle: 'on' } };
    await using head = StandIn.start(options);
    await head.next('ready');
    await query(options, 'alter system set max_wal_size = 512');
    await query(options, 'alter system set synchronous_commit = off');
    await query(options, 'select pg_reload_conf()');
    const names = [
      'work_mem',
      'wal_recycle',
      'full_page_writes',
      'max_wal_size',
      'synchronous_commit',
      'fsync',
    ];
    const settings = async () => {
      const rows = await query<{ setting: string }>(
        options,
        `select setting from unnest(array['${names.join("','")}']) with ordinality as wanted (name, place)
           join pg_settings using (name) order by place`,
      );
      return rows.map(({ setting }) => setting);
    };
    // The server reads its configuration when it gets round to it: all of it at once.
    const untilMs = systemClock.nowMs() + RELOAD_MS;
    let found = await settings();
    for (; found[3] !== '512' && systemClock.nowMs() < untilMs; found = await settings())
      await systemClock.sleep(LOOK_AGAIN_MS);
    assert.deepEqual(found, ['7168', 'on', 'off', '512', 'on', 'on']);
  });

  test('amcheck is among the extensions, and finds nothing', { timeout: TIMEOUT_MS }, async () => {
    using directory = new TestDirectory();
    const options = await directory.options();
    await using head = StandIn.start(options);
    await head.next('ready');
    await query(options, 'create extension amcheck');
    const rows = await query<{ checked: number }>(
      options,
      `select count(bt_index_check(indexrelid, true))::int as checked from pg_index
         join pg_class on pg_class.oid = indexrelid join pg_am on pg_am.oid = relam where amname = 'btree'`,
    );
    assert.ok((rows[0]?.checked ?? 0) > 100, 'it looked at every system index');
  });

  test('stop and start in one head; a clean stop is no loss', { timeout: TIMEOUT_MS }, async () => {
    using directory = new TestDirectory();
    const options = await directory.options();
    await using head = StandIn.start(options);
    await head.next('ready');
    await query(options, 'create table t as select 1 as n');
    head.tell('stop');
    const exited = await head.next('exited');
    assert.deepEqual({ how: exited.how, code: exited.code }, { how: 'exit status 0', code: undefined });
    assert.deepEqual(fs.readdirSync(options.runDirectory), []);
    head.tell('start');
    await head.next('ready');
    assert.deepEqual(await query(options, 'select n from t'), [{ n: 1 }]);
    head.tell('quit');
    await head.ended();
  });

  test(
    'kill -9 of the postmaster ends all of its processes; a restart recovers',
    { timeout: TIMEOUT_MS },
    async () => {
      using directory = new TestDirectory();
      const options = await directory.options();
      await using head = StandIn.start(options);
      const { pid } = await head.next('ready');
      await query(options, 'create table t (n int); insert into t values (1), (2)');
      const sleeping = query(options, 'select pg_sleep(60)').catch((error: unknown) => error);
      const family = footprint(head.pid).members.filter((member) => member !== head.pid);
      assert.ok(family.length > 5);
      process.kill(pid, 'SIGKILL');
      const exited = await head.next('exited');
      assert.deepEqual([exited.how, exited.code], ['SIGKILL', 'DATABASE_POSTGRES_LOST']);
      for (const member of family) assert.ok(!fs.existsSync(`/proc/${member}`), commandOf(member));
      assert.ok((await sleeping) instanceof Error);
      assert.deepEqual(fs.readdirSync(options.runDirectory), [], 'not even the socket');
      head.tell('start');
      await head.next('ready');
      assert.deepEqual(await query(options, 'select sum(n)::int as sum from t'), [{ sum: 3 }]);
      assert.ok(
        head.events.some((event) => event.event === 'log' && event.text.includes('automatic recovery')),
      );
    },
  );

  test('a crash in the middle of initdb is begun anew', { timeout: TIMEOUT_MS }, async () => {
    using directory = new TestDirectory();
    const options = await directory.options();
    for (const step of ['creating the system catalogs', 'creating the database']) {
      await using head = StandIn.start(options);
      while ((await head.next('step')).text !== step);
      const before = footprint(head.pid);
      head.signal('SIGKILL');
      await vanished(before);
      assert.ok(!fs.readdirSync(options.dataDirectory).includes('pgdata'));
    }
    await using head = StandIn.start(options);
    assert.equal((await head.next('ready')).created, true);
    assert.deepEqual(fs.readdirSync(options.dataDirectory), ['pgdata']);
    assert.deepEqual(await query(options, 'select 1 as one'), [{ one: 1 }]);
  });

  test('a crash that leaves an empty lock file does not keep it down', { timeout: TIMEOUT_MS }, async () => {
    using directory = new TestDirectory();
    const options = await directory.options();
    for (const created of [true, false]) {
      await using head = StandIn.start(options);
      assert.equal((await head.next('ready')).created, created);
      const before = footprint(head.pid);
      head.signal('SIGKILL');
      await vanished(before);
      fs.writeFileSync(`${options.dataDirectory}/pgdata/postmaster.pid`, '');
      fs.writeFileSync(`${options.runDirectory}/.s.PGSQL.${options.port}.lock`, '');
    }
  });

  test('names and passwords with every kind of character', { timeout: TIMEOUT_MS }, async () => {
    using directory = new TestDirectory();
    const options = { ...(await directory.options()), password: `a'b"c\\d:e %f$\`ü`, database: `o'"d d` };
    await using head = StandIn.start(options);
    await head.next('ready');
    assert.deepEqual(await query(options, 'select current_database() as db'), [{ db: `o'"d d` }]);
    assert.deepEqual(await query(options, 'select 1 as one', options.runDirectory), [{ one: 1 }]);
  });

  const psql = spawnSync('psql', ['--version']).status === 0;
  test('psql asks for no password', { timeout: TIMEOUT_MS, skip: !psql && 'no psql here' }, async () => {
    using directory = new TestDirectory();
    const options = { ...(await directory.options()), password: 'a:b\\c d' };
    await using head = StandIn.start(options);
    await head.next('ready');
    const { port, password, database } = options;
    for (const host of ['127.0.0.1', options.runDirectory]) {
      const target = { host, port, user: 'postgres', password, database };
      const files = writeClientFiles({
        directory: `${directory.path}/client`,
        service: 'r',
        targets: [target],
      });
      const asked = await runCommand(
        { command: 'psql', args: ['--no-password', '-Atc', 'select current_database()', 'service=r'] },
        { timeoutMs: 120_000, env: { PATH: process.env['PATH'], PGSERVICEFILE: files.serviceFile } },
      );
      assert.deepEqual([asked.status, asked.stdout, asked.words], [0, 'app\n', '']);
    }
  });

  test(
    'a distribution’s PostgreSQL',
    { skip: !fs.existsSync('/usr/lib/postgresql/15/bin') && 'none of 15 here' },
    async () => {
      using directory = new TestDirectory();
      const newer = await directory.options();
      const options = { ...newer, postgres: '/usr/lib/postgresql/15/bin' };
      {
        await using head = StandIn.start(options);
        await head.next('ready');
        const rows = await query<{ server_version_num: string }>(options, 'show server_version_num');
        assert.match(rows[0]?.server_version_num ?? '', /^15/);
        head.tell('quit');
        await head.ended();
      }
      await using head = StandIn.start(newer);
      const { code, message } = await failure(head);
      assert.equal(code, 'DATABASE_VERSION_MISMATCH');
      assert.match(message, /made by PostgreSQL 15, these programs are 18/);
    },
  );
});

const noDevice = !fs.existsSync('/dev/fuse') && 'no /dev/fuse here';
for (const as of ['root', 'user'] as const) {
  test(`on our own filesystem (${as})`, { skip: SKIP[as] || noDevice, timeout: TIMEOUT_MS }, async () => {
    using directory = new TestDirectory();
    const options = { ...(await directory.options(as)), dataDirectory: undefined };
    await using head = StandIn.start(options, as);
    const { pid } = await head.next('ready');
    await query(
      options,
      'create table t as select n, repeat(md5(n::text), 20) as text from generate_series(1, 5000) as n',
    );
    process.kill(pid, 'SIGKILL');
    assert.equal((await head.next('exited')).code, 'DATABASE_POSTGRES_LOST');
    head.tell('start');
    await head.next('ready');
    await query(options, 'create extension amcheck; checkpoint');
    const found = 'select count(*)::int as n from verify_heapam($$t$$)';
    assert.deepEqual(await query(options, found), [{ n: 0 }]);
    assert.deepEqual(await query(options, 'select count(*)::int as n from t'), [{ n: 5000 }]);
    const before = footprint(head.pid);
    const busy = query(options, 'insert into t select n from generate_series(1, 10000000) as n').catch(
      (error: unknown) => error,
    );
    head.signal('SIGKILL');
    await vanished(before);
    assert.ok((await busy) instanceof Error);
    assert.deepEqual(ourMounts(directory), []);
  });

  test(`kill -9 of the head leaves nothing (${as})`, { skip: SKIP[as], timeout: TIMEOUT_MS }, async () => {
    using directory = new TestDirectory();
    const options = await directory.options(as);
    {
      await using head = StandIn.start(options, as);
      const { pid } = await head.next('ready');
      await query(options, 'create table t (n int); insert into t values (42)');
      const before = footprint(head.pid);
      assert.ok(before.members.includes(pid) && before.members.length > 5);
      assert.deepEqual(ourMounts(directory), [], 'not even while it runs');
      head.signal('SIGKILL');
      await vanished(before);
      await vanishedPid(pid);
    }
    assert.deepEqual(ourMounts(directory), []);
    await using again = StandIn.start(options, as);
    assert.equal((await again.next('ready')).created, false);
    for (const host of ['127.0.0.1', options.runDirectory])
      assert.deepEqual(await query(options, 'select n from t', host), [{ n: 42 }]);
    again.tell('quit');
    await again.ended();
  });
}

test(
  'a volume written by an ordinary user is handed over to root’s server',
  { skip: SKIP.user, timeout: TIMEOUT_MS },
  async () => {
    using directory = new TestDirectory();
    const options = await directory.options('user');
    {
      await using head = StandIn.start(options, 'user');
      await head.next('ready');
      head.tell('quit');
      await head.ended();
    }
    await using head = StandIn.start(options, 'root');
    const { uid } = await head.next('staged');
    assert.equal((await head.next('ready')).created, false);
    assert.equal(fs.statSync(`${options.dataDirectory}/pgdata/base`).uid, uid);
    assert.deepEqual(await query(options, 'select 1 as one'), [{ one: 1 }]);
  },
);
