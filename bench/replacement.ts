/**
 * What a change of members costs those who write: `node bench/replacement.ts`. pgbench runs all the time; its latencies are
 * cut at the moments when a replacement began and ended, each beside the quiet seconds just before it.
 *
 *   --scale N     pgbench scale: how much a newcomer has to copy (default 20)
 *   --rounds N    of each kind (default 5)
 *   --clients N   default 8
 *   --json        one JSON object a row
 */
import { spawn } from 'node:child_process';
import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { freePort } from '@rokka/kernel/testing';
import { askControl, CONTROL } from '../apps/rokka/src/control.ts';
import { pgbenchInitialise } from './pgbench.ts';
import { median, percentile, printJson, printTable, type Row } from './report.ts';
import { rokka } from './rokka-system.ts';
import type { BenchSystem } from './system.ts';

const { values } = parseArgs({
  options: {
    scale: { type: 'string' },
    rounds: { type: 'string' },
    clients: { type: 'string' },
    json: { type: 'boolean' },
  },
});
const scale = Number(values.scale ?? 20);
const rounds = Number(values.rounds ?? 5);
const clients = Number(values.clients ?? 8);
const QUIET_MS = 8_000;
const PATIENCE_MS = 180_000;
const SECONDS_MAX = 3_600;
const LOOK_MS = 100;
/** One takes less than two seconds, in which a hundredth of all transactions is a handful. */
const TAKEN_BACK = 4;
const say = (text: string) => process.stderr.write(`${text}\n`);

interface Status {
  nodes: { ordinal: number; node: string; zone: string }[];
  head: { detail?: { groups: { changes: unknown[]; members: { node: string; kind: string }[] }[] } };
}

interface Phase {
  kind: string;
  quiet: [fromMs: number, toMs: number];
  change: [fromMs: number, toMs: number];
}

class Cluster {
  readonly #data: string;

  constructor(data: string) {
    this.#data = data;
  }

