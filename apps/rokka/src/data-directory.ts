/**
 * The data directory: its layout, its identity and its lock.
 *
 *   rokka.json            format, cluster id, and what this machine is in it
 *   registry.sqlite       cluster state, unless etcd has it
 *   nodes/<ordinal>/      one storage node each
 *   archive/              history of databases that are backed up, unless a bucket has it (docs/archive.md)
 *   audit.sqlite          calls of the AWS API
 *   secrets/              passwords and keys, owner-only; archive.ini those of a bucket, if it is there
 *   run/                  sockets; its contents matter only while something runs
 *   compile-cache/        compiled code of the processes; may be removed at any time
 *   lock.sqlite           held exclusively by the running supervisor; the kernel lets it go with the process
 */
import * as fs from 'node:fs';
import * as path from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { isCoded, writeDurably } from '@rokka/kernel';
import { rokkaErrors } from './errors.ts';

export { writeDurably } from '@rokka/kernel';

/** 1: a cluster on one machine. 2: it says more, which a program that knows format 1 alone would overlook. */
export const DATA_FORMATS = [1, 2] as const;
/** What a start that was killed early may leave, or who gives keys before the first: the identity is made under the lock, before anything else. */
const EARLY_FILES = /^(lock\.sqlite|rokka\.json\.new|join\.json)/;

/** What a data directory is: decided when it is made, and never changed. */
export interface DataIdentity {
  readonly cluster: string;
  /** Absent on the machine that made the cluster. */
  readonly joined?: JoinedIdentity;
  /** Where the cluster's state is; absent where it is in the directory itself. */
  readonly registry?: RegistryChoice;
  /** Where the history of databases is; absent where it is in the directory itself. */
  readonly archive?: ArchiveChoice;
}

/** What a machine became that joined a cluster with a token. */
export interface JoinedIdentity {
  readonly as: 'node' | 'head';
  /** Its member id, which its certificate names. */
  readonly id: string;
  /** Of its storage node. */
  readonly zone: string;
  /** Where members are registered and certificates renewed, `host:port`. */
  readonly desk: string;
}

export interface RegistryChoice {
  readonly location: string;
  /** Files in PEM, for https. */
  readonly ca?: string;
  readonly cert?: string;
  readonly key?: string;
}

export interface ArchiveChoice {
  /** `s3://BUCKET[/PREFIX]`, without a slash at its end. */
  readonly location: string;
  readonly region: string;
  /** Of a service other than AWS: `http://HOST:PORT`. */
  readonly endpoint?: string;
}

export class DataDirectory implements Disposable {
  readonly path: string;
  readonly identity: DataIdentity;
  readonly #lock: DatabaseSync;

  private constructor(directory: string, identity: DataIdentity, lock: DatabaseSync) {
    this.path = directory;
    this.identity = identity;
    this.#lock = lock;
  }

  get cluster(): string {
    return this.identity.cluster;
  }

  /**
   * Opens the directory for a supervisor, making it where it is missing, with what `make` says.
   * @throws ROKKA_DATA_HELD, ROKKA_DATA_VERSION, ROKKA_DATA_FOREIGN, ROKKA_DATA_CORRUPT, ROKKA_DATA_PERMISSION
   */
  static open(directory: string, make: () => DataIdentity): DataDirectory {
    return translated(directory, () => {
      fs.mkdirSync(directory, { recursive: true, mode: 0o700 });
      // Looked at twice: before, so that nothing is put into a stranger's directory; and under the lock, where it holds.
      if (readIdentity(directory) === undefined) requireEmpty(directory);
      const lock = takeLock(directory);
      try {
        const known = readIdentity(directory);
        if (known === undefined) requireEmpty(directory);
        const identity = known ?? writeIdentity(directory, make());
        for (const part of ['run', 'nodes', 'secrets', 'run/postgres']) {
          fs.mkdirSync(path.join(directory, part), { recursive: true, mode: 0o700 });
        }
        fs.writeFileSync(path.join(directory, 'run', 'holder'), String(process.pid), { mode: 0o600 });
        return new DataDirectory(directory, identity, lock);
      } catch (error) {
        lock.close();
        throw error;
      }
    });
  }

