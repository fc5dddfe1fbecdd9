/**
 * Tries restored data directories: starts each one's server with a configuration of its own (restored-server.ts), reads in its log which
 * recovery it did, and shuts it down in good order. It is the restored copy that is started, and recovered by that.
 */
import * as fs from 'node:fs/promises';
import * as path from 'node:path';
import { snapshotErrors } from '../errors.ts';
import type { Account } from './accounts.ts';
import { requireSound } from './copy-links.ts';
import { searchDirectories } from './directory-search.ts';
import { obeying } from './obeying.ts';
import { placeVolumes } from './placement.ts';
import { readPlainFile } from './plain-file.ts';
import { parseRecovery, type Recovery } from './postgresql-recovery.ts';
import { parseVersion, RECOVERY_FILES, safeSettings } from './postgresql-safe-settings.ts';
import { fileKey, workingDirectories } from './processes.ts';
import { accountOfCopy, type CopiedVolumes, startRestoredServer } from './restored-server.ts';

export interface RestoredPostgres {
  readonly dataDirectory: string;
  readonly recovery: Recovery;
}

export interface PostgresPrograms {
  readonly directory: string;
  readonly env?: NodeJS.ProcessEnv;
}

export interface RestoredPostgresOptions extends CopiedVolumes {
  readonly signal: AbortSignal;
  /** Where the programs of a version are; without it, where Debian has them. The owner must be able to run them. */
  readonly programs?: (version: string) => PostgresPrograms;
}

const AUTO_CONF = 'postgresql.auto.conf';

/** @throws SNAPSHOTS_RESTORED_BROKEN: it leads elsewhere, or is in use, or did not start; SNAPSHOTS_COPY_OF_ROOT, SNAPSHOTS_PROGRAM_MISSING; the signal's reason */
export async function tryRestoredPostgres(options: RestoredPostgresOptions): Promise<RestoredPostgres[]> {
  const tried: RestoredPostgres[] = [];
  for (const directory of await findRestoredPostgres(options))
    tried.push({ dataDirectory: directory, recovery: await tryStart(directory, options) });
  return tried;
}

/** Data directories. */
export async function findRestoredPostgres({
  mountPoints,
  signal,
}: RestoredPostgresOptions): Promise<string[]> {
  const mounted = mountPoints.map((mountPoint) => ({ mountPoint }));
  const found: string[] = [];
  for (const volume of await placeVolumes(mounted, signal))
    for await (const { path: directory, files } of searchDirectories(volume, { signal }))
      if (files.includes('PG_VERSION') && (await exists(path.join(directory, 'global/pg_control'))))
        found.push(directory);
  return found;
}

export async function tryStart(directory: string, options: RestoredPostgresOptions): Promise<Recovery> {
  const { signal, programs = debian } = options;
  const what = `PostgreSQL at ${directory}`;
  const broken = (why: string) => snapshotErrors.SNAPSHOTS_RESTORED_BROKEN([what, why]);
  const key = fileKey(await obeying(fs.stat(directory), signal));
  const users = await workingDirectories(['postgres', 'postmaster'], signal);
  if (users.some((user) => user.key === key)) throw broken('a server runs on it: stop it');
  await requireSound([directory], { what, volumes: options, signal });
  const version = parseVersion((await readPlainFile(path.join(directory, 'PG_VERSION'))) ?? '');
  if (version === undefined) throw broken('its PG_VERSION is not the number of a version');
  const account = await accountOfCopy(directory, what);
  await makeHarmless(directory, account);
  const { directory: bin, env } = programs(version);
  await using server = await startRestoredServer({
    what,
    program: path.join(bin, 'postgres'),
    ...(env && { env }),
    account,
    volumes: options,
    files: { 'postgresql.conf': '', 'pg_hba.conf': 'local all all peer\n', 'pg_ident.conf': '' },
    args: (base) => [
      '-D',
      directory,
      ...safeSettings({ version, base }).flatMap((setting) => ['-c', setting]),
    ],
    ready: /ready to accept connections/,
    failureIn: (log) => parseRecovery(log).failure,
    // Fast shutdown: the copy is clean afterwards.
    stopSignal: 'SIGINT',
    signal,
  });
  return parseRecovery(server.log);
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

function debian(version: string): PostgresPrograms {
  return { directory: `/usr/lib/postgresql/${version}/bin` };
}

async function exists(file: string): Promise<boolean> {
  return fs.access(file).then(
    () => true,
    () => false,
  );
}
