/**
 * How long clients wait after a crash under load: from the kill of the head to the first query that is answered, and from
 * `rokka up` to that after everything was killed. Again with more log: the volume reads none of its own to
 * recover, PostgreSQL replays what it wrote since its last checkpoint.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import * as path from 'node:path';
import { firstQuery, startToFirstQuery } from './first-query.ts';
import { sleep } from './interruption.ts';
import { pgbenchInitialise, pgbenchLoad, sql } from './pgbench.ts';
import { FLAT, median, type Row } from './report.ts';
import type { RokkaSystem } from './rokka-system.ts';
import type { Plan, Topic } from './topic.ts';

const SCALE = 20;
const CLIENTS = 8;
/** What is to be replayed is what the load has written: no checkpoint on the way. */
const SETTINGS = { checkpoint_timeout: '1d', max_wal_size: '64GB' };
export const GOAL_MS = 2_000;
const LOAD_MS_MAX = 300_000;
const LOAD_MS_PER_MEGABYTE = 1_000;
const LOOK_AGAIN_MS = 100;
/** So much pgbench writes alone: every block that it touches is one to be read again. */
const PGBENCH_MEGABYTES = 64;
const BULK_MEGABYTES = 16;
/** Not more log than that; and the table does not grow. */
export const BULK = `drop table if exists bench_bulk; create table bench_bulk as
  select number, repeat(md5(number::text), 8) as words from generate_series(1, 40000) as number`;

export const recovery: Topic = { programs: ['pgbench', 'psql'], native: true, rows: recoveryRows };

export interface Recovery {
  readonly tookMs: number;
  /** Of everything that belongs to the system. */
  readonly cpuMs: number;
}

async function recoveryRows(plan: Plan): Promise<Row[]> {
  const { rounds, logMegabytes, say } = plan;
  const system = await plan.rokka({ engine: 'native', settings: SETTINGS });
  await pgbenchInitialise(system, plan.quick ? plan.scale : SCALE);
  const rows: Row[] = [];
  const heads: number[] = [];
  for (const megabytes of logMegabytes) {
    const log = `${megabytes} MB of log`;
    const ofHead: Recovery[] = [];
    const ofAll: Recovery[] = [];
    for (let round = 1; round <= rounds; round++) {
      const load = await loaded(system, megabytes);
      ofHead.push(await headKilled(system));
      load.kill('SIGKILL');
      say(`round ${round}: head killed, ${log}: ${describe(ofHead.at(-1), system)}`);
      const other = await loaded(system, megabytes);
      await system.killEverything();
      other.kill('SIGKILL');
      const tookMs = await startToFirstQuery(system);
      ofAll.push({ tookMs, cpuMs: system.cpuSeconds() * 1000 });
      say(`round ${round}: everything killed, ${log}: ${describe(ofAll.at(-1), system)}`);
    }
    heads.push(median(ofHead.map((one) => one.tookMs)));
    rows.push(
      ...rowsOf(`head killed, ${log}`, ofHead, GOAL_MS),
      ...rowsOf(`everything killed, ${log}`, ofAll),
    );
  }
  return [...rows, ...flatness('of log', logMegabytes, heads)];
}

/** What the most takes in what the least takes; nothing where there is one amount only. */
export function flatness(
  what: string,
  megabytes: readonly number[],
  tookMs: readonly number[],
): readonly Row[] {
  if (tookMs.length < 2) return [];
  const row = `head killed, ${megabytes.at(-1)} MB / ${megabytes[0]} MB ${what}`;
  const value = (tookMs.at(-1) ?? Number.NaN) / (tookMs[0] ?? Number.NaN);
  return [{ row, value, unit: 'x', goal: FLAT, atLeast: false }];
}

export async function headKilled(system: RokkaSystem): Promise<Recovery> {
  const cpuBefore = await system.killHead();
  const tookMs = await firstQuery(system);
  return { tookMs, cpuMs: (system.cpuSeconds() - cpuBefore) * 1000 };
}

/** Runs pgbench until so much log was written since a checkpoint; it goes on. Where that is much, rows in bulk help. */
async function loaded(system: RokkaSystem, megabytes: number): Promise<ChildProcess> {
  await sql(system, 'checkpoint');
  const loadMsMax = LOAD_MS_MAX + megabytes * LOAD_MS_PER_MEGABYTE;
  const load = spawn(...pgbenchLoad(system, { clients: CLIENTS, seconds: Math.round(loadMsMax / 1000) }));
  try {
    if (megabytes > PGBENCH_MEGABYTES)
      while ((await logMegabytes(system)) < megabytes - BULK_MEGABYTES) await sql(system, BULK);
    for (let waitedMs = 0; (await logMegabytes(system)) < megabytes; waitedMs += LOOK_AGAIN_MS) {
      if (waitedMs > loadMsMax) throw new Error('pgbench writes no log');
      await sleep(LOOK_AGAIN_MS);
    }
    return load;
  } catch (error) {
    load.kill('SIGKILL');
    throw error;
  }
}

/** Written since the last checkpoint. */
async function logMegabytes(system: RokkaSystem): Promise<number> {
  return (
    Number(await sql(system, 'select pg_current_wal_lsn() - redo_lsn from pg_control_checkpoint()')) / 1e6
  );
}

export function rowsOf(what: string, of: readonly Recovery[], goal?: number): Row[] {
  const tookMs = median(of.map((one) => one.tookMs));
  const judged = goal === undefined ? {} : { goal, atLeast: false };
  return [
    { row: `${what}: first query after`, value: tookMs, unit: 'ms', ...judged },
    { row: `${what}: CPU until then`, value: median(of.map((one) => one.cpuMs)), unit: 'ms' },
  ];
}

/** With what the head says about its start. */
export function describe(one: Recovery | undefined, system: RokkaSystem): string {
  const log = readFileSync(path.join(system.data, 'rokka.log'), 'utf8').trim().split('\n');
  const start = log.findLast((line) => line.includes('head ready after')) ?? '{}';
  const { text = '' } = JSON.parse(start) as { text?: string };
  return `${one?.tookMs.toFixed(0)} ms, ${one?.cpuMs.toFixed(0)} ms CPU; ${text}`;
}
