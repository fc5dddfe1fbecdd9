/** Runs a short helper program (mount, postgres --version) to its end, without blocking the event loop. */
import { execFile } from 'node:child_process';
import { deadline, Deferred, systemClock, type Clock } from '@rokka/kernel';

export interface Command {
  readonly command: string;
  readonly args: readonly string[];
}

export interface CommandResult {
  /** Exit status; undefined where the program did not run to its end. */
  readonly status: number | undefined;
  /** The signal that ended it, or the system's error (ENOENT, EACCES, ENOEXEC) where it could not be started. */
  readonly failure: string | undefined;
  readonly stdout: string;
  /** What it said on standard error, in one line. */
  readonly words: string;
}

export interface RunOptions {
  readonly timeoutMs: number;
  readonly env?: NodeJS.ProcessEnv;
  readonly clock?: Clock;
}

const OUTPUT_BYTES_MAX = 1 << 20;

/** @throws KERNEL_DEADLINE: the program was killed, or hangs in the kernel and cannot be */
export async function runCommand(
  { command, args }: Command,
  { timeoutMs, env = process.env, clock = systemClock }: RunOptions,
): Promise<CommandResult> {
  const done = new Deferred<CommandResult>();
  const child = execFile(
    command,
    [...args],
    { env: { ...env, LC_ALL: 'C' }, maxBuffer: OUTPUT_BYTES_MAX, killSignal: 'SIGKILL' },
    (error, stdout, stderr) => {
      const status = error === null ? 0 : (error.code ?? error.signal ?? 'killed');
      done.resolve({
        status: typeof status === 'number' ? status : undefined,
        failure: typeof status === 'number' ? undefined : status,
        stdout,
        words: oneLine(stderr),
      });
    },
  );
  try {
    return await deadline(done.promise, { what: command, ms: timeoutMs, clock });
  } catch (error) {
    child.kill('SIGKILL');
    throw error;
  }
}

export function oneLine(text: string): string {
  return text.trim().replaceAll(/\s*\n\s*/g, '; ');
}
