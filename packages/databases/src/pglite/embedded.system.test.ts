/** The embedded engine under the clients that people have: psql, pgbench, node-postgres. */
import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import * as path from 'node:path';
import { after, before, test } from 'node:test';
import { systemClock } from '@rokka/kernel';
import pg from 'pg';
import { Running } from './testing/running.ts';

const SUMS = `select (select sum(abalance) from pgbench_accounts) as a, (select sum(tbalance) from pgbench_tellers) as t,
  (select sum(bbalance) from pgbench_branches) as b, (select sum(delta) from pgbench_history) as h,
  (select count(*)::int from pgbench_history) as n`;
const CLIENTS = 8;
const TRANSACTIONS = 100;

let running: Running;

before(async () => {
  running = await Running.start();
});

after(async () => {
  await running[Symbol.asyncDispose]();
});

async function rows(sql: string, parameters: unknown[] = []): Promise<Record<string, unknown>[]> {
  return (await running.database.query(sql, parameters)).rows;
}

test('psql over TCP and over the unix socket', { timeout: 300_000 }, async () => {
  const sql = 'select current_user, current_database(), 6 * 7';
  const tcp = await running.tool('psql', ['-Atc', sql]);
  assert.equal(tcp.stdout, 'postgres|postgres|42\n');
  const host = running.socketPath.replace('/.s.PGSQL.5432', '');
  const unix = await running.tool('psql', ['-Atc', sql], { PGHOST: host, PGPORT: '5432' });
  assert.equal(unix.stdout, tcp.stdout);
});

test('pgbench in all three protocols, eight clients on one thread', { timeout: 900_000 }, async () => {
  await running.tool('pgbench', ['-i', '-s', '1', '-q']);
  assert.deepEqual(await rows('select count(*)::int as n from pgbench_accounts'), [{ n: 100_000 }]);
  let expected = 0;
  for (const protocol of ['simple', 'extended', 'prepared']) {
    const args = ['-n', '-c', `${CLIENTS}`, '-j', '1', '-t', `${TRANSACTIONS}`, '-M', protocol];
    const { stdout } = await running.tool('pgbench', args);
    assert.match(stdout, /number of transactions actually processed: 800\/800/);
    expected += CLIENTS * TRANSACTIONS;
    const [{ a, t, b, h, n }] = await rows(SUMS);
    assert.deepEqual({ a, t, b, n }, { a: h, t: h, b: h, n: expected });
  }
});

test('a pool of five with the same statement names and different texts', { timeout: 300_000 }, async () => {
  const pool = new pg.Pool({ ...running.config, max: 5 });
  try {
    await pool.query('create table counted (id int primary key, v int); insert into counted values (1, 0)');
    const answers = await Promise.all(
      Array.from({ length: 300 }, (_, i) => pool.query('select $1::int as x', [i])),
    );
    assert.deepEqual(
      answers.map((answer) => answer.rows[0].x),
      Array.from({ length: 300 }, (_, i) => i),
    );
    await Promise.all(
      Array.from({ length: 100 }, async () => {
        const client = await pool.connect();
        try {
          await client.query('begin');
          const { rows: found } = await client.query('select v from counted where id = $1 for update', [1]);
          await client.query({
            name: 'put',
            text: 'update counted set v = $1 where id = 1',
            values: [found[0].v + 1],
          });
          await client.query('commit');
        } finally {
          client.release();
        }
      }),
    );
    assert.deepEqual(await rows('select v from counted'), [{ v: 100 }]);
    const clients = await Promise.all(Array.from({ length: 5 }, () => pool.connect()));
    for (let round = 0; round < 3; round++) {
      const named = await Promise.all(
        clients.map((client, i) =>
          client.query({ name: 'same', text: `select ${i} as x, $1::int as y`, values: [round] }),
        ),
      );
      assert.deepEqual(
        named.map((answer) => answer.rows[0]),
        clients.map((_, i) => ({ x: i, y: round })),
      );
    }
    for (const client of clients) client.release();
  } finally {
    await pool.end();
  }
});

test('COPY of 100,000 rows in and out', { timeout: 600_000 }, async () => {
  await running.database.exec('create table copied (id int, t text)');
  const generate = `copy (select g, repeat(md5(g::text), 4) from generate_series(1, 100000) g) to stdout`;
  // Through a file: two sessions in one pipe would each wait for the other, as there is one backend.
  const file = path.join(path.dirname(running.socketPath), 'rows');
  await running.tool('psql', ['-qAtc', generate, '-o', file]);
  await running.tool('psql', ['-qc', `\\copy copied from '${file}'`]);
  const [found] = await rows('select count(*)::int as n, sum(id)::bigint as s from copied');
  assert.deepEqual(found, { n: 100_000, s: '5000050000' });
  const wrong = running.tool('sh', [
    '-c',
    `echo 'no number' | psql -v ON_ERROR_STOP=1 -qc 'copy copied from stdin'`,
  ]);
  await assert.rejects(wrong, /invalid input syntax for type integer/);
  assert.deepEqual(await rows('select count(*)::int as n from copied'), [{ n: 100_000 }]);
});

