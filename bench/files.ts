/**
 * One large file through the mount, written from one end to the other and synced, then read, beside the local file system.
 *
 * The read is cold on both sides: Rokka is started anew, which empties the volume's page cache, and the kernel is asked to
 * let go of the local file and of the files of the storage nodes. A write lands on three full segments, so the disk's own
 * rate is divided by three.
 */
import { execFile } from 'node:child_process';
import { randomFillSync } from 'node:crypto';
import { closeSync, mkdirSync, openSync, readFileSync, rmSync, writeSync } from 'node:fs';
import * as path from 'node:path';
import { promisify } from 'node:util';
import { forgetFiles } from './disk.ts';
import { interrupted, sleep } from './interruption.ts';
import { median, type Row } from './report.ts';
import type { RokkaSystem } from './rokka-system.ts';
import type { Plan, Topic } from './topic.ts';

const run = promisify(execFile);
const SIZE_MIB = 1024;
const QUICK_SIZE_MIB = 64;
const FULL_COPIES = 3;
const GOAL_WRITE = 0.5;
const GOAL_READ = 0.6;
const COPY_MS_MAX = 300_000;
const IDLE_MS_MAX = 10_000;
const IDLE_LOOK_MS = 250;
const IDLE_CPU_SECONDS = 0.05;
const ROUNDS_MAX = 3;

export const files: Topic = { programs: ['dd', 'nsenter'], native: true, rows: fileRows };

/** What was reached, and at what cost. */
interface Samples {
  readonly write: number[];
  readonly read: number[];
  readonly writeCpuSeconds: number[];
  readonly readCpuSeconds: number[];
}

async function fileRows(plan: Plan): Promise<Row[]> {
  const { directory } = plan;
  const sizeMiB = plan.quick ? QUICK_SIZE_MIB : SIZE_MIB;
  const source = path.join(directory, 'source');
  makeSource(source, sizeMiB);
  const system = await plan.rokka({ engine: 'native' });
  const local = path.join(directory, 'local-files');
  mkdirSync(local);
  const ours: Samples = { write: [], read: [], writeCpuSeconds: [], readCpuSeconds: [] };
  const theirs: Samples = { write: [], read: [], writeCpuSeconds: [], readCpuSeconds: [] };
  for (let round = 1; round <= Math.min(plan.rounds, ROUNDS_MAX); round++) {
    await localRound(theirs, { source, sizeMiB, directory: local });
    await mountRound(ours, { source, sizeMiB, system });
    for (const [name, { write, read }] of Object.entries({ local: theirs, mount: ours }))
      plan.say(
        `round ${round}: ${name}: write ${write.at(-1)?.toFixed(0)}, read ${read.at(-1)?.toFixed(0)} MB/s`,
      );
  }
  return rowsOf(`${sizeMiB} MiB in sequence`, { sizeMiB, ours, theirs });
}

/** Nothing that compresses, and no page like another. */
function makeSource(file: string, sizeMiB: number): void {
  const fd = openSync(file, 'w', 0o644);
  const mebibyte = Buffer.alloc(2 ** 20);
  for (let at = 0; at < sizeMiB; at++) writeSync(fd, randomFillSync(mebibyte));
  closeSync(fd);
}

async function localRound(
  samples: Samples,
  of: { source: string; sizeMiB: number; directory: string },
): Promise<void> {
  const file = path.join(of.directory, 'file');
  samples.write.push(await timed(of.sizeMiB, ['dd', `if=${of.source}`, `of=${file}`, 'conv=fsync']));
  await forgetFiles(of.directory);
  samples.read.push(await timed(of.sizeMiB, ['dd', `if=${file}`, 'of=/dev/null']));
  rmSync(file);
}

