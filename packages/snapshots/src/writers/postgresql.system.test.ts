/**
 * Real servers. The snapshot is a copy of the directories that is made while all is held; what was acknowledged before the freeze must
 * be in it, and the copy's server says what recovery it had to do.
 */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import * as fs from 'node:fs';
import * as path from 'node:path';
import { test, type TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import type { Client } from 'pg';
import { isCoded, must } from '@rokka/kernel';
import { PostgresWriter, postgresql, type PostgresOptions } from './postgresql.ts';
import { findClusters } from './postgresql-cluster.ts';
import { REDO_BYTES_MAX } from './postgresql-hold.ts';
import { tryRestoredPostgres } from './postgresql-restored.ts';
import {
  installedPrograms,
  PostgresServer,
  temporaryDirectory,
  type InstalledPrograms,
} from './testing/postgres-server.ts';

const signal = () => AbortSignal.timeout(240_000);
const TIMEOUT_MS = 900_000;
/** Long enough for a hold, on a busy machine too, and short enough to wait for one that cannot be. */
const SHORT_HOLD_MS = 5_000;
const CLIENTS = 4;
const LOOKS_MAX = 5_000;
const LOOK_MS = 20;

for (const programs of installedPrograms()) {
  const options = { skip: programs.skip, timeout: TIMEOUT_MS };

  test(
    `${programs.name}: a copy under load has all that was acknowledged, and next to nothing to redo`,
    options,
    async (t) => {
      const { server, base } = await start(t, programs);
      const load = await Load.start(server);
      await using writer = await only(base, server);
      const components = await writer.identify(signal());
      assert.deepEqual(components[0].paths, [server.dataDirectory, path.join(base, 'wal')]);
      await writer.prepare(signal());
      const frozen = await writer.freeze(signal());
      await load.waits(server);
      const acknowledged = load.acknowledged;
      const copy = await copyOf(t, base);
      assert.equal(load.acknowledged, acknowledged, 'nobody writes while it is held');
      await writer.thaw(signal());
      await load.goesOn();
      await load.stop();
      assert.equal(frozen.level, 'application');
      assert.match(frozen.position ?? '', /^[0-9A-F]+\/[0-9A-F]+$/);

      const [restored] = await tryRestoredPostgres({
        mountPoints: [copy],
        signal: signal(),
        programs: () => programs,
      });
      t.diagnostic(`redo of ${restored.recovery.redoBytes} bytes`);
      assert.ok(restored.recovery.redoBytes <= REDO_BYTES_MAX, JSON.stringify(restored.recovery));
      assert.deepEqual(load.failures, [], 'no client was harmed');
      assert.equal(await rowsOf(restored.dataDirectory, programs), acknowledged);
    },
  );

  test(
    `${programs.name}: the writer's process is killed while all is held, and the clients go on`,
    options,
    async (t) => {
      const { server, base } = await start(t, programs);
      const load = await Load.start(server);
      await using writer = await only(base, server);
      await writer.prepare(signal());
      await writer.freeze(signal());
      process.kill(must(writer.helperPid), 'SIGKILL');
      await load.goesOn();
      await assert.rejects(writer.thaw(signal()), (error) => isCoded(error, 'SNAPSHOTS_HELPER_ENDED'));
      await writer.abort();
      await load.stop();
      assert.deepEqual(load.failures, []);
    },
  );

  test(`${programs.name}: the server dies while it is held, and the thaw says so`, options, async (t) => {
    const { server, base } = await start(t, programs);
    await using writer = await only(base, server);
    await writer.freeze(signal());
    await server.crash();
    await assert.rejects(writer.thaw(signal()), (error) => isCoded(error, 'SNAPSHOTS_NOT_HELD'));
  });

  test(
    `${programs.name}: a transaction that does not end is a veto, and nothing stays held`,
    options,
    async (t) => {
      const { server, base } = await start(t, programs);
      const client = await server.client();
      t.after(() => client.end());
      await client.query('CREATE TABLE a (n int)');
      await client.query('BEGIN; INSERT INTO a VALUES (1)');
      await using writer = await only(base, server, { holdMs: SHORT_HOLD_MS });
      await assert.rejects(writer.freeze(signal()), (error) => {
        assert.ok(isCoded(error, 'SNAPSHOTS_VETO'));
        assert.match(error.message, /idle in transaction/);
        return true;
      });
      const other = await server.client();
      await other.query('INSERT INTO a VALUES (2)');
      await other.end();
      await client.query('COMMIT');
      const { level } = await writer.freeze(signal());
      assert.equal(level, 'application');
      await writer.thaw(signal());
    },
  );

  test(
    `${programs.name}: all databases are held, and where that cannot be, the options say what then`,
    options,
    async (t) => {
      const { server, base } = await start(t, programs);
      const first = await server.client();
      await first.query('CREATE DATABASE second');
      const client = await server.client('second');
      t.after(() => Promise.all([first.end(), client.end()]));
      await client.query('CREATE TABLE a (n int)');
      await using writer = await only(base, server, { holdMs: SHORT_HOLD_MS, otherwise: 'crash' });
      assert.equal((await writer.freeze(signal())).level, 'application');
      const waiting = client.query('INSERT INTO a VALUES (1)');
      const waits = () => first.query(`SELECT 1 FROM pg_locks WHERE NOT granted AND relation IS NOT NULL`);
      while ((await waits()).rows.length === 0) await sleep(20);
      await writer.thaw(signal());
      await waiting;

      await client.query('BEGIN; INSERT INTO a VALUES (1)');
      const frozen = await writer.freeze(signal());
      assert.equal(frozen.level, 'crash');
      assert.match(frozen.position ?? '', /^[0-9A-F]+\/[0-9A-F]+$/);
      await writer.thaw(signal());
      await client.query('COMMIT');
    },
  );

  test(
    `${programs.name}: a table that is being made, and the transaction that makes it, are waited for`,
    options,
    async (t) => {
      const { server, base } = await start(t, programs);
      const client = await server.client();
      t.after(() => client.end());
      await using writer = await only(base, server);
      await client.query('BEGIN; CREATE TABLE fresh (n int)');
      const freezing = writer.freeze(signal());
      await sleep(500);
      await client.query('INSERT INTO fresh VALUES (1); COMMIT');
      await freezing;
      await client.query(`SET lock_timeout = '200ms'`);
      for (const sql of [
        'INSERT INTO fresh VALUES (2)',
        'CREATE TABLE other (n int)',
        'SELECT * FROM fresh FOR UPDATE',
      ])
        await assert.rejects(client.query(sql), { code: '55P03' });
      assert.equal((await client.query('SELECT * FROM fresh')).rows.length, 1, 'readers go on');
      await writer.thaw(signal());
    },
  );

  test(
    `${programs.name}: a server that follows another one cannot be held, and the level says so`,
    options,
    async (t) => {
      const { server, base } = await start(t, programs);
      {
        await using writer = await only(base, server);
        await writer.freeze(signal());
        const copy = await copyOf(t, base);
        await writer.thaw(signal());
        fs.rmSync(path.join(copy, 'data/postmaster.pid'));
        fs.writeFileSync(path.join(copy, 'data/standby.signal'), '');
        await using standby = await PostgresServer.open({ programs, dataDirectory: path.join(copy, 'data') });
        await using second = await only(copy, standby);
        await second.prepare(signal());
        assert.equal((await second.freeze(signal())).level, 'crash');
        await second.thaw(signal());
      }
    },
  );

  test(`${programs.name}: whom the server does not let in says how it can be done`, options, async (t) => {
    const { server, base } = await start(t, programs);
    fs.writeFileSync(
      path.join(server.dataDirectory, 'pg_hba.conf'),
      'local all tester trust\nlocal all all reject\n',
    );
    const client = await server.client();
    await client.query('SELECT pg_reload_conf()');
    await client.end();
    const { dataDirectory } = server;
    const volumes = [{ volume: 'vol-1', mountPoint: base }];
    // The server reads its configuration when it gets round to it.
    for (let refused = false; !refused;) {
      const [writer] = await postgresql().discover({ volumes, signal: signal() });
      await using _ = writer;
      const outcome = await writer.identify(signal()).catch((error: unknown) => error);
      refused = isCoded(outcome, 'SNAPSHOTS_UNREACHABLE');
    }
    const logins = [{ dataDirectory, user: 'tester' }];
    const [writer] = await postgresql({ logins }).discover({ volumes, signal: signal() });
    await using _ = writer;
    assert.equal((await writer.identify(signal())).length, 1);
  });

  test(`${programs.name}: a step that is late lets go of everything`, options, async (t) => {
    const { server, base } = await start(t, programs);
    const client = await server.client();
    t.after(() => client.end());
    await client.query('CREATE TABLE a (n int); CREATE TABLE b (n int)');
    await client.query('BEGIN; INSERT INTO b VALUES (1)');
    await using writer = await only(base, server);
    await assert.rejects(writer.freeze(AbortSignal.timeout(1_000)), { name: 'TimeoutError' });
    await client.query('INSERT INTO a VALUES (1); COMMIT');
    const { rows } = await client.query(
      `SELECT pid FROM pg_stat_activity WHERE application_name = 'rokka-snapshot' AND state <> 'idle'`,
    );
    assert.ok(rows.length <= 1, 'at most a session that has not yet noticed');
  });

  test(`${programs.name}: a copy starts without what its own settings would run`, options, async (t) => {
    const { server, base } = await start(t, programs);
    await server.crash();
    const copy = await copyOf(t, base);
    const run = path.join(copy, 'run');
    fs.writeFileSync(
      path.join(copy, 'data/postgresql.auto.conf'),
      ['shared_preload_libraries', 'archive_mode', 'restore_command', 'archive_command']
        .map((name) => `${name} = '${name === 'archive_mode' ? 'always' : `touch ${run}`}'\n`)
        .join(''),
    );
    fs.writeFileSync(path.join(copy, 'data/recovery.signal'), '');
    const [{ recovery }] = await tryRestoredPostgres({
      mountPoints: [copy],
      signal: signal(),
      programs: () => programs,
    });
    assert.ok(recovery.ready);
    assert.ok(!fs.existsSync(run));
  });

  test(`${programs.name}: WAL on no volume of the set is a veto`, options, async (t) => {
    const { server, base } = await start(t, programs);
    const { dataDirectory } = server;
    const volumes = [{ volume: 'vol-1', mountPoint: dataDirectory }];
    const writers = await postgresql().discover({ volumes, signal: signal() });
    assert.equal(writers.length, 1);
    await assert.rejects(writers[0].identify(signal()), (error) => {
      assert.ok(isCoded(error, 'SNAPSHOTS_OUTSIDE'));
      assert.ok(error.message.includes(path.join(base, 'wal')));
      return true;
    });
    // The other way round it is found by its process alone.
    const wal = [{ volume: 'vol-2', mountPoint: path.join(base, 'wal') }];
    assert.equal((await postgresql().discover({ volumes: wal, signal: signal() })).length, 1);
  });
}

async function start(
  t: TestContext,
  programs: InstalledPrograms,
): Promise<{ server: PostgresServer; base: string }> {
  const base = temporaryDirectory('rokka-writer-');
  const server = await PostgresServer.create({
    programs,
    dataDirectory: path.join(base, 'data'),
    walDirectory: path.join(base, 'wal'),
  });
  t.after(async () => {
    await server[Symbol.asyncDispose]();
    fs.rmSync(base, { recursive: true, force: true });
  });
  return { server, base };
}

async function only(
  base: string,
  server: PostgresServer,
  options: PostgresOptions = {},
): Promise<PostgresWriter> {
  const clusters = await findClusters([{ mountPoint: base }], signal());
  const cluster = must(clusters.find(({ dataDirectory }) => dataDirectory === server.dataDirectory));
  return new PostgresWriter({ cluster, ...options });
}

/** With the link to the WAL led to its copy. */
async function copyOf(t: TestContext, base: string): Promise<string> {
  const copy = temporaryDirectory('rokka-restored-');
  t.after(() => fs.rmSync(copy, { recursive: true, force: true }));
  await promisify(execFile)('cp', ['-a', `${base}/.`, copy]);
  const link = path.join(copy, 'data/pg_wal');
  fs.rmSync(link);
  fs.symlinkSync(path.join(copy, 'wal'), link);
  return copy;
}

/** Of a data directory that nobody has open. */
async function rowsOf(dataDirectory: string, programs: InstalledPrograms): Promise<number> {
  await using server = await PostgresServer.open({ programs, dataDirectory });
  const client = await server.client();
  const { rows } = await client.query<{ count: number }>('SELECT (SELECT count(*) FROM a)::int AS count');
  await client.end();
  return rows[0].count;
}

const WAITING = `SELECT count(DISTINCT pid)::int AS count FROM pg_locks JOIN pg_stat_activity USING (pid)
  WHERE NOT granted AND backend_type = 'client backend'`;

/** Clients that write two tables in a transaction, half of them in the other order. */
class Load {
  acknowledged = 0;
  readonly failures: string[] = [];
  readonly #clients: readonly Client[];
  readonly #running: readonly Promise<void>[];
  #stopping = false;

  private constructor(clients: readonly Client[]) {
    this.#clients = clients;
    this.#running = clients.map((client, at) => this.#run(client, at));
  }

  static async start(server: PostgresServer): Promise<Load> {
    const clients = await Promise.all(Array.from({ length: CLIENTS }, () => server.client()));
    await clients[0].query('CREATE TABLE a (n int); CREATE TABLE b (n int); CREATE TABLE c (n int, t text)');
    const load = new Load(clients);
    await load.goesOn();
    return load;
  }

  /** @throws where nothing is acknowledged any more */
  async goesOn(): Promise<void> {
    const before = this.acknowledged;
    for (let i = 0; i < LOOKS_MAX && this.acknowledged < before + 20; i++) await sleep(LOOK_MS);
    assert.ok(this.acknowledged >= before + 20, `${this.acknowledged} after ${before}`);
  }

  /** Each client waits for what is held, and so has heard of all that it did before. */
  async waits(server: PostgresServer): Promise<void> {
    const client = await server.client();
    const waiting = async () => (await client.query<{ count: number }>(WAITING)).rows[0].count;
    for (let i = 0; i < LOOKS_MAX && (await waiting()) < CLIENTS; i++) await sleep(LOOK_MS);
    assert.equal(await waiting(), CLIENTS);
    await client.end();
  }

  async stop(): Promise<void> {
    this.#stopping = true;
    await Promise.all(this.#running);
    await Promise.all(this.#clients.map((client) => client.end()));
  }

  async #run(client: Client, at: number): Promise<void> {
    const tables = at % 2 === 0 ? ['a', 'b'] : ['b', 'a'];
    while (!this.#stopping) {
      try {
        await client.query('BEGIN');
        for (const table of tables) await client.query(`INSERT INTO ${table} VALUES (1)`);
        await client.query(`INSERT INTO c SELECT n, repeat('x', 500) FROM generate_series(1, 20) n`);
        await client.query('COMMIT');
        this.acknowledged++;
      } catch (error) {
        this.failures.push((error as Error).message);
        return;
      }
    }
  }
}
