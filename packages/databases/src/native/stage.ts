/**
 * The stage on which PostgreSQL runs: a small tmpfs in the head's private mount namespace, reachable by every account, with
 *
 *   pg/    its programs (a bind mount: the checkout may lie in a home directory that the server's account cannot enter)
 *   data/  where the head mounts the volume
 *   run/   the unix socket (a bind mount of a directory of the real disk, so that clients outside see it)
 *   etc/   what we write for PostgreSQL at each start
 *   links/ library links that the npm package lacks
 *
 * Nothing of it exists outside, nothing of it has to be taken away.
 */
import * as fs from 'node:fs';
import * as path from 'node:path';
import { databaseErrors } from '../errors.ts';
import { fileOwner, type Account } from './account.ts';
import { libraryPath, makeLibraryLinks, type PostgresBinaries } from './binaries.ts';
import { runCommand } from './command.ts';
import { mountBase } from './mount-base.ts';
import { requirePrivateNamespace } from './namespace.ts';
import { socketPath } from './readiness.ts';

export interface StagePostgresOptions {
  readonly binaries: PostgresBinaries;
  readonly account: Account;
  /** On the real disk; is made where it does not exist, and given to the server's account. */
  readonly runDirectory: string;
  /** Further paths that the head will open later: the place for the tmpfs is chosen so that it hides none of them. */
  readonly needed?: readonly string[];
  readonly timeoutMs?: number;
}

/** Paths inside the namespace. */
export interface PostgresStage {
  readonly account: Account;
  readonly major: number;
  readonly binDirectory: string;
  /** What PostgreSQL's programs need in their environment. */
  readonly environment: Readonly<Record<string, string>>;
  /** An empty directory: mount the volume here. */
  readonly mountPoint: string;
  /** PostgreSQL's data directory on that mount. */
  readonly dataDirectory: string;
  readonly socketDirectory: string;
  readonly configurationDirectory: string;
}

const TIMEOUT_MS = 10_000;
const SHARED_MEMORY = '/dev/shm';
/** sockaddr_un.sun_path (unix(7)), less its closing zero. */
const SOCKET_PATH_BYTES_MAX = 107;

/**
 * @throws DATABASE_NOT_PRIVATE: called outside of namespaceCommand()
 * @throws DATABASE_SOCKET_PATH_LONG, DATABASE_STAGE_FAILED, DATABASE_TOOL_MISSING, KERNEL_DEADLINE
 */
export async function stagePostgres(options: StagePostgresOptions): Promise<PostgresStage> {
  requirePrivateNamespace();
  const { binaries, account, timeoutMs = TIMEOUT_MS } = options;
  const runDirectory = path.resolve(options.runDirectory);
  requireShortPath(runDirectory);
  makeOwned(runDirectory, { account, mode: 0o755 });
  const own = [process.cwd(), process.execPath, import.meta.dirname, binaries.binDirectory, runDirectory];
  const further = (options.needed ?? []).map((needed) => path.resolve(needed));
  const base = mountBase([...own, ...further]);
  await mount(['-t', 'tmpfs', '-o', 'mode=755,size=16m,nosuid,nodev', 'rokka', base], { timeoutMs });

  const root = path.join(base, 'rokka');
  const at = (name: string) => path.join(root, name);
  for (const name of ['', 'pg', 'data', 'run', 'etc', 'links']) fs.mkdirSync(at(name), { mode: 0o755 });
  await mount(['--bind', runDirectory, at('run')], { timeoutMs });
  if (binaries.root !== undefined) await mount(['--bind', binaries.root, at('pg')], { timeoutMs });
  const library = { links: at('links'), libraryDirectory: at('pg/lib') };
  makeLibraryLinks({ ...library, links: binaries.missingLinks, into: at('links') });
  return {
    account,
    major: binaries.major,
    binDirectory: binaries.root === undefined ? binaries.binDirectory : at('pg/bin'),
    environment: binaries.missingLinks.length > 0 ? { LD_LIBRARY_PATH: libraryPath(library) } : {},
    mountPoint: at('data'),
    dataDirectory: at('data/pgdata'),
    socketDirectory: at('run'),
    configurationDirectory: at('etc'),
  };
}

/**
 * Gives this mount namespace a /dev/shm of its own: what a PostgreSQL that is killed leaves there goes with the namespace, and what a container
 * has of it (64 MB, often) is no bound. Where there is none, there is none.
 * @throws DATABASE_NOT_PRIVATE, DATABASE_STAGE_FAILED, DATABASE_TOOL_MISSING, KERNEL_DEADLINE
 */
export async function privateSharedMemory({ timeoutMs = TIMEOUT_MS } = {}): Promise<void> {
  requirePrivateNamespace();
  if (!fs.existsSync(SHARED_MEMORY)) return;
  await mount(['-t', 'tmpfs', '-o', 'mode=1777,nosuid,nodev', 'rokka', SHARED_MEMORY], { timeoutMs });
}

/** Writes a file that only the server's account may read. Never on the volume: the head does not touch its own mount. */
export function writeSecret(file: string, options: { text: string; account: Account }): void {
  const { uid, gid } = fileOwner(options.account);
  fs.rmSync(file, { force: true });
  fs.writeFileSync(file, '', { mode: 0o600, flag: 'wx' });
  fs.chownSync(file, uid, gid);
  fs.writeFileSync(file, options.text);
}

/** Clients outside use the real path, and cannot where it is too long. */
function requireShortPath(runDirectory: string): void {
  const longest = socketPath(runDirectory, 65_535);
  const sizeBytes = Buffer.byteLength(longest);
  if (sizeBytes > SOCKET_PATH_BYTES_MAX)
    throw databaseErrors.DATABASE_SOCKET_PATH_LONG([longest, sizeBytes, SOCKET_PATH_BYTES_MAX]);
}

function makeOwned(directory: string, options: { account: Account; mode: number }): void {
  const { uid, gid } = fileOwner(options.account);
  fs.mkdirSync(directory, { recursive: true });
  fs.chmodSync(directory, options.mode);
  fs.chownSync(directory, uid, gid);
}

async function mount(args: string[], options: { timeoutMs: number }): Promise<void> {
  const { status, failure, words } = await runCommand({ command: 'mount', args }, options);
  if (failure === 'ENOENT') throw databaseErrors.DATABASE_TOOL_MISSING(['mount']);
  if (status !== 0)
    throw databaseErrors.DATABASE_STAGE_FAILED([`mount ${args.join(' ')}`, words || `status ${status}`]);
}
