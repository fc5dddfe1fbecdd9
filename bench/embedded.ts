/** The embedded engine, PGlite, durable: rows inserted one by one on many connections, and TPC-B on a few. */
import { writeFileSync } from 'node:fs';
import * as path from 'node:path';
import { pgbench, pgbenchInitialise, type PgbenchResult, type Script, sql } from './pgbench.ts';
import { median, type Row } from './report.ts';
import type { Plan, Topic } from './topic.ts';

const INSERT_CONNECTIONS = 90;
const TPCB_CONNECTIONS = 8;
const INSERT = '\\set n random(1, 1000000)\ninsert into bench_rows (number, words) values (:n, :n);\n';
const TABLE =
  'create table bench_rows (id bigint generated always as identity primary key, number int, words text)';
const GOAL_INSERTS = 10_000;
const GOAL_TPCB = 1_200;
/** The engine's code is compiled for some seconds of load. */
const WARM_UP_SECONDS = 4;
/** One session is served at a time: nobody waits for a branch that another has. */
const QUICK_SCALE = 1;

export const embedded: Topic = { programs: ['pgbench', 'psql'], rows: embeddedRows };

async function embeddedRows(plan: Plan): Promise<Row[]> {
  const { directory, seconds, say } = plan;
  const system = await plan.rokka({ engine: 'pglite' });
  const file = path.join(directory, 'insert.sql');
  writeFileSync(file, INSERT);
  await sql(system, TABLE);
  await pgbenchInitialise(system, plan.quick ? QUICK_SCALE : plan.scale);
  const points: { name: string; script: Script; clients: number; goal: number; results: PgbenchResult[] }[] =
    [
      {
        name: `PGlite, single-row inserts, ${INSERT_CONNECTIONS} connections`,
        script: { file },
        clients: INSERT_CONNECTIONS,
        goal: GOAL_INSERTS,
        results: [],
      },
      {
        name: `PGlite, TPC-B, ${TPCB_CONNECTIONS} clients`,
        script: 'tpcb',
        clients: TPCB_CONNECTIONS,
        goal: GOAL_TPCB,
        results: [],
      },
    ];
  for (const { script, clients } of points)
    await pgbench(system, { script, clients, seconds: WARM_UP_SECONDS });
  for (let round = 1; round <= plan.rounds; round++) {
    for (const { name, script, clients, results } of points) {
      results.push(await pgbench(system, { script, clients, seconds }));
      say(`round ${round}: ${name}: ${results.at(-1)?.tps.toFixed(0)} /s`);
    }
  }
  return points.flatMap(({ name, goal, results }): Row[] => {
    const of = (pick: (one: PgbenchResult) => number | undefined) =>
      median(results.map((one) => pick(one) ?? Number.NaN));
    return [
      { row: name, value: of((one) => one.tps), unit: '/s', goal },
      { row: `${name}: CPU a transaction`, value: of((one) => one.cpuMsPerTransaction), unit: 'ms' },
    ];
  });
}