  status(): Promise<Status> {
    return askControl<Status>(this.#data, CONTROL.STATUS);
  }

  /** Not by the command: its start would cost those who are measured. */
  node(request: { action: string; ordinal?: number; zone?: string }): Promise<unknown> {
    return askControl(this.#data, CONTROL.NODE, request);
  }

  /** Nodes that hold the first group's members, the full one first. */
  async holders(zone: string): Promise<number[]> {
    const { nodes, head } = await this.status();
    const members = head.detail?.groups[0]?.members ?? [];
    const isFull = (node: string) => members.find((member) => member.node === node)?.kind === 'full';
    return nodes
      .filter((one) => one.zone === zone && members.some(({ node }) => node === one.node))
      .sort((a, b) => Number(isFull(b.node)) - Number(isFull(a.node)))
      .map(({ ordinal }) => ordinal);
  }

  async until(what: string, holds: (changes: number, members: string[]) => boolean): Promise<void> {
    for (const endMs = Date.now() + PATIENCE_MS; ; await sleep(LOOK_MS)) {
      const group = (await this.status()).head.detail?.groups[0];
      const members = group?.members.map(({ node }) => node) ?? [];
      if (group && holds(group.changes.length, members)) return;
      if (Date.now() > endMs) throw new Error(`${what}: not within ${PATIENCE_MS} ms`);
    }
  }
}

const isSettled = (changes: number, members: readonly string[]) => changes === 0 && members.length === 6;

/** Latencies in milliseconds by the moment of their end, from pgbench's log. */
function latencies(directory: string): { atMs: number; ms: number }[] {
  return readdirSync(directory)
    .filter((name) => name.startsWith('latency.'))
    .flatMap((name) => readFileSync(path.join(directory, name), 'utf8').trim().split('\n'))
    .map((line) => line.split(' ').map(Number))
    .map(([, , tookUs = 0, , epoch = 0, us = 0]) => ({ atMs: epoch * 1000 + us / 1000, ms: tookUs / 1000 }));
}

async function measure(cluster: Cluster, kind: string, change: () => Promise<void>): Promise<Phase> {
  const quiet: Phase['quiet'] = [Date.now(), 0];
  // Asked as often as while something changes: that costs those who are measured, too.
  for (; Date.now() < quiet[0] + QUIET_MS; await sleep(LOOK_MS)) await cluster.status();
  quiet[1] = Date.now();
  await change();
  const phase: Phase = { kind, quiet, change: [quiet[1], Date.now()] };
  say(`${kind}: ${((phase.change[1] - phase.change[0]) / 1000).toFixed(1)} s`);
  await sleep(1_000);
  return phase;
}

async function phases(cluster: Cluster): Promise<Phase[]> {
  const all: Phase[] = [];
  const zones = ['a', 'b', 'c'];
  for (let round = 0; round < rounds; round++) {
    const zone = zones[round % zones.length] ?? 'a';
    for (const spare of [1, 2]) {
      say(`zone ${zone}: spare ${spare}`);
      await cluster.node({ action: 'add', zone });
    }
    const [full = 0] = await cluster.holders(zone);
    all.push(
      await measure(cluster, 'begin, take back', async () => {
        for (let time = 0; time < TAKEN_BACK; time++) {
          await cluster.node({ action: 'drain', ordinal: full });
          await cluster.until('begun', (changes) => changes > 0);
          await cluster.node({ action: 'keep', ordinal: full });
          await cluster.until('ended', isSettled);
        }
      }),
    );
    const [first = 0] = await cluster.holders(zone);
    all.push(
      await measure(cluster, 'begin, hydrate, finish', async () => {
        await cluster.node({ action: 'drain', ordinal: first });
        await cluster.until('begun', (changes) => changes > 0);
        await cluster.until('finished', isSettled);
      }),
    );
    await cluster.node({ action: 'add', zone });
    const both = await cluster.holders(zone);
    all.push(
      await measure(cluster, 'two at once', async () => {
        for (const ordinal of both) await cluster.node({ action: 'drain', ordinal });
        await cluster.until('begun', (changes) => changes > 0);
        await cluster.until('finished', isSettled);
      }),
    );
    // What is empty would only cost memory from here on.
    const { nodes, head } = await cluster.status();
    const members = head.detail?.groups[0]?.members.map(({ node }) => node) ?? [];
    for (const { node, ordinal } of nodes)
      if (!members.includes(node)) await cluster.node({ action: 'remove', ordinal }).catch(() => {});
  }
  return all;
}

function rowsOf(all: readonly Phase[], directory: string, failed: number): Row[] {
  const log = latencies(directory);
  const p99 = ([fromMs, toMs]: Phase['quiet']) =>
    percentile(
      log.filter(({ atMs }) => atMs >= fromMs && atMs < toMs).map(({ ms }) => ms),
      0.99,
    );
  const kinds = [...new Set(all.map(({ kind }) => kind))];
  const rows = kinds.flatMap((kind): Row[] => {
    const of = all.filter((phase) => phase.kind === kind);
    const quiet = median(of.map((phase) => p99(phase.quiet)));
    const during = median(of.map((phase) => p99(phase.change)));
    const ratio = median(of.map((phase) => p99(phase.change) / p99(phase.quiet)));
    return [
      { row: `${kind}: p99 before`, value: quiet, unit: 'ms' },
      { row: `${kind}: p99 during`, value: during, unit: 'ms' },
      { row: `${kind}: during / before`, value: ratio, unit: 'x', goal: 1.2, atLeast: false },
    ];
  });
  return [
    { row: 'transactions', value: log.length, unit: '' },
    ...rows,
    { row: 'failed transactions', value: failed, unit: '', goal: 0, atLeast: false },
  ];
}

function load(system: BenchSystem, directory: string) {
  const target = ['-h', system.host, '-p', String(system.port), '-U', 'postgres', 'postgres'];
  const logging = ['-l', '--log-prefix', path.join(directory, 'latency')];
  const args = [
    '-n',
    '-M',
    'prepared',
    '-c',
    String(clients),
    '-T',
    String(SECONDS_MAX),
    ...logging,
    ...target,
  ];
  const child = spawn('pgbench', args, { env: { ...process.env, PGPASSWORD: system.password } });
  let said = '';
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (bytes: Buffer) => (said += bytes.toString()));
  const ended = new Promise<void>((done) => child.once('close', () => done()));
  return {
    /** Errors that any client met: pgbench says each, and ends that client. */
    async stop(): Promise<number> {
      const aborted = child.exitCode !== null;
      child.kill('SIGINT');
      await ended;
      return [...said.matchAll(/error|aborted/gi)].length + Number(aborted);
    },
  };
}

async function main(): Promise<void> {
  const directory = mkdtempSync(path.join(os.tmpdir(), 'rokka-bench-'));
  chmodSync(directory, 0o755);
  try {
    await using system = await rokka({ directory, port: await freePort(), engine: 'native' });
    say(`loading scale ${scale}`);
    await pgbenchInitialise(system, scale);
    const work = load(system, directory);
    await sleep(5_000);
    const all = await phases(new Cluster(path.join(directory, 'rokka-native')));
    const failed = await work.stop();
    (values.json ? printJson : printTable)(rowsOf(all, directory, failed));
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

await main();
