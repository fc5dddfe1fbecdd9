/**
 * A program that cannot outlive us. It runs as process 1 of a process namespace of its own (and an IPC namespace), so that
 * the kernel itself kills all its descendants and drops their SysV memory in the moment it dies; and it dies with the head.
 *
 * The chain of deaths, each link a PR_SET_PDEATHSIG of SIGKILL: head -> unshare -> the program. Traps that are handled here:
 * - a change of the user id clears the parent-death signal (prctl(2)), so the one that `unshare --kill-child` sets is lost in
 *   `setpriv --reuid`; setpriv sets it again, after the change of ids;
 * - a parent that dies before the signal is set would leave its child alive: so the program is executed only after a word
 *   from the head, sent when the chain is known to be closed. Without a head the read ends and nothing is started;
 * - node starts children from the thread that calls; a head that spawns from a worker thread would kill them with it.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { deadline, Deferred, isCoded, systemClock, type Clock } from '@rokka/kernel';
import { databaseErrors } from '../errors.ts';
import type { Account } from './account.ts';
import type { Command } from './command.ts';
import { LineSplitter } from './lines.ts';

export interface ConfinedOptions {
  readonly program: Command;
  /** Undefined runs it as the head itself. */
  readonly account: Account | undefined;
  readonly environment: Readonly<Record<string, string>>;
  readonly onOutput?: (line: string) => void;
  readonly onError?: (line: string) => void;
  readonly timeoutMs?: number;
  readonly clock?: Clock;
}

export interface ConfinedExit {
  readonly status: number | undefined;
  readonly signal: NodeJS.Signals | undefined;
}

export interface Confined {
  /** As seen from outside of the process namespace: kill(2) and ps(1) of the machine know it by this number. */
  readonly pid: number;
  /** Resolves when every process of the namespace is gone and all output was delivered. */
  readonly exited: Promise<ConfinedExit>;
  /** Sends a signal to the program; false where it has ended. */
  kill(signal: NodeJS.Signals): boolean;
}

/** /proc is still the outer one, so the shell finds its outer process id there. $$ would be 1. */
const HANDSHAKE =
  'read -r pid rest </proc/self/stat && echo "ready $pid" && read -r go && exec "$@" </dev/null';
const READY = /^ready (\d+)$/;
/** A program that ends by a signal makes unshare end by the same one; for SIGKILL that of util-linux 2.38 fails, like this. */
const KILLED = /^unshare: sigprocmask unblock failed/;
const HANDSHAKE_TIMEOUT_MS = 10_000;

/** How the program is wrapped; it starts after a line on its standard input. */
export function confinedCommand(program: Command, account: Account | undefined): Command {
  const map =
    account?.how === 'map' ? ['--user', `--map-user=${account.uid}`, `--map-group=${account.gid}`] : [];
  const change =
    account?.how === 'switch' ? [`--reuid=${account.uid}`, `--regid=${account.gid}`, '--clear-groups'] : [];
  // Nothing that PostgreSQL starts (archive commands, COPY … PROGRAM) may gain rights by a setuid program.
  const restrict = account ? ['--no-new-privs'] : [];
  const outer = ['--pdeathsig', 'KILL', '--'];
  const namespaces = ['unshare', '--pid', '--ipc', '--fork', '--kill-child=KILL', ...map, '--'];
  const inner = ['setpriv', ...change, ...restrict, '--pdeathsig', 'KILL', '--'];
  const start = ['sh', '-c', HANDSHAKE, 'sh', program.command, ...program.args];
  return { command: 'setpriv', args: [...outer, ...namespaces, ...inner, ...start] };
}

/** @throws DATABASE_TOOL_MISSING, DATABASE_CONFINEMENT_DENIED, KERNEL_DEADLINE */
export async function spawnConfined(options: ConfinedOptions): Promise<Confined> {
  const { timeoutMs = HANDSHAKE_TIMEOUT_MS, clock = systemClock } = options;
  const { command, args } = confinedCommand(options.program, options.account);
  const child = spawn(command, args, {
    stdio: ['pipe', 'pipe', 'pipe'],
    // The head's own environment may hold secrets, and PG… variables would change what PostgreSQL does.
    env: { PATH: process.env['PATH'], LC_ALL: 'C', TZ: 'UTC', ...options.environment },
    cwd: '/',
  });
  const exited = new Deferred<ConfinedExit>();
  const ready = new Deferred<number>();
  const words: string[] = [];
  let started = false;
  let killed = false;
  child.once('error', (cause: NodeJS.ErrnoException) => {
    const { code = '' } = cause;
    ready.reject(code === 'ENOENT' ? databaseErrors.DATABASE_TOOL_MISSING([command], { cause }) : cause);
  });
  child.once('close', (status, signal) => {
    if (killed) exited.resolve({ status: undefined, signal: 'SIGKILL' });
    else exited.resolve({ status: status ?? undefined, signal: signal ?? undefined });
    ready.reject(databaseErrors.DATABASE_CONFINEMENT_DENIED([words.join('; ') || `${status ?? signal}`]));
  });
  child.stdin.on('error', () => {});
  readLines(child.stdout, (line) => {
    if (started) options.onOutput?.(line);
    else if (READY.test(line)) ready.resolve(Number(READY.exec(line)?.[1]));
  });
  readLines(child.stderr, (line) => {
    if (KILLED.test(line)) killed = true;
    else if (started) options.onError?.(line);
    else if (words.length < 10) words.push(line);
  });
  try {
    const pid = await deadline(ready.promise, { what: `starting ${command}`, ms: timeoutMs, clock });
    started = true;
    child.stdin.end('go\n');
    return { pid, exited: exited.promise, kill: (signal) => signalProgram({ child, pid, signal }) };
  } catch (error) {
    child.kill('SIGKILL');
    if (isCoded(error, 'DATABASE_CONFINEMENT_DENIED')) await exited.promise;
    throw error;
  }
}

/** The number stays the program's until unshare has seen its end, and unshare ends in the same moment. */
function signalProgram(options: { child: ChildProcess; pid: number; signal: NodeJS.Signals }): boolean {
  const { child, pid, signal } = options;
  if (child.exitCode !== null || child.signalCode !== null) return false;
  try {
    return process.kill(pid, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ESRCH') return false;
    throw error;
  }
}

function readLines(stream: NodeJS.ReadableStream, onLine: (line: string) => void): void {
  const splitter = new LineSplitter({ onLine });
  stream.on('data', (chunk: Buffer) => splitter.push(chunk));
  stream.on('end', () => splitter.end());
}
