/** The engine dies: what was acknowledged is there, who was at work hears of it, everybody else goes on. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CodedError, systemClock } from '@rokka/kernel';
import pg from 'pg';
import { EmbeddedDatabase } from './embedded-database.ts';
import { MemorySink } from './testing/memory-sink.ts';
import { databaseSink, Running } from './testing/running.ts';

const WRITERS = 4;
const KILLS = 4;

test('killed again and again under writers, no acknowledged row is lost', { timeout: 900_000 }, async () => {
  await using running = await Running.start({ sink: (await databaseSink()).clone({ delayMs: 2 }) });
  await running.database.exec('create table acked (writer int, seq int, primary key (writer, seq))');
  const acked = new Map<number, number>();
  const stop = new AbortController();
  const writers = Array.from({ length: WRITERS }, async (_, writer) => {
    let client = await running.client();
    for (let seq = 1; !stop.signal.aborted;) {
      try {
        await client.query({ name: 'put', text: 'insert into acked values ($1, $2)', values: [writer, seq] });
        acked.set(writer, seq++);
      } catch (error) {
        const { code } = error as pg.DatabaseError;
        // A row whose answer was lost may be there already; a connection that was cut is made anew.
        if (code === '23505') seq++;
        else if (code === '57P01' || !(error instanceof pg.DatabaseError)) client = await running.client();
        else throw error;
      }
    }
  });
  for (let kill = 0; kill < KILLS; kill++) {
    const before = acked.get(0) ?? 0;
    while ((acked.get(0) ?? 0) < before + 20) await systemClock.sleep(10);
    await running.database.engine.life?.terminate('the test kills it');
  }
  stop.abort();
  await Promise.all(writers);
  const { rows } = await running.database.query<{ writer: number; n: number; last: number }>(
    'select writer, count(*)::int as n, max(seq)::int as last from acked group by writer order by writer',
  );
  assert.equal(rows.length, WRITERS);
  for (const { writer, n, last } of rows) {
    assert.ok(last >= (acked.get(writer) ?? 0), `writer ${writer}: ${last} of ${acked.get(writer)}`);
    assert.equal(n, last, 'no gaps');
  }
});

test('who is in a transaction hears of the restart, who is idle does not', { timeout: 300_000 }, async () => {
  await using running = await Running.start();
  const busy = await running.client();
  const idle = await running.client();
  await idle.query('create table kept (a int)');
  await idle.query({ name: 'named', text: 'select count(*)::int as n from kept' });
  await busy.query('begin; insert into kept values (1)');
  const ended = new Promise<pg.DatabaseError>((resolve) =>
    busy.once('error', resolve as (error: Error) => void),
  );
  await running.database.engine.life?.terminate('the test kills it');
  assert.equal((await ended).code, '57P01');
  const { rows } = await idle.query({ name: 'named', text: 'select count(*)::int as n from kept' });
  assert.deepEqual(rows, [{ n: 0 }]);
});

test(
  'a statement that breaks the machine under the backend ends one session at most',
  { timeout: 300_000 },
  async () => {
    await using running = await Running.start();
    const client = await running.client();
    await client.query('create table kept (a int); insert into kept values (1)');
    const deep = `select ${'('.repeat(20_000)}1${')'.repeat(20_000)}`;
    const chain = `select 1${' + 1'.repeat(60_000)}`;
    const recursive = `create function deeper(n int) returns int language plpgsql as 'begin return deeper(n + 1); end'`;
    await client.query(recursive).catch(() => {});
    for (const sql of [deep, chain, 'select deeper(1)'])
      await (await running.client()).query(sql).then(
        () => {},
        (error: pg.DatabaseError) => assert.match(error.code ?? '', /^(54001|42601|57P01)$/, error.message),
      );
    assert.deepEqual((await client.query('select a from kept')).rows, [{ a: 1 }]);
  },
);

test('closed in order and opened again', { timeout: 300_000 }, async () => {
  const sink = await databaseSink();
  {
    await using first = await EmbeddedDatabase.open({ sink });
    await first.transaction(async (transaction) => {
      await transaction.query('create table kept (a int)');
      await transaction.query('insert into kept values ($1)', [5]);
    });
    await assert.rejects(
      first.transaction(async (transaction) => {
        await transaction.query('insert into kept values (6)');
        await transaction.query('select 1 / 0');
      }),
      { code: '22012' },
    );
  }
  await using second = await EmbeddedDatabase.open({ sink });
  assert.deepEqual((await second.query('select a from kept')).rows, [{ a: 5 }]);
});

test('an initdb that was cut off is started over', { timeout: 600_000 }, async () => {
  const sink = new MemorySink();
  const attempt = EmbeddedDatabase.open({ sink, user: 'owner', database: 'shop' });
  attempt.catch(() => {});
  while (sink.records < 500) await systemClock.sleep(5);
  // What a crash in the middle leaves.
  const cut = sink.clone();
  await (await attempt).close();
  const again: string[] = [];
  await using database = await EmbeddedDatabase.open({
    sink: cut,
    user: 'owner',
    database: 'shop',
    onProgress: (step) => {
      again.push(step);
    },
  });
  assert.ok(again.includes('creating the database'), again.join(', '));
  const { rows } = await database.query('select current_user as u, current_database() as d');
  assert.deepEqual(rows, [{ u: 'owner', d: 'shop' }]);
});

test('a database of another name is not opened', { timeout: 300_000 }, async () => {
  const sink = await databaseSink();
  await assert.rejects(EmbeddedDatabase.open({ sink, database: 'other' }), {
    code: 'DATABASE_DIRECTORY_FOREIGN',
  });
});

test(
  'when another writer takes the volume over, clients hear it and nothing starts again',
  { timeout: 300_000 },
  async () => {
    const sink = await databaseSink();
    await using running = await Running.start({ sink });
    const client = await running.client();
    await client.query('create table kept (a int)');
    const ended = new Promise<pg.DatabaseError>((resolve) =>
      client.once('error', resolve as (error: Error) => void),
    );
    const { life } = running.database.engine;
    sink.fail(new CodedError('VOLUME_FENCED', 'volume v was opened by another writer'));
    await assert.rejects(client.query('insert into kept values (1)'));
    await ended;
    await life?.ended;
    await assert.rejects(running.client(), /VOLUME_FENCED/);
    assert.equal(running.database.engine.failure?.code, 'VOLUME_FENCED');
  },
);
