/** Runs mount(8) and umount(8) without blocking the event loop: they may ask this very process something on the way. */
import { spawn } from 'node:child_process';
import { deadline, Deferred, type Clock } from '@rokka/kernel';
import { fuseErrors } from './errors.ts';

export interface ProgramResult {
  readonly status: number | null;
  /** What the program said on standard error, in one line. */
  readonly words: string;
}

const WORDS_MAX = 4096;

/** @throws FUSE_NO_MOUNT_PROGRAM, KERNEL_DEADLINE (the program is killed) */
export async function runProgram(
  program: string,
  args: readonly string[],
  options: { fd3?: number; timeoutMs: number; clock: Clock },
): Promise<ProgramResult> {
  const extra = options.fd3 === undefined ? [] : [options.fd3];
  const child = spawn(program, args, {
    stdio: ['ignore', 'ignore', 'pipe', ...extra],
    env: { ...process.env, LC_ALL: 'C' },
  });
  const done = new Deferred<ProgramResult>();
  let words = '';
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    words = (words + text).slice(0, WORDS_MAX);
  });
  child.once('error', (cause: NodeJS.ErrnoException) =>
    done.reject(cause.code === 'ENOENT' ? fuseErrors.FUSE_NO_MOUNT_PROGRAM([program], { cause }) : cause),
  );
  child.once('close', (status) =>
    done.resolve({ status, words: words.trim().replaceAll(/\s*\n\s*/g, '; ') }),
  );
  try {
    return await deadline(done.promise, { what: program, ms: options.timeoutMs, clock: options.clock });
  } catch (error) {
    child.kill('SIGKILL');
    throw error;
  }
}