  [Symbol.dispose](): void {
    fs.rmSync(path.join(this.path, 'run', 'holder'), { force: true });
    this.#lock.close();
  }
}

/** Paths inside a data directory, for every process that works on it. */
export const dataPaths = {
  registry: (directory: string) => path.join(directory, 'registry.sqlite'),
  node: (directory: string, ordinal: number) => path.join(directory, 'nodes', String(ordinal)),
  sockets: (directory: string) => path.join(directory, 'run'),
  nodeSocketName: (ordinal: number) => `node-${ordinal}.sock`,
  control: (directory: string) => path.join(directory, 'run', 'control.sock'),
  postgresSockets: (directory: string) => path.join(directory, 'run', 'postgres'),
  secrets: (directory: string) => path.join(directory, 'secrets'),
  /** Databases on their way into copies of the state; nothing of it counts when nothing runs. */
  stateCopies: (directory: string) => path.join(directory, 'run', 'state-copies'),
  /** Of the database `main`. */
  password: (directory: string) => path.join(directory, 'secrets', 'postgres-password'),
  /** The administrator's profile for AWS's clients. */
  aws: (directory: string) => path.join(directory, 'secrets', 'aws'),
  archive: (directory: string) => path.join(directory, 'archive'),
  archiveKeys: (directory: string) => path.join(directory, 'secrets', 'archive.ini'),
  /** What is installed on this machine for commands, and what they keep. */
  agent: (directory: string) => path.join(directory, 'agent'),
  log: (directory: string) => path.join(directory, 'rokka.log'),
  authority: (directory: string) => path.join(directory, 'secrets', 'authority.json'),
  /** Key and certificate of one process. */
  certificate: (directory: string, name: string) => path.join(directory, 'secrets', `${name}.pem`),
  /** What a join has come to, until the directory is made. */
  joining: (directory: string) => path.join(directory, 'join.json'),
  /** Written when the cluster has taken the machine in; names its node. */
  registration: (directory: string) => path.join(directory, 'registration.json'),
};

/** What the directory is, or undefined where there is no data directory yet. */
export function readIdentity(directory: string): DataIdentity | undefined {
  const file = path.join(directory, 'rokka.json');
  const text = translated(file, () => (fs.existsSync(file) ? fs.readFileSync(file, 'utf8') : undefined));
  if (text === undefined) return undefined;
  let parsed: { format?: unknown; cluster?: unknown } & Partial<DataIdentity>;
  try {
    // Spread, because `null` is JSON as well.
    parsed = { ...(JSON.parse(text) as typeof parsed | null) };
  } catch (error) {
    throw rokkaErrors.ROKKA_DATA_CORRUPT([file, 'not JSON'], { cause: error });
  }
  if (parsed.format === undefined) throw rokkaErrors.ROKKA_DATA_CORRUPT([file, 'no format']);
  if (!DATA_FORMATS.some((format) => format === parsed.format)) {
    throw rokkaErrors.ROKKA_DATA_VERSION([
      directory,
      JSON.stringify(parsed.format),
      DATA_FORMATS.join(' and '),
    ]);
  }
  if (typeof parsed.cluster !== 'string') throw rokkaErrors.ROKKA_DATA_CORRUPT([file, 'no cluster id']);
  const { cluster, joined, registry, archive } = parsed;
  return {
    cluster,
    ...(joined && { joined }),
    ...(registry && { registry }),
    ...(archive && { archive }),
  };
}

function writeIdentity(directory: string, identity: DataIdentity): DataIdentity {
  const file = path.join(directory, 'rokka.json');
  const format = identity.joined || identity.registry || identity.archive ? 2 : 1;
  writeDurably(file, `${JSON.stringify({ format, ...identity })}\n`);
  return identity;
}

