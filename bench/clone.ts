/**
 * A clone of a large database: from the wish to its first query, and that both go their own ways from there. The source is idle
 * when it is cloned, and all of its past is in its archive; what a clone waits for besides, its log since the last checkpoint, is PostgreSQL's
 * own recovery, and is told by the row of a clone under load.
 */
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import * as path from 'node:path';
import { freePort } from '@rokka/kernel/testing';
import { askControl, CONTROL } from '../apps/rokka/src/control.ts';
import type { DatabaseStatus } from '../apps/rokka/src/databases/database-status.ts';
import { firstQuery } from './first-query.ts';
import { interrupted, sleep } from './interruption.ts';
import { pgbenchInitialise, pgbenchLoad, sql } from './pgbench.ts';
import { median, type Row } from './report.ts';
import type { RokkaSystem } from './rokka-system.ts';
import type { BenchSystem } from './system.ts';
import type { Plan, Topic } from './topic.ts';

/** Of pgbench: 2 GB of tables and indexes. */
const SCALE = 134;
const QUICK_SCALE = 3;
const GOAL_MS = 2_000;
const ROUNDS_MAX = 5;
const THERE_MS_MAX = 300_000;
const LOOK_AGAIN_MS = 20;
const LOAD_CLIENTS = 4;
const LOAD_SECONDS = 5;

export const clone: Topic = { programs: ['pgbench', 'psql'], native: true, rows: cloneRows };

async function cloneRows(plan: Plan): Promise<Row[]> {
  const system = await plan.rokka({ engine: 'native' });
  await ask(system, { action: 'create', database: { name: 'source', port: await freePort() } });
  const source = await whenThere(system, 'source');
  await pgbenchInitialise(source, plan.quick ? QUICK_SCALE : SCALE);
  await sql(source, 'checkpoint');
  const megabytes = Number(await sql(source, 'select pg_database_size(current_database()) / 1000000'));
  const idleMs: number[] = [];
  const loadedMs: number[] = [];
  for (let round = 1; round <= Math.min(plan.rounds, ROUNDS_MAX); round++) {
    idleMs.push(await timed(system, source, `idle${round}`));
    const [command, args, options] = pgbenchLoad(source, { clients: LOAD_CLIENTS, seconds: LOAD_SECONDS });
    const load = spawn(command, args, options);
    const ended = new Promise((resolve) => load.once('close', resolve));
    await sleep((LOAD_SECONDS * 1000) / 2);
    loadedMs.push(await timed(system, source, `loaded${round}`));
    await ended;
    await sql(source, 'checkpoint');
    plan.say(
      `round ${round}: clone of ${megabytes} MB: ${idleMs.at(-1)?.toFixed(0)} ms idle, ${loadedMs.at(-1)?.toFixed(0)} ms under load`,
    );
  }
  await ask(system, { action: 'delete', name: 'source' });
  const name = `clone of a database of ${megabytes} MB`;
  const goal = { goal: GOAL_MS, atLeast: false };
  return [
    { row: `${name}, the first after its load: first query after`, value: idleMs[0], unit: 'ms', ...goal },
    { row: `${name}, idle: first query after`, value: median(idleMs), unit: 'ms', ...goal },
    { row: `${name}, under load: first query after`, value: median(loadedMs), unit: 'ms' },
  ];
}

/** From the wish to the first query. @throws where what is written to one of them shows in the other */
async function timed(system: RokkaSystem, source: BenchSystem, name: string): Promise<number> {
  const database = { name, port: await freePort() };
  const startedMs = performance.now();
  const from = { database: 'source' };
  await askControl(system.data, CONTROL.PAST, { action: 'restore', database, from, materialise: false });
  const clone = await whenThere(system, name);
  const tookMs = await firstQuery(clone, startedMs);
  await demandApart(source, clone);
  await ask(system, { action: 'delete', name });
  return tookMs;
}

async function demandApart(source: BenchSystem, clone: BenchSystem): Promise<void> {
  for (const [written, other] of [
    [source, clone],
    [clone, source],
  ]) {
    const table = `only_${written.port}`;
    await sql(written, `create table ${table} as select 1`);
    const seen = await sql(other, `select count(*) from pg_class where relname = '${table}'`);
    if (seen !== '0') throw new Error(`what was written to ${written.name} shows in ${other.name}`);
    await sql(written, `drop table ${table}`);
  }
}

/** The database as a system that clients can reach. */
async function whenThere(system: RokkaSystem, name: string): Promise<BenchSystem> {
  const sinceMs = performance.now();
  for (;;) {
    interrupted.throwIfAborted();
    const { databases } = await ask(system, { action: 'list' });
    const found = databases.find((database) => database.name === name);
    if (found?.phase === 'available') return reached(system, found);
    if (!found || found.phase === 'failed' || performance.now() - sinceMs > THERE_MS_MAX)
      throw new Error(`database ${name} is not there: ${found?.reason ?? 'nobody knows why'}`);
    await sleep(LOOK_AGAIN_MS);
  }
}

function reached(system: RokkaSystem, { name, port }: DatabaseStatus): BenchSystem {
  const password = readFileSync(path.join(system.data, 'secrets', `${name}-password`), 'utf8').trim();
  return {
    name,
    host: '127.0.0.1',
    port,
    password,
    cpuSeconds: () => system.cpuSeconds(),
    counters: async () => undefined,
    [Symbol.asyncDispose]: async () => {},
  };
}

function ask(system: RokkaSystem, request: object): Promise<{ databases: DatabaseStatus[] }> {
  return askControl(system.data, CONTROL.DATABASE, request);
}