async function mountRound(
  samples: Samples,
  of: { source: string; sizeMiB: number; system: RokkaSystem },
): Promise<void> {
  const { source, sizeMiB, system } = of;
  const before = await mounted(system);
  let cpuSeconds = system.cpuSeconds();
  const writing = ['dd', `if=${source}`, `of=${before.file}`, 'conv=fsync'];
  samples.write.push(await timed(sizeMiB, [...before.prefix, ...writing]));
  samples.writeCpuSeconds.push(system.cpuSeconds() - cpuSeconds);
  await system.stop();
  await forgetFiles(system.data);
  await system.start();
  await idle(system);
  const after = await mounted(system);
  cpuSeconds = system.cpuSeconds();
  samples.read.push(await timed(sizeMiB, [...after.prefix, 'dd', `if=${after.file}`, 'of=/dev/null']));
  samples.readCpuSeconds.push(system.cpuSeconds() - cpuSeconds);
  await execute([...after.prefix, 'rm', after.file]);
}

/** The mount is in the namespaces of the head's shim, which a program enters behind `prefix`. Volumes of the machine, which may be in them as well, have names. */
async function mounted(system: RokkaSystem): Promise<{ file: string; prefix: string[] }> {
  const { shimPid: pid } = (await system.status()).head;
  if (pid === undefined) throw new Error('the head has no shim');
  const mounts = readFileSync(`/proc/${pid}/mounts`, 'utf8').split('\n');
  const point = mounts
    .map((line) => line.split(' '))
    .find(([source, , type]) => type === 'fuse.rokka' && source === 'rokka')?.[1];
  if (point === undefined) throw new Error(`shim ${pid} has no mount`);
  const user = process.getuid?.() === 0 ? [] : ['-U', '--preserve-credentials'];
  return { file: `${point}/bench-file`, prefix: ['nsenter', '-t', String(pid), ...user, '-m'] };
}

/** Until the processes have begun that begin behind the first query: they are no part of a read. */
async function idle(system: RokkaSystem): Promise<void> {
  for (const untilMs = performance.now() + IDLE_MS_MAX; performance.now() < untilMs;) {
    const before = system.cpuSeconds();
    await sleep(IDLE_LOOK_MS);
    if (system.cpuSeconds() - before < IDLE_CPU_SECONDS) return;
  }
}

/** Megabytes a second. */
async function timed(sizeMiB: number, words: readonly string[]): Promise<number> {
  const startMs = performance.now();
  await execute([...words, 'bs=1M', 'status=none']);
  return (sizeMiB * 2 ** 20) / 1e3 / (performance.now() - startMs);
}

async function execute([program = '', ...args]: readonly string[]): Promise<void> {
  await run(program, args, { timeout: COPY_MS_MAX, signal: interrupted });
}

function rowsOf(name: string, of: { sizeMiB: number; ours: Samples; theirs: Samples }): Row[] {
  const { sizeMiB, ours, theirs } = of;
  const [write, read] = [median(ours.write), median(ours.read)];
  const [localWrite, localRead] = [median(theirs.write), median(theirs.read)];
  const toWrite = { value: write / (localWrite / FULL_COPIES), unit: 'x', goal: GOAL_WRITE };
  const toRead = { value: read / localRead, unit: 'x', goal: GOAL_READ };
  const cpu = (seconds: readonly number[]) => ({
    value: (median(seconds) * 1000) / sizeMiB,
    unit: 'ms/MiB',
  });
  return [
    { row: `${name}: write and sync, local file system`, value: localWrite, unit: 'MB/s' },
    { row: `${name}: write and sync, mount`, value: write, unit: 'MB/s' },
    { row: `${name}: write and sync, mount: CPU`, ...cpu(ours.writeCpuSeconds) },
    { row: `${name}: write, mount / disk divided by ${FULL_COPIES} copies`, ...toWrite },
    { row: `${name}: cold read, local file system`, value: localRead, unit: 'MB/s' },
    { row: `${name}: cold read, mount`, value: read, unit: 'MB/s' },
    { row: `${name}: cold read, mount: CPU`, ...cpu(ours.readCpuSeconds) },
    { row: `${name}: cold read, mount / local file system`, ...toRead },
  ];
}
