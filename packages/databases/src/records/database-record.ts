/**
 * What the registry knows of a database: what it shall be (`databases/<name>`), and what it is (`database-states/<name>`).
 * Whoever wants something writes the first; the controller, which carries it out, writes the second, and nobody else does.
 */
import type { Lsn, VolumeId } from '@rokka/kernel';
import { databaseErrors } from '../errors.ts';

/** The one that every cluster has. */
export const MAIN = 'main';

/** `files` has no server: what is on the volume is a directory of the machine, or of nobody while it is not mounted. */
export type DatabaseEngine = 'native' | 'pglite' | 'files';
export type DesiredState = 'running' | 'stopped' | 'deleted';

export interface DatabaseRecord {
  /** Also the volume's. */
  readonly name: string;
  /** Chosen when the database is made, and never changed. */
  readonly engine: DatabaseEngine;
  /** Named before the volume is made, so that whoever goes on after a crash makes, or deletes, the same one. */
  readonly volumeId: VolumeId;
  readonly createdAtMs: number;
  /** Of `main`: the one that `rokka up` was given last. */
  readonly port: number;
  readonly desired: DesiredState;
  /** Raised by whoever wants a restart, or stops it. Settings, port, cache and mount count from the next start on. */
  readonly generation: number;
  /** For PostgreSQL, by name. */
  readonly settings: Readonly<Record<string, string>>;
  /** Made with the database, beside `postgres`. */
  readonly databaseName: string;
  /** The superuser. */
  readonly userName: string;
  /** Raised when the secret file has another password, which the server shall take over. */
  readonly passwordVersion: number;
  /** Page cache of the volume; the controller's default where absent. */
  readonly cacheMiB?: number;
  /** Processes that wait, their code loaded, to take the place of its head; none where absent. It counts at once. */
  readonly standbys?: number;
  /** How far back it can be restored to; 0 where it has no archive. */
  readonly retentionDays: number;
  /** What it is restored from; absent for one that begins empty. */
  readonly source?: DatabaseSource;
  /** With the engine `files`, and no other. */
  readonly files?: FilesRecord;
}

export interface FilesRecord {
  /** What the files may take; more than that meets ENOSPC. It is raised while they are in use, too. */
  readonly sizeBytes: number;
  /** The name of the directory, among those of all volumes, where they are seen; nowhere while it is absent. */
  readonly mount?: string;
  /** The joined machine on which its head runs; the cluster's first where it is absent. Where the volume is placed says who may open it. */
  readonly machine?: string;
  /**
   * Its files are a copy of the cluster's own state, which nobody mounts: as it was when this was raised last, or later. How far that is,
   * `StateCopies` says.
   */
  readonly stateCopy?: number;
}

/** A backup that a new database begins with. */
export interface DatabaseSource {
  /** Of this volume, which need not be there any more. */
  readonly archive: VolumeId;
  readonly lsn: Lsn;
  /** Whether all of it is brought to the storage nodes by and by, or only what is written. */
  readonly materialise: boolean;
}

export type DatabasePhase =
  | 'creating'
  | 'starting'
  | 'available'
  | 'stopping'
  | 'stopped'
  | 'deleting'
  | 'failed';

export interface DatabaseState {
  readonly phase: DatabasePhase;
  /** The one that runs, or ran last; absent until it served for the first time. */
  readonly generation?: number;
  /** The password that the server has; absent likewise. */
  readonly passwordVersion?: number;
  /** Why it is not as it shall be: code and words. Whatever it is, it is tried again. */
  readonly reason?: string;
  /** When this was written. */
  readonly atMs: number;
  /** While it is available. */
  readonly endpoint?: { readonly host: string; readonly port: number };
  /** So many of the wished standbys wait, while it is available. */
  readonly standbys?: number;
  /** What files may take in the volume as it runs; absent with a server. */
  readonly sizeBytes?: number;
  /** Where its files are seen on the machine, while they are. */
  readonly mountPoint?: string;
}

/** What 0.1.0 wrote of its only database. */
export type FirstDatabaseRecord = Pick<DatabaseRecord, 'name' | 'engine' | 'volumeId' | 'createdAtMs'>;

const FIRST_PORT = 5432;

/** A record as it is written now, whichever version wrote it. */
export function upgradeDatabase(record: DatabaseRecord | FirstDatabaseRecord): DatabaseRecord {
  return {
    port: FIRST_PORT,
    desired: 'running',
    generation: 0,
    settings: {},
    databaseName: 'postgres',
    userName: 'postgres',
    passwordVersion: 0,
    retentionDays: 0,
    ...record,
  };
}

const NAME = /^[a-z][a-z0-9-]{0,62}$/;
const USER = /^[a-z_][a-z0-9_]{0,62}$/i;
/** Its secret would have the name of main's (database-secrets.ts). */
const RESERVED = 'postgres';

/** As members of a cluster are called. */
const MACHINE = /^[A-Za-z0-9][A-Za-z0-9_-]{0,31}$/;
const MOUNT = /^[a-z0-9][a-z0-9-]{0,62}$/;
/** Less than that has no room for the filesystem's own pages. */
const SIZE_BYTES_MIN = 16 * 1024 * 1024;

/** @throws DATABASE_NAME_INVALID */
export function demandNames(
  of: Pick<DatabaseRecord, 'name' | 'engine' | 'databaseName' | 'userName' | 'files'>,
): void {
  const { name, engine, databaseName, userName, files } = of;
  const invalid = (what: string, value: string, why: string) =>
    databaseErrors.DATABASE_NAME_INVALID([what, value, why]);
  if (!NAME.test(name))
    throw invalid('the name', name, 'it is a small letter, then up to 62 small letters, digits and hyphens');
  if (name === RESERVED) throw invalid('the name', name, 'it is reserved; choose another one');
  if (engine === 'files') return demandFiles(files);
  if (!USER.test(userName) || /^pg_/i.test(userName))
    throw invalid('the user', userName, 'it is a letter, then letters, digits and _, and not pg_…');
  const bytes = Buffer.byteLength(databaseName);
  // oxlint-disable-next-line no-control-regex
  if (bytes < 1 || bytes > 63 || /[\0-\x1f\x7f]/.test(databaseName))
    throw invalid('the database name', databaseName, 'it has 1 to 63 bytes and no control characters');
  if (engine === 'pglite' && (userName !== 'postgres' || databaseName !== 'postgres'))
    throw invalid('the user or database name', `${userName}, ${databaseName}`, 'PGlite has only postgres');
}

/** @throws DATABASE_NAME_INVALID */
export function demandFiles(files: FilesRecord | undefined): void {
  const { sizeBytes = 0, mount, machine } = files ?? {};
  const invalid = (what: string, value: string, why: string) =>
    databaseErrors.DATABASE_NAME_INVALID([what, value, why]);
  if (!Number.isSafeInteger(sizeBytes) || sizeBytes < SIZE_BYTES_MIN)
    throw invalid('the size', `${sizeBytes} bytes`, `it has ${SIZE_BYTES_MIN} bytes at least`);
  if (mount !== undefined && !MOUNT.test(mount))
    throw invalid('the mount', mount, 'it is up to 63 small letters, digits and hyphens');
  if (machine !== undefined && !MACHINE.test(machine))
    throw invalid('the machine', machine, 'it is up to 32 letters, digits, hyphens and underscores');
}
