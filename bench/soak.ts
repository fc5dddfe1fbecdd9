/**
 * Sixteen clients for as long as `--minutes` says: memory and descriptors of every process, and latency, a sample a minute
 * (a tenth of the time where that is shorter). An hour shows whether they are flat; a minute only how much they are.
 */
import { spawn } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { sleep } from './interruption.ts';
import { pgbenchInitialise, pgbenchLoad } from './pgbench.ts';
import { FLAT, median, type Row } from './report.ts';
import type { RokkaSystem } from './rokka-system.ts';
import { endChild, hasEnded, processTree } from './system.ts';
import type { Plan, Topic } from './topic.ts';

const CLIENTS = 16;
const SAMPLES_MIN = 10;
/** Samples take time as well; the load is ended after the last one. */
const SLACK_SECONDS = 120;
/** From here on what still grows is judged. */
const JUDGED_MINUTES = 10;
const GOAL_NODE_MB = 120;
const GOAL_HEAD_MB = 300;

export const soak: Topic = { programs: ['pgbench'], native: true, rows: soakRows };

interface Sample {
  readonly nodesMb: readonly number[];
  readonly headMb: number;
  readonly cacheMb: number;
  readonly supervisorMb: number;
  /** Of everything that belongs to the system, PostgreSQL's processes among it; what several share counts once. */
  readonly allMb: number;
  readonly descriptors: number;
}

async function soakRows(plan: Plan): Promise<Row[]> {
  const { minutes, say } = plan;
  const system = await plan.rokka({ engine: 'native' });
  await pgbenchInitialise(system, plan.scale);
  const everySeconds = Math.max(1, Math.min(60, Math.round((minutes * 60) / SAMPLES_MIN)));
  const count = Math.max(2, Math.floor((minutes * 60) / everySeconds));
  const work = startWork(system, { everySeconds, seconds: count * everySeconds + SLACK_SECONDS });
  await using _ = work;
  const samples: Sample[] = [];
  while (samples.length < count) {
    await sleep(everySeconds * 1000);
    if (work.ended) throw new Error('pgbench ended before its time: a transaction failed');
    const sample = await take(system);
    samples.push(sample);
    say(
      `${samples.length * everySeconds} s: ${describe(sample)}, ${work.latenciesMs.at(-1)?.toFixed(2) ?? 'no'} ms`,
    );
  }
  return rowsOf({ samples, latenciesMs: work.latenciesMs, minutes });
}

/** pgbench says every few seconds how long a transaction took. */
function startWork(
  system: RokkaSystem,
  of: { everySeconds: number; seconds: number },
): { readonly ended: boolean; latenciesMs: number[] } & AsyncDisposable {
  const [program, args, options] = pgbenchLoad(system, { clients: CLIENTS, seconds: of.seconds });
  const words = ['-P', String(of.everySeconds), ...args];
  const child = spawn(program, words, { ...options, stdio: ['ignore', 'ignore', 'pipe'] });
  const latenciesMs: number[] = [];
  child.stderr.on('data', (chunk: Buffer) => {
    for (const [, ms] of chunk.toString().matchAll(/lat ([\d.]+) ms/g)) latenciesMs.push(Number(ms));
  });
  return {
    latenciesMs,
    get ended() {
      return hasEnded(child);
    },
    [Symbol.asyncDispose]: () => endChild(child, { signal: 'SIGINT', patienceMs: 5_000 }),
  };
}

async function take(system: RokkaSystem): Promise<Sample> {
  const { pid, head, nodes } = await system.status();
  const details = head.detail?.engine.details as { cache?: { heldBytes: number } } | undefined;
  const cacheMb = (details?.cache?.heldBytes ?? Number.NaN) / 1e6;
  const all = processTree([pid]).map((one) => one.pid);
  const sum = (of: (pid: number) => number) => all.reduce((total, one) => total + lookAt(() => of(one)), 0);
  return {
    nodesMb: nodes.map((node) => residentMb(node.pid ?? 0)),
    headMb: residentMb(head.pid ?? 0) - cacheMb,
    cacheMb,
    supervisorMb: residentMb(pid),
    allMb: sum((one) => megabytes(`/proc/${one}/smaps_rollup`, /Pss:\s+(\d+) kB/)),
    descriptors: sum((one) => readdirSync(`/proc/${one}/fd`).length),
  };
}

function residentMb(pid: number): number {
  return megabytes(`/proc/${pid}/status`, /VmRSS:\s+(\d+) kB/);
}

function megabytes(file: string, pattern: RegExp): number {
  return (Number(pattern.exec(readFileSync(file, 'latin1'))?.[1] ?? 0) * 1024) / 1e6;
}

/** Nothing of a process that has just ended. */
function lookAt(look: () => number): number {
  try {
    return look();
  } catch {
    return 0;
  }
}

function describe({ nodesMb, headMb, cacheMb, supervisorMb, allMb, descriptors }: Sample): string {
  const nodes = nodesMb.map((mb) => mb.toFixed(0)).join(' ');
  return `MB of nodes ${nodes}, head ${headMb.toFixed(0)} and page cache ${cacheMb.toFixed(0)}, supervisor ${supervisorMb.toFixed(0)}, all ${allMb.toFixed(0)}; ${descriptors} descriptors`;
}

function rowsOf(of: { samples: readonly Sample[]; latenciesMs: readonly number[]; minutes: number }): Row[] {
  const { samples, latenciesMs, minutes } = of;
  const most = (pick: (one: Sample) => number) => Math.max(...samples.map(pick));
  const name = `${minutes >= 1 ? `${minutes} min` : `${Math.round(minutes * 60)} s`} at ${CLIENTS} clients`;
  const judged = minutes >= JUDGED_MINUTES ? { goal: FLAT, atLeast: false } : {};
  const flat = (what: string, values: readonly number[]): Row => ({
    row: `${name}: ${what}, last tenth / second`,
    value: growthOf(values),
    unit: 'x',
    ...judged,
  });
  const largest = (one: Sample) => Math.max(...one.nodesMb);
  const node = { value: most(largest), unit: 'MB', goal: GOAL_NODE_MB, atLeast: false };
  const head = { value: most((one) => one.headMb), unit: 'MB', goal: GOAL_HEAD_MB, atLeast: false };
  return [
    { row: `${name}: memory of a storage node, at most`, ...node },
    { row: `${name}: memory of the head besides its page cache, at most`, ...head },
    { row: `${name}: page cache of the head, at most`, value: most((one) => one.cacheMb), unit: 'MB' },
    { row: `${name}: memory of the supervisor, at most`, value: most((one) => one.supervisorMb), unit: 'MB' },
    { row: `${name}: memory of everything, at most`, value: most((one) => one.allMb), unit: 'MB' },
    flat('memory of a storage node', samples.map(largest)),
    flat(
      'memory of the head',
      samples.map((one) => one.headMb),
    ),
    flat(
      'descriptors',
      samples.map((one) => one.descriptors),
    ),
    flat('latency', latenciesMs),
  ];
}

/** The first tenth is warming up. */
function growthOf(values: readonly number[]): number {
  const tenth = Math.max(1, Math.floor(values.length / 10));
  return median(values.slice(-tenth)) / median(values.slice(tenth, 2 * tenth));
}
