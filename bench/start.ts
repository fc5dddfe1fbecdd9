/** How long a person waits for a database that exists: from the command to the first query, by engine. */
import { startToFirstQuery } from './first-query.ts';
import { median, type Row } from './report.ts';
import type { Plan, Topic } from './topic.ts';

const GOALS_MS = { native: 2_500, pglite: 2_000 } as const;

export const start: Topic = { native: true, rows: startRows };

async function startRows(plan: Plan): Promise<Row[]> {
  const rows: Row[] = [];
  for (const engine of ['native', 'pglite'] as const) {
    const system = await plan.rokka({ engine });
    const tookMs: number[] = [];
    const cpuMs: number[] = [];
    for (let round = 1; round <= plan.rounds; round++) {
      await system.stop();
      tookMs.push(await startToFirstQuery(system));
      cpuMs.push(system.cpuSeconds() * 1000);
      plan.say(`round ${round}: start, ${engine}: ${tookMs.at(-1)?.toFixed(0)} ms`);
    }
    const name = `start of an existing database, ${engine}`;
    rows.push(
      {
        row: `${name}: first query after`,
        value: median(tookMs),
        unit: 'ms',
        goal: GOALS_MS[engine],
        atLeast: false,
      },
      { row: `${name}: CPU until then`, value: median(cpuMs), unit: 'ms' },
    );
  }
  return rows;
}
