/** COPY of real rows, three million flights of vega-datasets, beside the same PostgreSQL on the local disk. */
import { createWriteStream } from 'node:fs';
import * as path from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { findPostgres } from '@rokka/databases';
import { FLIGHTS, flightsAsText, readFlights } from '../apps/rokka/src/testing/flights.ts';
import { interrupted } from './interruption.ts';
import { sql } from './pgbench.ts';
import { localPostgres, SETTINGS } from './plain-postgres.ts';
import { median, type Row } from './report.ts';
import type { BenchSystem } from './system.ts';
import type { Plan, Topic } from './topic.ts';

const QUICK_FLIGHTS = 300_000;
const TABLE = `create table flights (date timestamp not null, delay int not null, distance int not null,
  origin text not null, destination text not null)`;
const COPY_MS_MAX = 600_000;
const ROUNDS_MAX = 3;
const GOAL = 0.7;

export const copy: Topic = { programs: ['psql'], native: true, rows: copyRows };

interface Copied {
  readonly rowsPerSecond: number;
  readonly cpuUsPerRow: number;
}

async function copyRows(plan: Plan): Promise<Row[]> {
  const { directory, say } = plan;
  const count = plan.quick ? QUICK_FLIGHTS : FLIGHTS;
  const file = path.join(directory, 'flights.tsv');
  // Before the clock: reading Parquet takes longer than COPY.
  const text = flightsAsText(readFlights(count), () => {});
  await pipeline(Readable.from(text), createWriteStream(file), { signal: interrupted });
  const binaries = (await findPostgres()).binDirectory;
  const ours = await plan.rokka({ engine: 'native', settings: SETTINGS });
  await using local = await localPostgres({ binaries, directory, settings: SETTINGS });
  for (const system of [ours, local]) await sql(system, TABLE);
  const results = new Map<BenchSystem, Copied[]>([
    [ours, []],
    [local, []],
  ]);
  for (let round = 1; round <= Math.min(plan.rounds, ROUNDS_MAX); round++) {
    for (const [system, copied] of results) {
      copied.push(await copyOnce(system, { file, count }));
      say(`round ${round}: COPY, ${system.name}: ${copied.at(-1)?.rowsPerSecond.toFixed(0)} rows/s`);
    }
  }
  const of = (system: BenchSystem, pick: keyof Copied) =>
    median((results.get(system) ?? []).map((one) => one[pick]));
  const name = `COPY of ${count} flights`;
  return [
    ...[ours, local].flatMap((system) => [
      { row: `${name}: ${system.name}`, value: of(system, 'rowsPerSecond'), unit: 'rows/s' },
      { row: `${name}: ${system.name}: CPU a row`, value: of(system, 'cpuUsPerRow'), unit: 'µs' },
    ]),
    {
      row: `${name}: Rokka / local disk`,
      value: of(ours, 'rowsPerSecond') / of(local, 'rowsPerSecond'),
      unit: 'x',
      goal: GOAL,
    },
  ];
}

async function copyOnce(system: BenchSystem, of: { file: string; count: number }): Promise<Copied> {
  await sql(system, 'truncate flights');
  await sql(system, 'checkpoint');
  const cpuBefore = system.cpuSeconds();
  const startMs = performance.now();
  await sql(system, `\\copy flights from '${of.file}'`, { timeoutMs: COPY_MS_MAX });
  const tookMs = performance.now() - startMs;
  const cpuSeconds = system.cpuSeconds() - cpuBefore;
  return { rowsPerSecond: (of.count * 1000) / tookMs, cpuUsPerRow: (cpuSeconds * 1e6) / of.count };
}
