/** The disk that everything here lies on, by itself. */
import { execFile } from 'node:child_process';
import {
  closeSync,
  constants,
  createReadStream,
  fdatasyncSync,
  fsyncSync,
  globSync,
  openSync,
  writeSync,
} from 'node:fs';
import { promisify } from 'node:util';
import { interrupted } from './interruption.ts';
import { percentile } from './report.ts';

const run = promisify(execFile);
const FILE_MIB = 16;
const BLOCK_BYTES = 4096;

/** A block of 4 KiB overwritten in place and synced, again and again. */
export function syncs(file: string, seconds: number): { perSecond: number; p50Ms: number } {
  const fd = openSync(file, constants.O_RDWR | constants.O_CREAT, 0o600);
  try {
    const mebibyte = Buffer.alloc(1 << 20);
    for (let at = 0; at < FILE_MIB; at++) writeSync(fd, mebibyte, 0, mebibyte.length, at << 20);
    fsyncSync(fd);
    const block = Buffer.alloc(BLOCK_BYTES, 1);
    const blocks = (FILE_MIB << 20) / BLOCK_BYTES;
    const latenciesMs: number[] = [];
    const startMs = performance.now();
    for (let fromMs = startMs; fromMs - startMs < seconds * 1000;) {
      writeSync(fd, block, 0, block.length, (latenciesMs.length % blocks) * BLOCK_BYTES);
      fdatasyncSync(fd);
      const nowMs = performance.now();
      latenciesMs.push(nowMs - fromMs);
      fromMs = nowMs;
    }
    const perSecond = (latenciesMs.length * 1000) / (performance.now() - startMs);
    return { perSecond, p50Ms: percentile(latenciesMs, 0.5) };
  } finally {
    closeSync(fd);
  }
}

/** Asks the kernel to let go of what it holds of all files below: the next read comes from the disk. */
export async function forgetFiles(directory: string): Promise<void> {
  for (const file of filesBelow(directory)) {
    // It lets go of clean pages only.
    const args = [`of=${file}`, 'oflag=nocache', 'conv=notrunc,fdatasync', 'count=0'];
    await run('dd', args, { signal: interrupted, timeout: 60_000 });
  }
}

/** Reads all files below: from then on the kernel holds them, as far as there is memory. */
export async function readFiles(directory: string): Promise<void> {
  const options = { highWaterMark: 1 << 20, signal: interrupted };
  for (const file of filesBelow(directory))
    try {
      for await (const _ of createReadStream(file, options));
    } catch (error) {
      // A node has dropped it meanwhile.
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    }
}

function filesBelow(directory: string): string[] {
  const entries = globSync('**', { cwd: directory, withFileTypes: true });
  return entries.flatMap((entry) => (entry.isFile() ? `${entry.parentPath}/${entry.name}` : []));
}
