/** What many sessions on one backend must not notice of each other, and what stops a session that stops the others. */
import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { after, before, test } from 'node:test';
import { systemClock } from '@rokka/kernel';
import type pg from 'pg';
import { Running } from './testing/running.ts';

/** A test that is kept from going on for so long would seem to be idle. */
const IDLE_MS = 4_000;
/** And a statement that could stop would seem not to. */
const GRACE_MS = 3_000;

let running: Running;

before(async () => {
  running = await Running.start({ idleInTransactionMs: IDLE_MS, cancelGraceMs: GRACE_MS, waitMs: 120_000 });
});

after(async () => {
  await running[Symbol.asyncDispose]();
});

async function refused(client: pg.Client, sql: string, words: RegExp): Promise<void> {
  await assert.rejects(client.query(sql), (error: pg.DatabaseError) => {
    assert.equal(error.code, '0A000', `${sql}: ${error.message}`);
    assert.match(error.message, words);
    assert.ok(error.hint);
    return true;
  });
}

test('what one backend cannot do is refused, and the session goes on', { timeout: 300_000 }, async () => {
  const client = await running.client();
  await refused(client, 'listen channel', /LISTEN/);
  await refused(client, 'select 1; LISTEN "x"', /LISTEN/);
  await refused(client, 'create database other', /CREATE DATABASE/);
  await refused(client, "create tablespace t location '/tmp'", /CREATE TABLESPACE/);
  await refused(client, "copy (select 1) to '/tmp/x'", /COPY/);
  await refused(client, "copy pg_class to program 'cat'", /COPY/);
  await refused(client, 'select lastval()', /currval and lastval/);
  await refused(client, 'set standard_conforming_strings = off', /standard_conforming_strings/);
  const body = 'begin perform pg_advisory_lock(1); end';
  await refused(
    client,
    `create function f() returns void language plpgsql as $$ ${body} $$`,
    /advisory locks/,
  );
  const params = client.query({ text: 'select lastval() + $1::int', values: [1] });
  await assert.rejects(params, { code: '0A000' });
  assert.deepEqual((await client.query('select 1 as x')).rows, [{ x: 1 }]);
  await client.query('begin');
  await refused(client, 'listen channel', /LISTEN/);
  await assert.rejects(client.query('select 1'), { code: '25P02' });
  await client.query('rollback');
  await client.query('notify channel');
});

test(
  'temporary tables pin the backend: nobody else sees them, and others wait',
  { timeout: 300_000 },
  async () => {
    const a = await running.client();
    const b = await running.client();
    await a.query('create temp table mine (a int)');
    let answered = false;
    const waiting = b
      .query("select count(*)::int as n from pg_class where relname = 'mine'")
      .then((found) => {
        answered = true;
        return found.rows[0].n;
      });
    await a.query('insert into mine values (1)');
    assert.deepEqual((await a.query('select a from mine')).rows, [{ a: 1 }]);
    assert.equal(answered, false);
    await a.query('discard all');
    assert.equal(await waiting, 0);
    await assert.rejects(a.query('select a from mine'), { code: '42P01' });
  },
);

test('a pinned session that disconnects leaves nothing behind', { timeout: 300_000 }, async () => {
  const a = await running.client();
  const b = await running.client();
  await b.query({ name: 'kept', text: 'select 5 as x' });
  assert.deepEqual((await a.query('select pg_try_advisory_lock(7) as got')).rows, [{ got: true }]);
  await a.query('create temp table left_over (a int)');
  await a.end();
  const locks = await b.query("select count(*)::int as n from pg_locks where locktype = 'advisory'");
  assert.deepEqual(locks.rows, [{ n: 0 }]);
  assert.deepEqual((await b.query("select to_regclass('left_over') as t")).rows, [{ t: null }]);
  assert.deepEqual((await b.query({ name: 'kept', text: 'select 5 as x' })).rows, [{ x: 5 }]);
});

test('temporary tables that end with the transaction need no pin', { timeout: 300_000 }, async () => {
  const a = await running.client();
  const b = await running.client();
  await a.query(
    'begin; create temp table short (a int) on commit drop; insert into short values (1); commit',
  );
  assert.deepEqual((await b.query("select to_regclass('pg_temp.short') is null as gone")).rows, [
    { gone: true },
  ]);
  await b.query('discard all');
});

