/**
 * What a commit costs, function by function: `node bench/flame.ts`. Runs pgbench against Rokka and looks into one of its
 * processes meanwhile; prints where the time went, and writes a flame graph.
 *
 *   --of NAME      head (default), or node: the first storage node
 *   --clients N    default 16
 *   --seconds N    default 10
 *   --scale N      pgbench scale (default 10)
 *   --out FILE     default flame.svg
 *   --top N        lines of the list (default 25)
 */
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import { parseArgs } from 'node:util';
import { freePort } from '@rokka/kernel/testing';
import { flameSvg } from './flame-svg.ts';
import { listenForInterruption } from './interruption.ts';
import { pgbench, pgbenchInitialise } from './pgbench.ts';
import { type Findings, type Frame, profile } from './profile.ts';
import { rokka } from './rokka-system.ts';

const { values } = parseArgs({
  options: {
    of: { type: 'string' },
    clients: { type: 'string' },
    seconds: { type: 'string' },
    scale: { type: 'string' },
    out: { type: 'string' },
    top: { type: 'string' },
  },
});
const clients = Number(values.clients ?? 16);
const seconds = Number(values.seconds ?? 10);
const out = values.out ?? 'flame.svg';
const WARM_UP_SECONDS = 5;

async function main(): Promise<void> {
  listenForInterruption();
  const directory = mkdtempSync(path.join(os.tmpdir(), 'rokka-flame-'));
  chmodSync(directory, 0o755);
  try {
    const { root, idleUs, tps } = await profiled(directory);
    const busy = ((root.totalUs / (root.totalUs + idleUs)) * 100).toFixed(0);
    const title = `${values.of ?? 'head'}, TPC-B at ${clients} clients, ${tps.toFixed(0)} tps: busy ${busy} % of the time`;
    writeFileSync(out, flameSvg(root, title));
    process.stdout.write(`${title}\n${topList(root, Number(values.top ?? 25))}${out}\n`);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

async function profiled(directory: string): Promise<Findings & { tps: number }> {
  const inspectPort = await freePort();
  // Of every process that we start; only the one that is woken listens there.
  process.env['NODE_OPTIONS'] = `--inspect-port=127.0.0.1:${inspectPort}`;
  await using system = await rokka({ directory, port: await freePort(), engine: 'native' });
  await pgbenchInitialise(system, Number(values.scale ?? 10));
  await pgbench(system, { script: 'tpcb', clients, seconds: WARM_UP_SECONDS });
  const { head, nodes } = await system.status();
  const pid = values.of === 'node' ? nodes[0]?.pid : head.pid;
  if (pid === undefined) throw new Error('the process to be looked into does not run');
  let tps = 0;
  const findings = await profile({ pid, inspectPort }, async () => {
    ({ tps } = await pgbench(system, { script: 'tpcb', clients, seconds }));
  });
  return { ...findings, tps };
}

/** By time in the function itself, in hundredths of the busy time. */
function topList(root: Frame, count: number): string {
  const own = new Map<string, number>();
  const add = (frame: Frame): void => {
    own.set(frame.name, (own.get(frame.name) ?? 0) + frame.selfUs);
    for (const child of frame.children.values()) add(child);
  };
  add(root);
  const lines = [...own].sort(([, a], [, b]) => b - a).slice(0, count);
  const share = (us: number) => `${((us / root.totalUs) * 100).toFixed(1)} %`.padStart(8);
  return lines.map(([name, us]) => `${share(us)}  ${name}\n`).join('');
}

await main();
