/** One timed run of pgbench against a system. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { interrupted, sleep } from './interruption.ts';
import type { BenchSystem } from './system.ts';

const run = promisify(execFile);
const REAPED_MS = 200;
/** Two gigabytes take four minutes on two cores, and four times that where others use them as well. */
const INITIALISE_MS = 1_800_000;

export interface PgbenchResult {
  tps: number;
  cpuMsPerTransaction: number;
  shippedBytesPerTransaction: number | undefined;
  shippedWritesPerTransaction: number | undefined;
}

export type Script = 'tpcb' | 'simple-update' | { readonly file: string };

function scriptOf(script: Script): string[] {
  if (typeof script === 'object') return ['-f', script.file];
  return script === 'simple-update' ? ['-N'] : [];
}

function environment(system: BenchSystem): NodeJS.ProcessEnv {
  return { ...process.env, PGPASSWORD: system.password, PGCONNECT_TIMEOUT: '10' };
}

function target(system: BenchSystem): string[] {
  return ['-h', system.host, '-p', String(system.port), '-U', 'postgres', 'postgres'];
}

const scales = new WeakMap<BenchSystem, number>();

/** Makes the tables, unless the system has them of this scale. */
export async function pgbenchInitialise(system: BenchSystem, scale: number): Promise<void> {
  if (scales.get(system) === scale) return;
  await run('pgbench', ['-i', '-q', '-s', String(scale), ...target(system)], {
    env: environment(system),
    timeout: INITIALISE_MS,
    signal: interrupted,
  });
  scales.set(system, scale);
}

/** The command of a load that goes on in the background, for spawn(). */
export function pgbenchLoad(
  system: BenchSystem,
  options: { clients: number; seconds: number },
): [string, string[], { env: NodeJS.ProcessEnv; stdio: 'ignore' }] {
  const { clients, seconds } = options;
  const args = ['-n', '-M', 'prepared', '-c', String(clients), '-T', String(seconds), ...target(system)];
  return ['pgbench', args, { env: environment(system), stdio: 'ignore' }];
}

/** Runs one statement, or one command of its own, by psql. */
export async function sql(
  system: BenchSystem,
  statement: string,
  options: { timeoutMs?: number } = {},
): Promise<string> {
  const { stdout } = await run('psql', ['-XAtc', statement, ...target(system)], {
    env: environment(system),
    timeout: options.timeoutMs ?? 120_000,
    signal: interrupted,
  });
  return stdout.trim();
}

export async function pgbench(
  system: BenchSystem,
  options: { script: Script; clients: number; seconds: number },
): Promise<PgbenchResult> {
  const cpuBefore = system.cpuSeconds();
  const before = await system.counters();
  const { stdout } = await run(
    'pgbench',
    [
      ...scriptOf(options.script),
      '-n',
      '-M',
      'prepared',
      '-c',
      String(options.clients),
      '-j',
      '1',
      '-T',
      String(options.seconds),
      ...target(system),
    ],
    { env: environment(system), timeout: (options.seconds + 60) * 1000, signal: interrupted },
  );
  // Backends are ending: one that is reaped while processes are counted one by one would be in nobody's count.
  await sleep(REAPED_MS);
  const after = await system.counters();
  const cpu = system.cpuSeconds() - cpuBefore;
  const tps = Number(/tps = ([\d.]+)/.exec(stdout)?.[1]);
  const transactions = Number(/transactions actually processed: (\d+)/.exec(stdout)?.[1]);
  if (!(tps > 0) || !(transactions > 0)) throw new Error(`pgbench gave no figure:\n${stdout}`);
  const per = (pick: 'shippedBytes' | 'shippedWrites') =>
    before && after ? (after[pick] - before[pick]) / transactions : undefined;
  return {
    tps,
    cpuMsPerTransaction: (cpu * 1000) / transactions,
    shippedBytesPerTransaction: per('shippedBytes'),
    shippedWritesPerTransaction: per('shippedWrites'),
  };
}