test('currval is right while pinned, and never another session’s', { timeout: 300_000 }, async () => {
  const a = await running.client();
  const b = await running.client();
  await a.query('create sequence s');
  await b.query("select nextval('s')");
  await a.query('create temp table pinning (x int)');
  await assert.rejects(a.query("select currval('s')"), { code: '55000' });
  assert.deepEqual((await a.query("select nextval('s')::int as v, lastval()::int as l")).rows, [
    { v: 2, l: 2 },
  ]);
  await a.end();
  await assert.rejects(b.query('select lastval()'), { code: '0A000' });
});

test('an idle transaction is ended, and its work undone', { timeout: 300_000 }, async () => {
  const a = await running.client();
  const b = await running.client();
  await b.query('create table idled (a int)');
  const ended = new Promise<pg.DatabaseError>((resolve) =>
    a.once('error', resolve as (error: Error) => void),
  );
  await a.query('begin');
  await a.query('insert into idled values (1)');
  const counted = b.query('select count(*)::int as n from idled');
  assert.equal((await ended).code, '25P03');
  assert.deepEqual((await counted).rows, [{ n: 0 }]);
});

test('a disconnect in a transaction rolls it back', { timeout: 300_000 }, async () => {
  const a = await running.client();
  const b = await running.client();
  await b.query('create table cut (a int)');
  await a.query('begin; insert into cut values (1)');
  (a as unknown as { connection: { stream: { destroy(): void } } }).connection.stream.destroy();
  assert.deepEqual((await b.query('select count(*)::int as n from cut')).rows, [{ n: 0 }]);
});

test(
  'statement_timeout and CancelRequest stop a statement that touches something',
  { timeout: 300_000 },
  async () => {
    const client = await running.client();
    await client.query('create table much (a int, t text)');
    const writes = 'insert into much select g, repeat(md5(g::text), 10) from generate_series(1, 3000000) g';
    await client.query('set statement_timeout = 1000');
    await assert.rejects(client.query(writes), {
      code: '57014',
      message: 'canceling statement due to statement timeout',
    });
    await client.query('set statement_timeout = 0');
    const running_ = client.query(writes);
    running_.catch(() => {});
    await systemClock.sleep(200);
    await cancel(client);
    await assert.rejects(running_, { code: '57014', message: 'canceling statement due to user request' });
    assert.deepEqual((await client.query('select count(*)::int as n from much')).rows, [{ n: 0 }]);
  },
);

test(
  'a statement that only computes is killed with the engine, and nobody else loses anything',
  { timeout: 300_000 },
  async () => {
    const a = await running.client();
    const b = await running.client();
    await b.query('create table survives (a int); insert into survives values (42)');
    await b.query("set app.name = 'b'");
    await b.query({ name: 'stays', text: 'select a from survives' });
    const computing = a.query('select sum(g) from (select generate_series(1, 2000000000) as g) as s');
    computing.catch(() => {});
    await systemClock.sleep(200);
    const waiting = b.query({ name: 'stays', text: 'select a from survives' });
    await cancel(a);
    await assert.rejects(computing, { code: '57014' });
    assert.deepEqual((await waiting).rows, [{ a: 42 }]);
    assert.deepEqual((await b.query("select current_setting('app.name') as n")).rows, [{ n: 'b' }]);
  },
);

test('a waiting statement can be cancelled, too', { timeout: 300_000 }, async () => {
  const a = await running.client();
  const b = await running.client();
  await a.query('begin');
  const waiting = b.query('select 1');
  waiting.catch(() => {});
  await systemClock.sleep(50);
  await cancel(b);
  await assert.rejects(waiting, { code: '57014' });
  await a.query('commit');
  assert.deepEqual((await b.query('select 2 as x')).rows, [{ x: 2 }]);
});

test('errors name statements as the client does', { timeout: 300_000 }, async () => {
  const client = await running.client();
  await client.query({ name: 'once', text: 'select 1' });
  await client.query('deallocate once');
  await assert.rejects(client.query('deallocate once'), {
    message: 'prepared statement "once" does not exist',
  });
});

