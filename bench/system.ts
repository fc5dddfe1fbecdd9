/** A system under test: something that answers the Postgres protocol, and what it costs. */
import type { ChildProcess } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';

export interface Counters {
  /** Bytes that left the writer for its copies, all copies together. */
  shippedBytes: number;
  /** Network writes of the writer, all copies together. */
  shippedWrites: number;
}

export interface BenchSystem extends AsyncDisposable {
  readonly name: string;
  readonly host: string;
  readonly port: number;
  readonly password: string;
  /** CPU seconds used so far by everything that belongs to the system. */
  cpuSeconds(): number;
  counters(): Promise<Counters | undefined>;
}

const TICKS_PER_SECOND = 100;

/** CPU seconds of these processes and all their descendants, the ended and reaped ones included. */
export function treeCpuSeconds(roots: readonly number[]): number {
  return processTree(roots).reduce((sum, { ticks }) => sum + ticks, 0) / TICKS_PER_SECOND;
}

/** These processes and all their descendants. */
export function processTree(roots: readonly number[]): { pid: number; ticks: number }[] {
  const children = new Map<number, number[]>();
  const ticks = new Map<number, number>();
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    let stat: string;
    try {
      stat = readFileSync(`/proc/${name}/stat`, 'latin1');
    } catch {
      continue; // It ended while we looked; its parent's count has it once it is reaped.
    }
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    const parent = Number(fields[1]);
    ticks.set(
      Number(name),
      [11, 12, 13, 14].reduce((sum, index) => sum + Number(fields[index]), 0),
    );
    children.set(parent, [...(children.get(parent) ?? []), Number(name)]);
  }
  const seen = new Set<number>();
  const stack = [...roots];
  for (let pid = stack.pop(); pid !== undefined; pid = stack.pop()) {
    if (seen.has(pid)) continue;
    seen.add(pid);
    stack.push(...(children.get(pid) ?? []));
  }
  return [...seen].map((pid) => ({ pid, ticks: ticks.get(pid) ?? 0 }));
}

export function hasEnded({ exitCode, signalCode }: ChildProcess): boolean {
  return exitCode !== null || signalCode !== null;
}

/** Asks a child to end, insists after `patienceMs`, and waits until it has. */
export async function endChild(
  child: ChildProcess,
  options: { signal: NodeJS.Signals; patienceMs: number },
): Promise<void> {
  if (hasEnded(child) || child.pid === undefined) return;
  const ended = new Promise((resolve) => child.once('exit', resolve));
  child.kill(options.signal);
  const insist = setTimeout(() => child.kill('SIGKILL'), options.patienceMs);
  await ended;
  clearTimeout(insist);
}
