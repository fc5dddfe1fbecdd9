/**
 * A filesystem over pages in memory, mounted at a temporary directory, for system tests. The test's process serves it, so it
 * must not touch the mount itself: programs do (`run`), and the test waits for them on the event loop.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import { fileURLToPath } from 'node:url';
import { FileSystem } from '@rokka/filesystem';
import { deadline, systemClock, systemRandom } from '@rokka/kernel';
import { MemoryPageStore } from '@rokka/volume';
import { FileSystemHandler } from '../filesystem-handler.ts';
import type { FuseHandler } from '../handler.ts';
import { unmount } from '../mount.ts';
import { readMountTable } from '../mount-table.ts';
import { FuseServer, type FuseServerOptions } from '../server.ts';

/** Why no mount can be made here, or false. Give it to a suite's `skip`. */
export const cannotMount: string | false =
  process.platform !== 'linux'
    ? 'needs Linux'
    : !fs.existsSync('/dev/fuse')
      ? 'needs /dev/fuse (modprobe fuse)'
      : process.getuid?.() !== 0
        ? 'needs root'
        : false;

export interface RunResult {
  readonly status: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

const RUN_MS = 240_000;
const UNTIL_MS = 120_000;

/**
 * Runs a program to its end. It cannot be started with a working directory in the mount: the child changes there before it
 * has become the program, and until then this process, which would have to answer, waits for it.
 */
export async function run(
  program: string,
  args: readonly string[],
  options: { uid?: number; onSpawn?: (child: ChildProcess) => void } = {},
): Promise<RunResult> {
  const { uid } = options;
  const child = spawn(program, args, {
    cwd: '/',
    stdio: ['ignore', 'pipe', 'pipe'],
    ...(uid === undefined ? {} : { uid, gid: uid }),
  });
  options.onSpawn?.(child);
  let stdout = '';
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  const ended = new Promise<RunResult>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (status, signal) => resolve({ status, signal, stdout, stderr }));
  });
  try {
    return await deadline(ended, { what: `${program} ${args.join(' ').slice(0, 100)}`, ms: RUN_MS });
  } catch (error) {
    child.kill('SIGKILL');
    throw error;
  }
}

/** A shell script that must succeed, run in a directory; answers what it printed. */
export async function sh(script: string, directory: string): Promise<string> {
  const { status, stdout, stderr } = await shell(script, directory);
  if (status !== 0) throw new Error(`status ${status} of: ${script}\n${stdout}${stderr}`);
  return stdout;
}

/** The same, whatever comes out. */
export function shell(
  script: string,
  directory: string,
  onSpawn?: (child: ChildProcess) => void,
): Promise<RunResult> {
  const args = ['-euc', `cd "$0"; ${script}`, directory];
  return run('sh', args, onSpawn ? { onSpawn } : {});
}

/** Returns when `condition` holds. */
export async function until(condition: () => boolean, what: string): Promise<void> {
  const startMs = systemClock.nowMs();
  while (!condition()) {
    if (systemClock.nowMs() - startMs > UNTIL_MS) throw new Error(`waited in vain for ${what}`);
    await systemClock.sleep(5);
  }
}

/** A Python script of this directory that must succeed. */
export function python(script: string, args: readonly string[]): Promise<RunResult> {
  return run('python3', [fileURLToPath(new URL(script, import.meta.url)), ...args]);
}

export interface MountedOptions extends Partial<FuseServerOptions> {
  pagesMax?: number;
  /** Puts something between the server and the filesystem. */
  wrap?: (handler: FileSystemHandler) => FuseHandler;
}

export class Mounted implements AsyncDisposable {
  readonly directory: string;
  readonly store: MemoryPageStore;
  readonly filesystem: FileSystem;
  readonly server: FuseServer;
  readonly log: readonly string[];

  static async make(options: MountedOptions = {}): Promise<Mounted> {
    const directory = temporaryDirectory();
    const log: string[] = [];
    const store = new MemoryPageStore({ pagesPerGroup: 4096, pagesMax: options.pagesMax ?? 1 << 20 });
    FileSystem.format(store, { clock: systemClock, random: systemRandom });
    const filesystem = FileSystem.mount(store, { clock: systemClock });
    const handler = new FileSystemHandler({ filesystem, store });
    try {
      const server = await FuseServer.mount({
        clock: systemClock,
        log: (line) => log.push(line),
        mountPoint: directory,
        ...options,
        handler: options.wrap?.(handler) ?? handler,
      });
      return new Mounted({ directory, store, filesystem, server, log });
    } catch (error) {
      fs.rmdirSync(directory);
      throw error;
    }
  }

  private constructor(parts: {
    directory: string;
    store: MemoryPageStore;
    filesystem: FileSystem;
    server: FuseServer;
    log: readonly string[];
  }) {
    this.directory = parts.directory;
    this.store = parts.store;
    this.filesystem = parts.filesystem;
    this.server = parts.server;
    this.log = parts.log;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.server[Symbol.asyncDispose]();
    fs.rmdirSync(this.directory);
  }
}

const made: string[] = [];

export function temporaryDirectory(): string {
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'rokka-fuse-'));
  made.push(directory);
  return directory;
}

export const isMounted = (directory: string): boolean =>
  readMountTable().some(({ mountPoint }) => mountPoint === directory);

/** What these tests have mounted and left so. */
export const leftMounted = (): string[] => made.filter(isMounted);

/** Ends what a test that failed may have left at a temporary directory. */
export async function cleanUp(directory: string): Promise<void> {
  if (isMounted(directory)) await unmount(directory, { how: 'abort', timeoutMs: 30_000, clock: systemClock });
  fs.rmSync(directory, { recursive: true, force: true });
}