/** Nothing in it but what an early end may leave. @throws ROKKA_DATA_FOREIGN */
export function requireEmpty(directory: string): void {
  if (fs.readdirSync(directory).every((name) => EARLY_FILES.test(name) || isOnlyKeys(directory, name)))
    return;
  // Another start may have been faster: then the identity is there by now.
  if (readIdentity(directory) === undefined) throw rokkaErrors.ROKKA_DATA_FOREIGN([directory]);
}

/** Whether it is the directory of secrets, and there is nothing in it but the keys of a bucket. */
function isOnlyKeys(directory: string, name: string): boolean {
  const secrets = dataPaths.secrets(directory);
  const keys = path.basename(dataPaths.archiveKeys(directory));
  return name === path.basename(secrets) && fs.readdirSync(secrets).every((file) => file === keys);
}

function takeLock(directory: string): DatabaseSync {
  const file = path.join(directory, 'lock.sqlite');
  const lock = new DatabaseSync(file);
  try {
    // Patient enough for whoever only looks whether it is held.
    lock.exec('PRAGMA busy_timeout = 200; PRAGMA journal_mode = DELETE; BEGIN EXCLUSIVE');
    return lock;
  } catch (error) {
    lock.close();
    if (sqliteCode(error) !== SQLITE.BUSY) throw error;
    throw rokkaErrors.ROKKA_DATA_HELD([directory, holderOf(directory)], { cause: error });
  }
}

/** Whether a supervisor works on it. Its lock tells, never a process id: those come back, and zombies keep theirs. */
export function isHeld(directory: string): boolean {
  const file = path.join(directory, 'lock.sqlite');
  if (!fs.existsSync(file)) return false;
  let lock: DatabaseSync | undefined;
  try {
    lock = new DatabaseSync(file, { readOnly: true, timeout: 0 });
    lock.prepare('SELECT count(*) FROM sqlite_schema').get();
    return false;
  } catch (error) {
    return sqliteCode(error) === SQLITE.BUSY;
  } finally {
    lock?.close();
  }
}

/** The process that holds the directory, or last did; 0 where nobody is known. */
export function holderOf(directory: string): number {
  try {
    return Number(fs.readFileSync(path.join(directory, 'run', 'holder'), 'utf8'));
  } catch {
    return 0;
  }
}

/** Primary result codes (sqlite.org/rescode.html). */
const SQLITE = { BUSY: 5, CORRUPT: 11, FULL: 13, NOTADB: 26 } as const;

/** Undefined for what is no error of SQLite. */
function sqliteCode(error: unknown): number | undefined {
  const { errcode } = error as { errcode?: unknown };
  return typeof errcode === 'number' ? errcode & 0xff : undefined;
}

/** The system's words become ours, which name the way out. */
export function translated<T>(directory: string, run: () => T): T {
  try {
    return run();
  } catch (cause) {
    if (isCoded(cause)) throw cause;
    const sqlite = sqliteCode(cause);
    const { code, message } = cause as NodeJS.ErrnoException;
    if (code === 'ENOSPC' || code === 'EDQUOT' || sqlite === SQLITE.FULL) {
      throw rokkaErrors.ROKKA_DISK_FULL([directory], { cause });
    }
    if (sqlite === SQLITE.NOTADB || sqlite === SQLITE.CORRUPT) {
      throw rokkaErrors.ROKKA_DATA_CORRUPT([`${directory}/lock.sqlite`, message], { cause });
    }
    if (sqlite !== undefined) throw rokkaErrors.ROKKA_DATA_PERMISSION([directory, message], { cause });
    if (code?.startsWith('E') && !code.startsWith('ERR_')) {
      throw rokkaErrors.ROKKA_DATA_PERMISSION([directory, code], { cause });
    }
    throw cause;
  }
}