test(
  'a COPY that fails early swallows what still comes, and the next statement is right',
  { timeout: 300_000 },
  async () => {
    const file = path.join(path.dirname(running.socketPath), 'bad');
    await writeFile(file, `no number\n${'1\n'.repeat(400_000)}`);
    await running.database.exec('create table bad (a int)');
    const script = ['-c', `\\copy bad from '${file}'`, '-c', 'select count(*) + 5 from bad'];
    const { stdout, stderr } = await running.tool('psql', ['-qAt', ...script]);
    assert.match(stderr, /invalid input syntax for type integer: "no number"/);
    assert.equal(stdout, '5\n');
  },
);

test('a long result goes to a slow reader without a loss', { timeout: 300_000 }, async () => {
  const client = await running.client();
  const { rows: found } = await client.query(
    `select g, repeat('x', 1000) as x from generate_series(1, 20000) g`,
  );
  assert.equal(found.length, 20_000);
  assert.ok(found.every((row, i) => row.g === i + 1 && row.x.length === 1000));
});

test('settings stay with their session', { timeout: 300_000 }, async () => {
  const a = await running.client({ application_name: 'first' });
  const b = await running.client({ application_name: 'second' });
  const show = async (client: pg.Client, name: string) =>
    (await client.query('select current_setting($1, true) as v', [name])).rows[0].v;
  await a.query(
    "set search_path = pg_catalog; set app.tenant = 'a''s'; select set_config('work_mem', '5MB', false)",
  );
  await b.query("set app.tenant = 'b'");
  assert.deepEqual(
    [
      await show(a, 'app.tenant'),
      await show(b, 'app.tenant'),
      await show(a, 'work_mem'),
      await show(b, 'work_mem'),
    ],
    ["a's", 'b', '5MB', '4MB'],
  );
  assert.deepEqual(
    [await show(a, 'search_path'), await show(b, 'search_path')],
    ['pg_catalog', await show(await running.client(), 'search_path')],
  );
  assert.deepEqual(
    [await show(a, 'application_name'), await show(b, 'application_name')],
    ['first', 'second'],
  );
  await a.query('reset all');
  assert.deepEqual([await show(a, 'work_mem'), await show(a, 'application_name')], ['4MB', 'first']);
  await b.query("begin; set local work_mem = '7MB'; rollback");
  assert.equal(await show(b, 'work_mem'), '4MB');
});

test('roles stay with their session', { timeout: 300_000 }, async () => {
  await running.database.exec('create role reader; create table secret (a int)');
  const a = await running.client();
  const b = await running.client();
  await a.query('set role reader');
  await assert.rejects(a.query('select * from secret'), { code: '42501' });
  assert.equal((await b.query('select current_user as u')).rows[0].u, 'postgres');
  await b.query('select * from secret');
  assert.equal((await a.query('select current_user as u')).rows[0].u, 'reader');
  await a.query('reset role');
  await a.query('select * from secret');
});

test('settings of the start-up packet are checked, kept and reported', { timeout: 300_000 }, async () => {
  const client = await running.client({ options: '-c timezone=Asia/Tokyo -c work_mem=6MB' });
  const { rows: found } = await client.query(
    "select current_setting('TimeZone') as z, current_setting('work_mem') as w",
  );
  assert.deepEqual(found, [{ z: 'Asia/Tokyo', w: '6MB' }]);
  await client.query('set work_mem = default');
  assert.equal((await client.query('show work_mem')).rows[0].work_mem, '6MB');
  await assert.rejects(running.client({ options: '-c nonsense_setting=1' }), { code: '42704' });
  await assert.rejects(running.client({ database: 'other' }), { code: '3D000' });
});

test(
  'background duties: tables are analyzed while nobody works, the log is cut',
  { timeout: 300_000 },
  async () => {
    await using busy = await Running.start({
      duties: { tickMs: 50, vacuumMs: 100, idleMs: 50, checkpointWalBytes: 1 },
    });
    const { database } = busy;
    await database.exec('create table swollen as select g, g as h from generate_series(1, 5000) g');
    await database.exec('update swollen set h = h + 1');
    const [before] = (await database.query('select redo_lsn::text as l from pg_control_checkpoint()')).rows;
    const look = async () => {
      const sql = `select n_dead_tup::int as dead, (select redo_lsn::text from pg_control_checkpoint()) as l,
      (select reltuples::int from pg_class where relname = 'swollen') as tuples
      from pg_stat_user_tables where relname = 'swollen'`;
      return (await database.query(sql)).rows[0];
    };
    for (let round = 0; round < 500; round++) {
      const seen = await look();
      if (seen.dead === 0 && seen.tuples === 5000 && seen.l !== before.l) return;
      await systemClock.sleep(300);
    }
    assert.fail(JSON.stringify(await look()));
  },
);
