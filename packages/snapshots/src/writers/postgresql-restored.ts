/**
 * Tries restored data directories: starts each one's server, alone on a private socket, under the account that owns it and with a
 * configuration of its own, reads in its log which recovery it did, and shuts it down in good order. It is the restored copy that
 * is started, and recovered by that.
 *
 * A link that leads out of the restored volumes may lead into the original, which a server would destroy: that is an error.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import * as fs from 'node:fs/promises';
import * as os from 'node:os';
import * as path from 'node:path';
import { snapshotErrors } from '../errors.ts';
import { accountOf, type Account } from './accounts.ts';
import { searchDirectories } from './directory-search.ts';
import { obeying } from './obeying.ts';
import { placeVolumes, type PlacedVolume } from './placement.ts';
import { readPlainFile } from './plain-file.ts';
import { isPartPlaced, partsOf } from './postgresql-cluster.ts';
import { parseRecovery, type Recovery } from './postgresql-recovery.ts';
import { parseVersion, RECOVERY_FILES, safeSettings } from './postgresql-safe-settings.ts';
import { fileKey, workingDirectories } from './processes.ts';
import { Tail } from './program.ts';

export interface RestoredPostgres {
  readonly dataDirectory: string;
  readonly recovery: Recovery;
}

export interface PostgresPrograms {
  readonly directory: string;
  readonly env?: NodeJS.ProcessEnv;
}

export interface RestoredPostgresOptions {
  readonly mountPoints: readonly string[];
  readonly signal: AbortSignal;
  /** Where the programs of a version are; without it, where Debian has them. The owner must be able to run them. */
  readonly programs?: (version: string) => PostgresPrograms;
}

const LOG_BYTES_MAX = 65_536;
const AUTO_CONF = 'postgresql.auto.conf';

/** @throws SNAPSHOTS_RESTORED_BROKEN: it leads elsewhere, or is in use, or did not start; SNAPSHOTS_COPY_OF_ROOT; the signal's reason */
export async function tryRestoredPostgres(options: RestoredPostgresOptions): Promise<RestoredPostgres[]> {
  const { signal } = options;
  const volumes = await placeVolumes(
    options.mountPoints.map((mountPoint) => ({ mountPoint })),
    signal,
  );
  const tried: RestoredPostgres[] = [];
  for (const volume of volumes)
    for await (const { path: directory, files } of searchDirectories(volume, { signal })) {
      if (!files.includes('PG_VERSION') || !(await exists(path.join(directory, 'global/pg_control'))))
        continue;
      await requireOwn(directory, { volumes, signal });
      tried.push({ dataDirectory: directory, recovery: await tryStart(directory, options) });
    }
  return tried;
}

async function requireOwn(
  directory: string,
  { volumes, signal }: { volumes: readonly PlacedVolume[]; signal: AbortSignal },
): Promise<void> {
  const broken = (why: string) =>
    snapshotErrors.SNAPSHOTS_RESTORED_BROKEN([`PostgreSQL at ${directory}`, why]);
  const key = fileKey(await fs.stat(directory));
  const users = await workingDirectories(['postgres', 'postmaster'], signal);
  if (users.some((user) => user.key === key)) throw broken('a server runs on it: stop it');
  for (const part of await obeying(partsOf(directory), signal))
    if (!(await obeying(isPartPlaced(part, volumes), signal)))
      throw broken(`a link of it leads to ${part}, which is not restored: let it lead to the restored part`);
}

async function tryStart(directory: string, options: RestoredPostgresOptions): Promise<Recovery> {
  const { signal, programs = debian } = options;
  const broken = (why: string) =>
    snapshotErrors.SNAPSHOTS_RESTORED_BROKEN([`PostgreSQL at ${directory}`, why]);
  const version = parseVersion((await readPlainFile(path.join(directory, 'PG_VERSION'))) ?? '');
  if (version === undefined) throw broken('its PG_VERSION is not the number of a version');
  const owner = await accountOfCopy(directory);
  await makeHarmless(directory, owner);
  await using resources = new AsyncDisposableStack();
  const base = await fs.mkdtemp(path.join(os.tmpdir(), 'rokka-restored-'));
  resources.defer(() => fs.rm(base, { recursive: true, force: true }));
  await fs.writeFile(path.join(base, 'postgresql.conf'), '');
  await fs.writeFile(path.join(base, 'pg_hba.conf'), 'local all all peer\n');
  await fs.writeFile(path.join(base, 'pg_ident.conf'), '');
  await fs.chown(base, owner.uid, owner.gid);
  const { directory: bin, env = {} } = programs(version);
  const settings = safeSettings({ version, base });
  const args = ['-D', directory, ...settings.flatMap((setting) => ['-c', setting])];
  const account = [`--reuid=${owner.uid}`, `--regid=${owner.gid}`, '--clear-groups'];
  // It goes with this process, however that ends.
  const setpriv = ['--pdeathsig', 'QUIT', ...(process.getuid?.() === 0 ? account : [])];
  const server = spawn('setpriv', [...setpriv, '--', path.join(bin, 'postgres'), ...args], {
    cwd: '/',
    env: { PATH: process.env.PATH, LC_ALL: 'C', ...env },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  resources.defer(() => void server.kill('SIGQUIT'));
  const recovery = await obeying(readLog(server), signal);
  if (!recovery.ready) throw broken(recovery.failure ?? 'its server ended without a word');
  const ended = once(server, 'exit');
  // Fast shutdown: the copy is clean afterwards.
  server.kill('SIGINT');
  await obeying(ended, signal);
  return recovery;
}

/**
 * The owner, in his own group: that of the files may be any that a program with more rights has given them.
 * @throws SNAPSHOTS_COPY_OF_ROOT, SNAPSHOTS_RESTORED_BROKEN
 */
async function accountOfCopy(directory: string): Promise<Account> {
  const { uid } = await fs.lstat(directory);
  if (uid === 0) throw snapshotErrors.SNAPSHOTS_COPY_OF_ROOT([directory]);
  const account = await accountOf(uid);
  if (account) return account;
  const why = `its owner has the number ${uid}, of which /etc/passwd knows no account: chown it to the server's`;
  throw snapshotErrors.SNAPSHOTS_RESTORED_BROKEN([`PostgreSQL at ${directory}`, why]);
}

/** Nothing that is in the data directory says any more what is to be run, or whom to follow. Links are removed, not followed. */
async function makeHarmless(directory: string, owner: Account): Promise<void> {
  for (const name of ['postmaster.pid', AUTO_CONF, ...RECOVERY_FILES])
    await fs.rm(path.join(directory, name), { force: true });
  const { O_WRONLY, O_CREAT, O_EXCL, O_NOFOLLOW } = fs.constants;
  const flags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW;
  await using file = await fs.open(path.join(directory, AUTO_CONF), flags, 0o600);
  if (process.getuid?.() === 0) await file.chown(owner.uid, owner.gid);
}

/** Until it is ready, or has ended. */
function readLog(server: ChildProcess): Promise<Recovery> {
  const log = new Tail(LOG_BYTES_MAX);
  return new Promise((resolve, reject) => {
    server.stderr?.on('data', (chunk: Buffer) => {
      log.push(chunk);
      const recovery = parseRecovery(log.text());
      if (recovery.ready) resolve(recovery);
    });
    server.once('error', reject);
    server.once('close', () => resolve(parseRecovery(log.text())));
  });
}

function debian(version: string): PostgresPrograms {
  return { directory: `/usr/lib/postgresql/${version}/bin` };
}

async function exists(file: string): Promise<boolean> {
  return fs.access(file).then(
    () => true,
    () => false,
  );
}