test('alone, a session may use everything', { timeout: 300_000 }, async () => {
  await using single = await Running.start({ connectionsMax: 1 });
  const client = await single.client();
  await client.query('create sequence s; create temp table t (a int); listen channel');
  await client.query("select nextval('s'), pg_advisory_lock(1)");
  assert.deepEqual((await client.query('select lastval()::int as l')).rows, [{ l: 1 }]);
  const notified = new Promise((resolve) => client.once('notification', resolve));
  await client.query("notify channel, 'hello'");
  assert.equal(((await notified) as pg.Notification).payload, 'hello');
  await assert.rejects(single.client(), { code: '53300' });
  await client.end();
  const next = await single.client();
  assert.deepEqual((await next.query("select to_regclass('pg_temp.t') as t")).rows, [{ t: null }]);
});

async function cancel(client: pg.Client): Promise<void> {
  const { processID, secretKey } = client as unknown as { processID: number; secretKey: number };
  const packet = Buffer.alloc(16);
  packet.writeInt32BE(16, 0);
  packet.writeInt32BE(80_877_102, 4);
  packet.writeInt32BE(processID, 8);
  packet.writeInt32BE(secretKey, 12);
  await new Promise<void>((resolve, reject) => {
    const socket = connect(running.port, '127.0.0.1', () => socket.end(packet));
    socket.once('close', () => resolve());
    socket.once('error', reject);
    socket.resume();
  });
}

/** PREPARE as libpq's PQprepare sends it: Parse and Sync alone. */
function prepareAlone(client: pg.Client, name: string): Promise<void> {
  return new Promise((resolve, reject) => {
    client.query({
      name,
      text: 'select 1',
      submit: (connection: pg.Connection) => {
        connection.parse({ name, text: 'select 1', types: [] }, true);
        connection.sync();
      },
      handleReadyForQuery: () => resolve(),
      handleError: reject,
    } as unknown as pg.Submittable);
  });
}

test(
  'a Parse that came just before another session’s BEGIN had the backend does not wait for it',
  { timeout: 300_000 },
  async () => {
    const [a, b] = [await running.client(), await running.client()];
    await a.query("set work_mem = '5MB'");
    for (let round = 0; round < 20; round++) {
      // So that the backend has to be given a's settings first: meanwhile nobody has it.
      await b.query('select 1');
      await Promise.all([a.query('begin'), prepareAlone(b, `p${round}`)]);
      await a.query('commit');
    }
  },
);

test(
  "settings that a function sets for its session are that session's alone, also after a restart",
  { timeout: 300_000 },
  async () => {
    const a = await running.client();
    const b = await running.client();
    const seen = async (client: pg.Client) => {
      const { rows } = await client.query(
        `select coalesce(current_setting('app.tenant', true), '') as tenant, current_user as role`,
      );
      return rows[0];
    };
    const nobody = await seen(b);
    await a.query('create role guest');
    await a.query(`create function enter(who text) returns void language plpgsql as
    $$ begin perform set_config('app.tenant', who, false); set role guest; end $$`);
    await a.query('create table entered (who text)');
    await a.query(`create function on_entry() returns trigger language plpgsql as
    $$ begin perform set_config('app.tenant', new.who, false); return new; end $$`);
    await a.query('create trigger t before insert on entered for each row execute function on_entry()');
    await a.query("select enter('one')");
    assert.deepEqual(await seen(b), nobody);
    assert.deepEqual(await seen(a), { tenant: 'one', role: 'guest' });
    await b.query("insert into entered values ('two')");
    assert.deepEqual(await seen(a), { tenant: 'one', role: 'guest' });
    assert.deepEqual(await seen(b), { ...nobody, tenant: 'two' });

    const sink = running.sink.clone();
    await using again = await Running.start({ sink });
    const [c, d] = [await again.client(), await again.client()];
    await c.query("select enter('three')");
    assert.deepEqual(await seen(d), nobody);
    assert.deepEqual(await seen(c), { tenant: 'three', role: 'guest' });
  },
);
