/**
 * How long clients wait after a crash under load: from the kill of the head to the first query that is answered, and from
 * `rokka up` to that after everything was killed. Again with ten and forty times the log: the volume reads none of its own to
 * recover, PostgreSQL replays what it wrote since its last checkpoint.
 */
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import * as path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Client } from 'pg';
import { freePort } from './free-port.ts';
import { pgbenchInitialise, pgbenchLoad, sql } from './pgbench.ts';
import { median, type Row } from './report.ts';
import { rokka, type RokkaSystem } from './rokka-system.ts';

const SCALE = 20;
const CLIENTS = 8;
const LOG_BYTES = 1_000_000;
const TIMES = [1, 10, 40];
/** What is to be replayed is what the load has written: no checkpoint on the way. */
const SETTINGS = { checkpoint_timeout: '1h', max_wal_size: '4GB' };
const GOAL_MS = 2_000;
const LOAD_MS_MAX = 300_000;
const LOOK_AGAIN_MS = 100;
const ASK_AGAIN_MS = 20;
const ANSWER_MS_MAX = 120_000;

interface Recovery {
  readonly tookMs: number;
  /** Of everything that belongs to the system. */
  readonly cpuMs: number;
}

export async function recoveryRows(options: {
  directory: string;
  rounds: number;
  say(text: string): void;
}): Promise<Row[]> {
  const { directory, rounds, say } = options;
  await using system = await rokka({
    directory,
    port: await freePort(),
    engine: 'native',
    settings: SETTINGS,
  });
  await pgbenchInitialise(system, SCALE);
  const rows: Row[] = [];
  for (const times of TIMES) {
    const log = `${(LOG_BYTES * times) / 1e6} MB of log`;
    const ofHead: Recovery[] = [];
    const ofAll: Recovery[] = [];
    for (let round = 1; round <= rounds; round++) {
      const load = await loaded(system, LOG_BYTES * times);
      ofHead.push(await measure(system, () => system.killHead()));
      say(`round ${round}: head killed, ${log}: ${describe(ofHead.at(-1), system)}`);
      load.kill('SIGKILL');
      const other = await loaded(system, LOG_BYTES * times);
      await system.killEverything();
      other.kill('SIGKILL');
      const starting = { done: Promise.resolve() };
      const start = () => {
        starting.done = system.start();
        return 0;
      };
      ofAll.push(await measure(system, start));
      await starting.done;
      say(`round ${round}: everything killed, ${log}: ${describe(ofAll.at(-1), system)}`);
    }
    rows.push(
      ...rowsOf(`head killed, ${log}`, ofHead, GOAL_MS),
      ...rowsOf(`everything killed, ${log}`, ofAll),
    );
  }
  return rows;
}

/** Runs pgbench until so much log was written since a checkpoint; it goes on. */
async function loaded(system: RokkaSystem, logBytes: number) {
  await sql(system, 'checkpoint');
  const load = spawn(...pgbenchLoad(system, { clients: CLIENTS, seconds: LOAD_MS_MAX / 1000 }));
  const written = 'select pg_current_wal_lsn() - redo_lsn from pg_control_checkpoint()';
  for (let waitedMs = 0; Number(await sql(system, written)) < logBytes; waitedMs += LOOK_AGAIN_MS) {
    if (waitedMs > LOAD_MS_MAX) throw new Error('pgbench writes no log');
    await sleep(LOOK_AGAIN_MS);
  }
  return load;
}

/** @param begin answers the CPU seconds that the system has used before */
async function measure(system: RokkaSystem, begin: () => number | Promise<number>): Promise<Recovery> {
  const cpuBefore = await begin();
  const startedMs = performance.now();
  while (!(await answers(system))) {
    if (performance.now() - startedMs > ANSWER_MS_MAX) throw new Error('no query is answered any more');
    await sleep(ASK_AGAIN_MS);
  }
  const tookMs = performance.now() - startedMs;
  return { tookMs, cpuMs: (system.cpuSeconds() - cpuBefore) * 1000 };
}

async function answers({ host, port, password }: RokkaSystem): Promise<boolean> {
  const client = new Client({ host, port, password, user: 'postgres', database: 'postgres' });
  client.on('error', () => {});
  try {
    await client.connect();
    await client.query('select 1');
    return true;
  } catch {
    return false;
  } finally {
    await client.end().catch(() => {});
  }
}

function rowsOf(what: string, of: readonly Recovery[], goal?: number): Row[] {
  const tookMs = median(of.map((one) => one.tookMs));
  const judged = goal === undefined ? {} : { goal, atLeast: false };
  return [
    { row: `${what}: first query after`, value: tookMs, unit: 'ms', ...judged },
    { row: `${what}: CPU until then`, value: median(of.map((one) => one.cpuMs)), unit: 'ms' },
  ];
}

/** With what the head says about its start. */
function describe(one: Recovery | undefined, system: RokkaSystem): string {
  const log = readFileSync(path.join(system.data, 'rokka.log'), 'utf8').trim().split('\n');
  const start = log.findLast((line) => line.includes('head ready after')) ?? '{}';
  const { text = '' } = JSON.parse(start) as { text?: string };
  return `${one?.tookMs.toFixed(0)} ms, ${one?.cpuMs.toFixed(0)} ms CPU; ${text}`;
}
