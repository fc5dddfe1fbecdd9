/** What the tests of the writers of MariaDB and Redis share: directories of an account's own, programs, copies, a writer held by another process. */
import { execFileSync, spawn } from 'node:child_process';
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import { once } from 'node:events';
import { must } from '@rokka/kernel';
import type { MountedVolume, Writer, WriterKind } from '../../writer.ts';
import { isBelow } from '../placement.ts';
import { PrivateServer, socketIn } from '../private-server.ts';
import { serverProcesses } from '../server-processes.ts';

/** Why the tests with these programs are left out here; false where they run. */
export function skipWithout(account: string, programs: readonly string[]): string | false {
  if (process.getuid?.() !== 0) return 'root is needed, to start servers as an account of their own';
  const missing = programs.find((program) => !found('which', [program]));
  if (missing) return `there is no ${missing}`;
  return found('id', [account]) ? false : `there is no account ${account}`;
}

function found(command: string, args: readonly string[]): boolean {
  try {
    execFileSync(command, args, { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

/** A directory with others in it that stand for volumes; all of it belongs to the account. */
export class StoreDirectory implements Disposable {
  readonly path: string;
  readonly #account: string;

  constructor(account: string) {
    this.#account = account;
    this.path = fs.mkdtempSync(path.join(os.tmpdir(), 'rokka-store-'));
    fs.chmodSync(this.path, 0o755);
  }

  volume(name: string): MountedVolume {
    const mountPoint = path.join(this.path, name);
    fs.mkdirSync(mountPoint);
    execFileSync('chown', [`${this.#account}:`, mountPoint]);
    return { volume: `vol-${name}`, mountPoint };
  }

  /** What a snapshot of one moment shows: the server makes no step while it is copied. */
  copy(server: PrivateServer, volume: MountedVolume): string {
    const to = path.join(this.path, `copy-of-${path.basename(volume.mountPoint)}`);
    server.kill('SIGSTOP');
    try {
      execFileSync('cp', ['-a', volume.mountPoint, to]);
    } finally {
      server.kill('SIGCONT');
    }
    return to;
  }

  [Symbol.dispose](): void {
    fs.rmSync(this.path, { recursive: true, force: true });
  }
}

/** A server that is to be copied: as the owner of its directory, and otherwise as its own settings say. */
export function startServer(options: {
  program: string;
  dataDirectory: string;
  args(socketPath: string): readonly string[];
  ready: RegExp;
  signal: AbortSignal;
}): Promise<PrivateServer> {
  const { program, dataDirectory, args, ready, signal } = options;
  const account = fs.statSync(dataDirectory);
  const { uid, gid } = account;
  const rights = ['setpriv', `--reuid=${uid}`, `--regid=${gid}`, '--clear-groups', '--pdeathsig=KILL', '--'];
  return PrivateServer.start({
    what: program,
    account,
    command: (directory) => [...rights, program, ...args(socketIn(directory))],
    ready,
    signal,
  });
}

/** Servers that somebody else has started in directories below these, or in them, are killed. */
export async function killServersIn(directories: readonly string[], signal: AbortSignal): Promise<void> {
  for (const { pid, directory } of await serverProcesses(['postgres', 'mariadbd', 'redis-server'], signal))
    if (directories.some((each) => isBelow(each, directory))) kill(pid);
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch (error) {
    // It has ended meanwhile.
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

/** The one writer of these volumes, identified and prepared. */
export async function preparedWriter(
  kind: WriterKind,
  volumes: readonly MountedVolume[],
  signal: AbortSignal,
): Promise<Writer> {
  const writers = await kind.discover({ volumes, signal });
  if (writers.length !== 1) throw new Error(`${writers.length} writers where there is one server`);
  await writers[0].identify(signal);
  await writers[0].prepare(signal);
  return must(writers[0], 'a writer');
}

/** Another process freezes the server and is killed while it holds it. */
export async function freezeAndDie(kind: string, volumes: readonly MountedVolume[]): Promise<void> {
  const program = path.join(import.meta.dirname, 'hold.ts');
  const child = spawn(process.execPath, [program, kind, ...volumes.map((volume) => volume.mountPoint)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const exited = once(child, 'exit');
  await Promise.race([once(child.stdout, 'data'), exited]);
  if (!child.kill('SIGKILL')) throw new Error('the process that holds ended by itself');
  await exited;
}
