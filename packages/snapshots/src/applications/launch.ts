/** Starts a program as it was, under its account (launch-process.ts). It lives on when this process ends: it is nobody's child. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import * as fs from 'node:fs';
import * as path from 'node:path';
import { snapshotErrors } from '../errors.ts';
import { obeying } from '../writers/obeying.ts';
import { Tail } from '../writers/program.ts';
import type { ProcessFacts } from './process-facts.ts';

export interface Launch extends Omit<ProcessFacts, 'pid' | 'startedAt'> {
  /** What it reads from its standard input; nothing unless given. */
  readonly input?: string;
  /** Whether its outputs go into pipes that were kept. */
  readonly kept: readonly [boolean, boolean];
}

export type Launched = { readonly pid: number } | { readonly refused: string };

export interface LaunchOptions {
  /** For messages, such as `PostgreSQL at /srv/pg`. */
  readonly what: string;
  /** Of this process: where output goes that cannot go where it went. */
  readonly logFile: string;
  /** Pipes into which its standard output and its standard error went, by `keptPipes`. */
  readonly pipes: KeptPipes;
}

/** Open for writing, so that whoever reads them does not see an end of it. */
export type KeptPipes = readonly [fs.promises.FileHandle | undefined, fs.promises.FileHandle | undefined];

const WORDS_BYTES_MAX = 2_048;

/** @returns its pid @throws SNAPSHOTS_APPLICATION_DOWN; the signal's reason */
export async function launch(
  how: Omit<Launch, 'kept'>,
  { what, logFile, pipes }: LaunchOptions,
  signal: AbortSignal,
): Promise<number> {
  const log = fs.openSync(logFile, 'a', 0o600);
  const words = new Tail(WORDS_BYTES_MAX);
  const said = new Tail(WORDS_BYTES_MAX);
  const file = path.join(import.meta.dirname, 'launch-process.ts');
  const child = spawn(process.execPath, ['--no-warnings', file], {
    env: { PATH: process.env.PATH, LC_ALL: 'C' },
    cwd: '/',
    stdio: ['pipe', 'pipe', 'pipe', log, ...pipes.map((pipe) => pipe?.fd ?? ('ignore' as const))],
    signal,
  });
  fs.closeSync(log);
  const [stdin, stdout, stderr] = [child.stdin, child.stdout, child.stderr];
  stdout?.on('data', (chunk: Buffer) => said.push(chunk));
  stderr?.on('data', (chunk: Buffer) => words.push(chunk));
  const kept: Launch['kept'] = [pipes[0] !== undefined, pipes[1] !== undefined];
  stdin?.on('error', () => {});
  stdin?.end(JSON.stringify({ ...how, kept } satisfies Launch));
  await obeying(once(child, 'close'), signal);
  const launched = parse(said.text());
  if (launched && 'pid' in launched) return launched.pid;
  const why = launched?.refused ?? (words.text() || 'the process that starts it has ended');
  throw snapshotErrors.SNAPSHOTS_APPLICATION_DOWN([what, why]);
}

function parse(text: string): Launched | undefined {
  try {
    return JSON.parse(text) as Launched;
  } catch {
    return undefined;
  }
}

/** Those of its outputs that are pipes, held open until they are given to its successor. Close them. */
export async function keptPipes(of: Pick<ProcessFacts, 'pid' | 'outputs'>): Promise<KeptPipes> {
  return [await keptPipe(of, 1), await keptPipe(of, 2)];
}

/** A descriptor of it that can neither read nor write, by which it is looked at before it is opened (open(2)); Node has no name for it. */
const O_PATH = 0o10_000_000;

/**
 * Whoever runs the server may have put anything in the place of its output since it was looked at, such as a file that he may only read: only the
 * very pipe that it was is opened with the rights of this process.
 */
async function keptPipe({ pid, outputs }: Pick<ProcessFacts, 'pid' | 'outputs'>, fd: 1 | 2) {
  const was = outputs[fd - 1];
  if (!was?.startsWith('pipe:')) return undefined;
  try {
    await using held = await fs.promises.open(`/proc/${pid}/fd/${fd}`, O_PATH);
    const door = `/proc/self/fd/${held.fd}`;
    if (!(await held.stat()).isFIFO() || (await fs.promises.readlink(door)) !== was) return undefined;
    // A pipe without a name is opened at once, whether somebody reads it or not.
    return await fs.promises.open(door, fs.constants.O_WRONLY);
  } catch {
    return undefined;
  }
}
