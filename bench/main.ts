/**
 * Rokka beside its peers, in one run, interleaved: `npm run bench`.
 *
 *   --quick          fewer and shorter points (about three minutes)
 *   --json           one JSON object a row: {"row", "value", "unit", "goal", "met"}
 *   --rounds N       rounds of which the median is taken (default 5; quick 1)
 *   --seconds N      a point's length (default 6; quick 3)
 *   --scale N        pgbench scale (default 10)
 *   --clients LIST   default 1,4,16,32
 *   --only LIST      of pgbench, append, recovery; default all
 *
 * Exit status 0 whether or not the goals are met: a benchmark measures, it does not judge.
 */
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import { parseArgs } from 'node:util';
import { findPostgres } from '@rokka/databases';
import { appendRows } from './append.ts';
import { freePort } from './free-port.ts';
import { pgbench, pgbenchInitialise, sql, type PgbenchResult, type Script } from './pgbench.ts';
import { localPostgres, sixStandbys } from './plain-postgres.ts';
import { recoveryRows } from './recovery.ts';
import { median, printJson, printTable, type Row } from './report.ts';
import { rokka } from './rokka-system.ts';
import type { BenchSystem } from './system.ts';

const { values } = parseArgs({
  options: {
    quick: { type: 'boolean' },
    json: { type: 'boolean' },
    rounds: { type: 'string' },
    seconds: { type: 'string' },
    scale: { type: 'string' },
    clients: { type: 'string' },
    only: { type: 'string' },
  },
});
const quick = values.quick ?? false;
const rounds = Number(values.rounds ?? (quick ? 1 : 5));
const seconds = Number(values.seconds ?? (quick ? 3 : 6));
const scale = Number(values.scale ?? 10);
const clientCounts = (values.clients ?? (quick ? '1,4,16' : '1,4,16,32')).split(',').map(Number);
const only = (values.only ?? 'pgbench,append,recovery').split(',');
const SCRIPTS: Script[] = ['tpcb', 'simple-update'];
const SCRIPT_NAMES = { tpcb: 'TPC-B', 'simple-update': '-N' };
/** The same for every system; everything else is each system's own. */
const SETTINGS = {
  shared_buffers: '256MB',
  max_connections: '100',
  max_wal_size: '4GB',
  checkpoint_timeout: '30min',
};
const WARM_UP_SECONDS = 12;

const say = (text: string) => process.stderr.write(`${text}\n`);

async function main(): Promise<void> {
  const directory = mkdtempSync(path.join(os.tmpdir(), 'rokka-bench-'));
  chmodSync(directory, 0o755);
  try {
    say(
      `${os.cpus().length} cores (${os.cpus()[0]?.model}), ${os.release()}, Node ${process.versions.node}; ${rounds} rounds of ${seconds} s, scale ${scale}`,
    );
    const parts: Record<string, () => Promise<Row[]>> = {
      pgbench: () => pgbenchRows(directory),
      append: () =>
        appendRows({ directory: path.join(directory, 'append'), rounds, seconds: Math.min(seconds, 3) }),
      recovery: () => recoveryRows({ directory: path.join(directory, 'recovery'), rounds, say }),
    };
    const rows: Row[] = [];
    for (const [name, part] of Object.entries(parts)) if (only.includes(name)) rows.push(...(await part()));
    (values.json ? printJson : printTable)(rows);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

async function pgbenchRows(directory: string): Promise<Row[]> {
  const binaries = (await findPostgres()).binDirectory;
  await using stack = new AsyncDisposableStack();
  const peer = { binaries, directory, settings: SETTINGS };
  const ours = stack.use(
    await rokka({ directory, port: await freePort(), engine: 'native', settings: SETTINGS }),
  );
  const local = stack.use(await localPostgres(peer));
  const standbys = stack.use(await sixStandbys(peer));
  const systems = [ours, local, standbys];
  for (const system of systems) {
    say(`${system.name}: loading`);
    await pgbenchInitialise(system, scale);
    await pgbench(system, { script: 'tpcb', clients: 4, seconds: WARM_UP_SECONDS });
  }
  const results = new Map<string, PgbenchResult[]>();
  const key = (system: BenchSystem, script: Script, clients: number) => `${system.name}|${script}|${clients}`;
  for (let round = 1; round <= rounds; round++) {
    for (const system of systems) await sql(system, 'checkpoint');
    for (const script of SCRIPTS) {
      for (const clients of clientCounts) {
        for (const system of systems) {
          const result = await pgbench(system, { script, clients, seconds });
          const at = key(system, script, clients);
          results.set(at, [...(results.get(at) ?? []), result]);
          say(
            `round ${round}: ${SCRIPT_NAMES[script]} ${clients} clients, ${system.name}: ${result.tps.toFixed(0)} tps, ${result.cpuMsPerTransaction.toFixed(2)} ms CPU`,
          );
        }
      }
    }
  }
  const figure = (
    system: BenchSystem,
    script: Script,
    clients: number,
    pick: (one: PgbenchResult) => number | undefined,
  ) => median((results.get(key(system, script, clients)) ?? []).map((one) => pick(one) ?? Number.NaN));
  return SCRIPTS.flatMap((script) =>
    clientCounts.flatMap((clients): Row[] => {
      const name = `${SCRIPT_NAMES[script]}, ${clients} client${clients === 1 ? '' : 's'}`;
      const tps = (system: BenchSystem) => figure(system, script, clients, (one) => one.tps);
      const cpu = (system: BenchSystem) => figure(system, script, clients, (one) => one.cpuMsPerTransaction);
      return [
        ...systems.map((system) => ({ row: `${name}: ${system.name}`, value: tps(system), unit: 'tps' })),
        {
          row: `${name}: Rokka / six standbys`,
          value: tps(ours) / tps(standbys),
          unit: 'x',
          goal: clients === 1 ? 0.9 : 1.2,
        },
        { row: `${name}: Rokka / local disk`, value: tps(ours) / tps(local), unit: 'x' },
        { row: `${name}: CPU, Rokka / six standbys`, value: cpu(ours) / cpu(standbys), unit: 'x' },
        {
          row: `${name}: shipped a transaction and copy`,
          value: figure(ours, script, clients, (one) => one.shippedBytesPerTransaction) / 6,
          unit: 'B',
        },
        {
          row: `${name}: network writes a transaction and copy`,
          value: figure(ours, script, clients, (one) => one.shippedWritesPerTransaction) / 6,
          unit: '',
        },
      ];
    }),
  );
}

await main();
