/**
 * pgbench on Rokka, on the same PostgreSQL on the local disk and on it with six synchronous standbys, interleaved. Each runs
 * with the safest settings that its users would run: full_page_writes=on for the two others, whose pages can be torn. What is
 * owed to that alone, the rows with full_page_writes=off say.
 */
import { findPostgres } from '@rokka/databases';
import { pgbench, pgbenchInitialise, type PgbenchResult, sql } from './pgbench.ts';
import { localPostgres, SETTINGS, sixStandbys } from './plain-postgres.ts';
import { median, type Row } from './report.ts';
import type { BenchSystem } from './system.ts';
import type { Plan, Topic } from './topic.ts';

type Script = 'tpcb' | 'simple-update';

const NAMES: Record<Script, string> = { tpcb: 'TPC-B', 'simple-update': '-N' };
const SCRIPTS: Script[] = ['tpcb', 'simple-update'];
const QUICK_SCRIPTS_OFF: Script[] = ['tpcb'];
const WARM_UP = { script: 'tpcb', clients: 4, seconds: 12 } as const;
const QUICK_WARM_UP = { ...WARM_UP, seconds: 1 };
/** With full_page_writes=off one point is enough, and what a transaction ships is judged there too. */
const JUDGED_CLIENTS = 16;
const COPIES = 6;
const GOAL_SHIPPED_BYTES = 1000;
const GOAL_NETWORK_WRITES = 0.9;
const OFF = ', full_page_writes=off';

const goalToStandbys = (clients: number) => (clients === 1 ? 1.2 : 1.7);
const goalToLocal = (clients: number) => (clients < JUDGED_CLIENTS ? 0.5 : 0.65);

export const besidePostgres: Topic = { programs: ['pgbench', 'psql'], native: true, rows: besideRows };

interface Contest {
  readonly ours: BenchSystem;
  readonly local: BenchSystem;
  readonly standbys: BenchSystem;
}

async function besideRows(plan: Plan): Promise<Row[]> {
  const { directory, clients } = plan;
  const binaries = (await findPostgres()).binDirectory;
  await using stack = new AsyncDisposableStack();
  const peer = { binaries, directory, settings: SETTINGS };
  const ours = await plan.rokka({ engine: 'native', settings: SETTINGS });
  const local = stack.use(await localPostgres(peer));
  const standbys = stack.use(await sixStandbys(peer));
  for (const system of [ours, local, standbys]) {
    plan.say(`${system.name}: loading`);
    await pgbenchInitialise(system, plan.scale);
    await pgbench(system, plan.quick ? QUICK_WARM_UP : WARM_UP);
  }
  const contest = { ours, local, standbys };
  const on = new Figures();
  await runRounds(plan, { contest, scripts: SCRIPTS, clients, figures: on });
  const rows = SCRIPTS.flatMap((script) => clients.flatMap((count) => rowsAt(on, contest, script, count)));
  if (!clients.includes(JUDGED_CLIENTS)) return rows;
  for (const system of [local, standbys]) {
    await sql(system, 'alter system set full_page_writes = off');
    await sql(system, 'select pg_reload_conf()');
  }
  const off = new Figures();
  const scripts = plan.quick ? QUICK_SCRIPTS_OFF : SCRIPTS;
  await runRounds(plan, { contest, scripts, clients: [JUDGED_CLIENTS], figures: off });
  return [...rows, ...scripts.flatMap((script) => rowsWithout(off, contest, script))];
}

/** What was measured, by system, script and clients. */
class Figures {
  readonly #results = new Map<string, PgbenchResult[]>();

  add(system: BenchSystem, script: Script, clients: number, result: PgbenchResult): void {
    const key = `${system.name}|${script}|${clients}`;
    this.#results.set(key, [...(this.#results.get(key) ?? []), result]);
  }

  /** The median of one figure. */
  of(
    pick: (one: PgbenchResult) => number | undefined,
    script: Script,
    clients: number,
  ): (system: BenchSystem) => number {
    return (system) => {
      const results = this.#results.get(`${system.name}|${script}|${clients}`) ?? [];
      return median(results.map((one) => pick(one) ?? Number.NaN));
    };
  }
}

async function runRounds(
  plan: Plan,
  of: { contest: Contest; scripts: readonly Script[]; clients: readonly number[]; figures: Figures },
): Promise<void> {
  const systems = Object.values(of.contest) as BenchSystem[];
  for (let round = 1; round <= plan.rounds; round++) {
    // So that all start from the same state.
    for (const system of systems) await sql(system, 'checkpoint');
    for (const script of of.scripts)
      for (const clients of of.clients)
        for (const system of systems) {
          const result = await pgbench(system, { script, clients, seconds: plan.seconds });
          of.figures.add(system, script, clients, result);
          plan.say(
            `round ${round}: ${NAMES[script]} ${clients} clients, ${system.name}: ${result.tps.toFixed(0)} tps, ${result.cpuMsPerTransaction.toFixed(2)} ms CPU`,
          );
        }
  }
}

function rowsAt(figures: Figures, contest: Contest, script: Script, clients: number): Row[] {
  const { ours, local, standbys } = contest;
  const name = `${NAMES[script]}, ${clients} client${clients === 1 ? '' : 's'}`;
  const tps = figures.of((one) => one.tps, script, clients);
  const cpu = figures.of((one) => one.cpuMsPerTransaction, script, clients);
  const bytes = figures.of((one) => one.shippedBytesPerTransaction, script, clients)(ours) / COPIES;
  const writes = figures.of((one) => one.shippedWritesPerTransaction, script, clients)(ours) / COPIES;
  const isTpcb = script === 'tpcb';
  const byteGoal = isTpcb ? { goal: GOAL_SHIPPED_BYTES, atLeast: false } : {};
  const writeGoal = isTpcb && clients === JUDGED_CLIENTS ? { goal: GOAL_NETWORK_WRITES, atLeast: false } : {};
  const toStandbys = { value: tps(ours) / tps(standbys), unit: 'x', goal: goalToStandbys(clients) };
  const toLocal = { value: tps(ours) / tps(local), unit: 'x', goal: goalToLocal(clients) };
  return [
    ...[ours, local, standbys].map((one) => ({ row: `${name}: ${one.name}`, value: tps(one), unit: 'tps' })),
    { row: `${name}: Rokka / six standbys`, ...toStandbys },
    { row: `${name}: Rokka / local disk`, ...toLocal },
    { row: `${name}: CPU, Rokka / six standbys`, value: cpu(ours) / cpu(standbys), unit: 'x' },
    { row: `${name}: CPU, Rokka / local disk`, value: cpu(ours) / cpu(local), unit: 'x' },
    { row: `${name}: shipped a transaction and copy`, value: bytes, unit: 'B', ...byteGoal },
    { row: `${name}: network writes a transaction and copy`, value: writes, unit: '', ...writeGoal },
  ];
}

function rowsWithout(figures: Figures, { ours, local, standbys }: Contest, script: Script): Row[] {
  const name = `${NAMES[script]}, ${JUDGED_CLIENTS} clients${OFF}`;
  const tps = figures.of((one) => one.tps, script, JUDGED_CLIENTS);
  return [
    ...[ours, local, standbys].map((one) => ({ row: `${name}: ${one.name}`, value: tps(one), unit: 'tps' })),
    { row: `${name}: Rokka / six standbys`, value: tps(ours) / tps(standbys), unit: 'x' },
    { row: `${name}: Rokka / local disk`, value: tps(ours) / tps(local), unit: 'x' },
  ];
}
