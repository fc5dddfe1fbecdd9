/**
 * How long clients wait after the head is killed under load, with the settings that users have, by how much log was written since the
 * database was filled. The volume reads no log to recover, and PostgreSQL goes on where it stood: so it should not matter.
 */
import { spawn } from 'node:child_process';
import { sleep } from './interruption.ts';
import { pgbenchInitialise, pgbenchLoad, sql } from './pgbench.ts';
import { BULK, describe, flatness, GOAL_MS, headKilled, rowsOf, type Recovery } from './recovery.ts';
import { median, type Row } from './report.ts';
import type { RokkaSystem } from './rokka-system.ts';
import { hasEnded } from './system.ts';
import type { Plan, Topic } from './topic.ts';

const CLIENTS = 8;
/** Of load before the head is killed. */
const UNDER_LOAD_MS = 3_000;
const LOAD_SECONDS_MAX = 60;

export const written: Topic = { programs: ['pgbench', 'psql'], native: true, rows: writtenRows };

async function writtenRows(plan: Plan): Promise<Row[]> {
  const system = await plan.rokka({ engine: 'native' });
  await pgbenchInitialise(system, plan.scale);
  const start = await sql(system, 'select pg_current_wal_lsn()');
  const megabytes = async () =>
    Number(await sql(system, `select pg_current_wal_lsn() - '${start}'::pg_lsn`)) / 1e6;
  const rows: Row[] = [];
  const medians: number[] = [];
  for (const wanted of plan.writtenMegabytes) {
    while ((await megabytes()) < wanted) await sql(system, BULK);
    const recoveries: Recovery[] = [];
    for (let round = 1; round <= plan.rounds; round++) {
      recoveries.push(await headKilledUnderLoad(system));
      const after = `${(await megabytes()).toFixed(0)} MB written`;
      plan.say(`round ${round}: head killed, ${after}: ${describe(recoveries.at(-1), system)}`);
    }
    medians.push(median(recoveries.map((one) => one.tookMs)));
    rows.push(...rowsOf(`head killed, ${wanted} MB written`, recoveries, GOAL_MS));
  }
  return [...rows, ...flatness('written', plan.writtenMegabytes, medians)];
}

async function headKilledUnderLoad(system: RokkaSystem): Promise<Recovery> {
  const load = spawn(...pgbenchLoad(system, { clients: CLIENTS, seconds: LOAD_SECONDS_MAX }));
  try {
    await sleep(UNDER_LOAD_MS);
    if (hasEnded(load)) throw new Error('pgbench ended before its time: a transaction failed');
    return await headKilled(system);
  } finally {
    load.kill('SIGKILL');
  }
}
