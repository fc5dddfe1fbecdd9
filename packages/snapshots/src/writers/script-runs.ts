/**
 * How scripts of the machine's owner are found and run, whatever they are for: they stand in one directory, are executable, have plain names, and
 * nobody but root and the account of this process may have written them.
 */
import * as fs from 'node:fs';
import * as path from 'node:path';
import { snapshotErrors } from '../errors.ts';
import { processIds } from './processes.ts';
import { runProgram } from './program.ts';

const SPEAKS_FOR = 'speaks-for';

/** The files and directories that the scripts speak for, as their owner says it. */
export function spokenFor(directory: string): string[] {
  const file = path.join(directory, SPEAKS_FOR);
  if (!fs.existsSync(file)) return [];
  const lines = fs.readFileSync(file, 'utf8').split('\n');
  return lines.map((line) => line.trim()).filter((line) => path.isAbsolute(line));
}

/** In the order of their names. Executables only: what is being edited there (`pre-app~`) mostly is one too, so names are plain. */
export function scriptsNamed(directory: string, prefix: string): string[] {
  const names = fs.existsSync(directory) ? fs.readdirSync(directory).sort() : [];
  return names
    .filter((name) => name.startsWith(prefix) && /^[\w-]+(\.sh)?$/.test(name))
    .map((name) => path.join(directory, name))
    .filter((file) => (fs.statSync(file).mode & 0o111) !== 0);
}

/** @returns SNAPSHOTS_SCRIPT_FAILED, where it does not end well and in time */
export async function runScript(
  file: string,
  { env, scriptMs, signal }: { env: NodeJS.ProcessEnv; scriptMs: number; signal?: AbortSignal },
): Promise<Error | undefined> {
  const { failure, output } = await runProgram(file, [], {
    timeoutMs: scriptMs,
    env: { PATH: process.env.PATH, ...env },
    ...(signal && { signal }),
  });
  return failure === undefined ? undefined : snapshotErrors.SNAPSHOTS_SCRIPT_FAILED([file, failure, output]);
}

/**
 * A script that outlived whoever started it would act only now, after others have undone what it does.
 * @param mark a variable that all its processes have in their environment, `NAME=value`
 */
export async function endLeftOver(mark: string, signal: AbortSignal): Promise<void> {
  for (const pid of await processIds(signal)) {
    try {
      const environment = fs.readFileSync(`/proc/${pid}/environ`, 'utf8').split('\0');
      if (environment.includes(mark)) process.kill(pid, 'SIGKILL');
    } catch {
      // It is another user's, or has ended.
    }
  }
}

/** Whoever may write it may have anything run under this account. @throws SNAPSHOTS_SCRIPT_UNSAFE */
export function requireSafe(file: string): void {
  const { uid, mode } = fs.statSync(file);
  const own = process.getuid?.();
  if (uid !== 0 && uid !== own)
    throw snapshotErrors.SNAPSHOTS_SCRIPT_UNSAFE([file, `because it belongs to user ${uid}`]);
  if ((mode & 0o022) !== 0)
    throw snapshotErrors.SNAPSHOTS_SCRIPT_UNSAFE([file, 'because others may write it']);
}
