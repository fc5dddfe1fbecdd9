/**
 * The verifier that needs to know no application: every file of a volume is read to its end, which meets every checksum of the storage
 * below. It says nothing of what the bytes mean.
 *
 * Only regular files are opened, and no symbolic link is followed, since it may lead to a volume that is in use.
 */
import { constants } from 'node:fs';
import * as fs from 'node:fs/promises';
import * as path from 'node:path';
import type { Verdict, Verifier } from './verifier.ts';

const CHUNK_BYTES = 2 ** 20;
const BROKEN_TOLD_MAX = 5;

/** What has been seen until now: a read that hangs must not take it along. */
interface Tally {
  files: number;
  bytes: number;
  /** `PATH: EIO` */
  readonly broken: string[];
}

export const readable: Verifier = {
  name: 'readable',
  async verify({ mountPoints, signal }) {
    const verdicts: Verdict[] = [];
    for (const mountPoint of mountPoints) verdicts.push(await verdictOn(mountPoint, signal));
    return verdicts;
  },
};

async function verdictOn(what: string, signal: AbortSignal): Promise<Verdict> {
  const tally: Tally = { files: 0, bytes: 0, broken: [] };
  const isWhole = await unlessAborted(readAll(what, tally, signal), signal);
  const seen = `${tally.files} files with ${tally.bytes} bytes were read to the end`;
  const { broken } = tally;
  const told = broken.slice(0, BROKEN_TOLD_MAX).join('; ');
  const lost = broken.length === 0 ? [] : [`${broken.length} cannot be read: ${told}`];
  const late = isWhole ? [] : ['there was no time for the rest'];
  return { what, isClean: isWhole && broken.length === 0, words: [seen, ...lost, ...late].join('; ') };
}

/** Whether it came to its end. A read of a device that does not answer never does. */
async function unlessAborted(work: Promise<void>, signal: AbortSignal): Promise<boolean> {
  let onAbort = () => {};
  const aborted = new Promise<false>((resolve) => {
    onAbort = () => resolve(false);
    signal.addEventListener('abort', onAbort, { once: true });
    if (signal.aborted) resolve(false);
  });
  try {
    return await Promise.race([work.then(() => !signal.aborted), aborted]);
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}

/** Ends early, without a word, once the signal is aborted. */
async function readAll(root: string, tally: Tally, signal: AbortSignal): Promise<void> {
  const buffer = Buffer.allocUnsafe(CHUNK_BYTES);
  const directories = [root];
  for (let at = directories.pop(); at !== undefined; at = directories.pop()) {
    if (signal.aborted) return;
    const directory = at;
    await noting(directory, tally, async () => {
      for await (const entry of await fs.opendir(directory)) {
        if (signal.aborted) return;
        const file = path.join(directory, entry.name);
        if (entry.isDirectory()) directories.push(file);
        else if (entry.isFile()) await noting(file, tally, () => readToEnd(file, { buffer, tally, signal }));
      }
    });
  }
}

/** @throws what the system says of it */
async function readToEnd(
  file: string,
  { buffer, tally, signal }: { buffer: Buffer; tally: Tally; signal: AbortSignal },
): Promise<void> {
  await using handle = await fs.open(file, constants.O_RDONLY | constants.O_NOFOLLOW);
  while (!signal.aborted) {
    const { bytesRead } = await handle.read(buffer, 0, buffer.length, null);
    tally.bytes += bytesRead;
    if (bytesRead > 0) continue;
    tally.files++;
    return;
  }
}

async function noting(file: string, tally: Tally, work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === undefined) throw error;
    tally.broken.push(`${file}: ${code}`);
  }
}
