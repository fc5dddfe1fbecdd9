/**
 * One large file through the mount, written from one end to the other and synced, then read, beside the local file system.
 *
 * The read is cold on both sides: the volume's page cache is small, and the kernel is asked to let go of the local file and
 * of the files of the storage nodes. A write lands on three full segments, so the disk's own rate is divided by three.
 */
import { execFile } from 'node:child_process';
import { randomFillSync } from 'node:crypto';
import { closeSync, mkdirSync, openSync, readFileSync, writeSync } from 'node:fs';
import * as path from 'node:path';
import { promisify } from 'node:util';
import { forgetFiles } from './disk.ts';
import { freePort } from './free-port.ts';
import { interrupted, sleep } from './interruption.ts';
import { median, type Row } from './report.ts';
import { rokka, type RokkaSystem } from './rokka-system.ts';
import type { Plan, Topic } from './topic.ts';

const run = promisify(execFile);
const SIZE_MIB = 1024;
const QUICK_SIZE_MIB = 256;
const CACHE_MIB = 32;
const FULL_COPIES = 3;
const GOAL_WRITE = 0.5;
const GOAL_READ = 0.6;
const COPY_MS_MAX = 300_000;
/** Records become pages, off the path: who reads at once would read while that goes on. */
const SETTLE_MS = 3_000;

export const files: Topic = { programs: ['dd', 'nsenter'], native: true, rows: fileRows };

interface Sample {
  readonly write: number;
  readonly read: number;
  readonly cpuSeconds: number;
}

async function fileRows(plan: Plan): Promise<Row[]> {
  const sizeMiB = plan.quick ? QUICK_SIZE_MIB : SIZE_MIB;
  const { directory, say } = plan;
  const source = path.join(directory, 'source');
  makeSource(source, sizeMiB);
  const made = { directory, port: await freePort(), engine: 'native', cacheMiB: CACHE_MIB } as const;
  await using system = await rokka(made);
  const local = path.join(directory, 'local-files');
  mkdirSync(local);
  const mount = await mounted(system);
  const ours: Sample[] = [];
  const theirs: Sample[] = [];
  for (let round = 1; round <= plan.rounds; round++) {
    theirs.push(await sample({ source, sizeMiB, system, target: path.join(local, 'file'), prefix: [] }));
    ours.push(
      await sample({ source, sizeMiB, system, target: `${mount.point}/bench-file`, prefix: mount.prefix }),
    );
    for (const [name, of] of Object.entries({ local: theirs, mount: ours }))
      say(
        `round ${round}: ${name}: write ${of.at(-1)?.write.toFixed(0)}, read ${of.at(-1)?.read.toFixed(0)} MB/s`,
      );
  }
  const rate = (of: Sample[], pick: 'write' | 'read') => median(of.map((one) => one[pick]));
  const share = rate(theirs, 'write') / FULL_COPIES;
  const name = `${sizeMiB} MiB in sequence`;
  return [
    { row: `${name}: write and sync, local file system`, value: rate(theirs, 'write'), unit: 'MB/s' },
    { row: `${name}: write and sync, mount`, value: rate(ours, 'write'), unit: 'MB/s' },
    {
      row: `${name}: write, mount / a ${FULL_COPIES}rd of the disk`,
      value: rate(ours, 'write') / share,
      unit: 'x',
      goal: GOAL_WRITE,
    },
    { row: `${name}: read, local file system`, value: rate(theirs, 'read'), unit: 'MB/s' },
    { row: `${name}: read, mount`, value: rate(ours, 'read'), unit: 'MB/s' },
    {
      row: `${name}: read, mount / local file system`,
      value: rate(ours, 'read') / rate(theirs, 'read'),
      unit: 'x',
      goal: GOAL_READ,
    },
    {
      row: `${name}: CPU of Rokka, both ways`,
      value: (median(ours.map((one) => one.cpuSeconds)) * 1000) / sizeMiB,
      unit: 'ms/MiB',
    },
  ];
}

/** Nothing that compresses, and no page like another. */
function makeSource(file: string, sizeMiB: number): void {
  const fd = openSync(file, 'w', 0o644);
  const mebibyte = Buffer.alloc(2 ** 20);
  for (let at = 0; at < sizeMiB; at++) writeSync(fd, randomFillSync(mebibyte));
  closeSync(fd);
}

/** The mount is in the head's own namespaces; a program enters them behind `prefix`. */
async function mounted(system: RokkaSystem): Promise<{ point: string; prefix: string[] }> {
  const { pid } = (await system.status()).head;
  const mounts = readFileSync(`/proc/${pid}/mounts`, 'utf8').split('\n');
  const point = mounts.map((line) => line.split(' ')).find(([, , type]) => type?.startsWith('fuse'))?.[1];
  if (point === undefined) throw new Error(`head ${pid} has no mount`);
  const user = process.getuid?.() === 0 ? [] : ['-U', '--preserve-credentials'];
  return { point, prefix: ['nsenter', '-t', String(pid), ...user, '-m'] };
}

async function sample(of: {
  source: string;
  sizeMiB: number;
  system: RokkaSystem;
  target: string;
  prefix: string[];
}): Promise<Sample> {
  const { source, sizeMiB, system, target, prefix } = of;
  const cpuBefore = system.cpuSeconds();
  const timed = async (...words: string[]) => {
    const [program = '', ...args] = [...prefix, 'dd', 'bs=1M', 'status=none', ...words];
    const startMs = performance.now();
    await run(program, args, { timeout: COPY_MS_MAX, signal: interrupted });
    return (sizeMiB * 2 ** 20) / 1e3 / (performance.now() - startMs);
  };
  const write = await timed(`if=${source}`, `of=${target}`, 'conv=fsync');
  await sleep(SETTLE_MS);
  await forgetFiles(prefix.length === 0 ? path.dirname(target) : system.data);
  const read = await timed(`if=${target}`, 'of=/dev/null');
  const cpuSeconds = system.cpuSeconds() - cpuBefore;
  const [program, ...args] = [...prefix, 'rm', target];
  await run(program, args, { timeout: COPY_MS_MAX });
  return { write, read, cpuSeconds };
}
