/**
 * Runs a program to its end, or to the end of the patience with it: then it is killed with all that it has started, which is why
 * it gets a process group of its own. Its output is kept, the last of it, for the message that says what went wrong.
 */
import { spawn } from 'node:child_process';
import * as fs from 'node:fs/promises';
import { Deferred, systemClock, type Clock } from '@rokka/kernel';

export interface RunOptions {
  readonly signal?: AbortSignal;
  readonly timeoutMs?: number;
  readonly env?: NodeJS.ProcessEnv;
  readonly clock?: Clock;
}

export interface Ended {
  /** Undefined where it ended well; otherwise in words, such as `ended with status 3`. */
  readonly failure: string | undefined;
  /** The last of what it said, both streams together, trimmed. */
  readonly output: string;
}

const OUTPUT_BYTES_MAX = 4_096;
/** A killed process that hangs in the kernel is not waited for longer. */
const KILLED_MS_MAX = 2_000;

/** Never rejects: that it could not be started, or did not end in time, is an end too. */
export async function runProgram(file: string, args: readonly string[], options: RunOptions): Promise<Ended> {
  const { signal, timeoutMs, env = process.env, clock = systemClock } = options;
  if (signal?.aborted) return { failure: 'was not started: the time is over', output: '' };
  const child = spawn(file, [...args], { env, detached: true, stdio: ['ignore', 'pipe', 'pipe'] });
  const ended = new Deferred<string | undefined>();
  const output = new Tail(OUTPUT_BYTES_MAX);
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => output.push(chunk));
  child.on('error', (error) => ended.resolve(`could not be started (${error.message})`));
  // Not 'close': a process that it left behind may keep the pipes for ever.
  child.on('exit', (status, by) => ended.resolve(status === 0 ? undefined : howEnded(status, by)));
  let isLate = false;
  let cancelHanging = () => {};
  const late = () => {
    isLate = true;
    killGroup(child.pid);
    const hangs = () => ended.resolve('hangs in the kernel');
    cancelHanging = clock.after(KILLED_MS_MAX, hangs, { keepAlive: true });
  };
  signal?.addEventListener('abort', late, { once: true });
  const cancel = timeoutMs === undefined ? () => {} : clock.after(timeoutMs, late, { keepAlive: true });
  const failure = await ended.promise;
  signal?.removeEventListener('abort', late);
  cancel();
  cancelHanging();
  // What it has just said is still in the pipe.
  await new Promise<void>((resolve) => clock.soon(resolve));
  child.stdout.destroy();
  child.stderr.destroy();
  return {
    failure: isLate && failure !== undefined ? 'did not end in time and was killed' : failure,
    output: output.text(),
  };
}

/** Whether this process could run it. */
export async function isProgram(file: string): Promise<boolean> {
  return fs.access(file, fs.constants.X_OK).then(
    () => true,
    () => false,
  );
}

/** The first of these that is there; where none is, the first, by which it is then missed. */
export async function programAt(files: readonly [string, ...string[]]): Promise<string> {
  for (const file of files) if (await isProgram(file)) return file;
  return files[0];
}

function howEnded(status: number | null, by: NodeJS.Signals | null): string {
  return by === null ? `ended with status ${status}` : `was ended by ${by}`;
}

function killGroup(pid: number | undefined): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, 'SIGKILL');
  } catch {
    // It has ended meanwhile.
  }
}

/** The last bytes of a stream. */
export class Tail {
  readonly #bytesMax: number;
  #kept: Buffer = Buffer.alloc(0);

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  push(chunk: Uint8Array): void {
    this.#kept = Buffer.concat([this.#kept, chunk]).subarray(-this.#bytesMax);
  }

  text(): string {
    return this.#kept.toString('utf8').trim();
  }
}
