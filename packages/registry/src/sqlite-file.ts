/**
 * The SQLite file of a registry: made, checked and opened so that several processes can share it.
 *
 * Write-ahead log with synchronous=FULL: a commit is on the disk before it returns (in the rollback modes that needs
 * EXTRA). Owner only, from its first moment: SQLite gives the files beside it the same mode.
 *
 * A process must not open and close this file by other means while SQLite has it open: closing any descriptor of a file
 * drops the process's POSIX locks on it (sqlite.org/howtocorrupt.html §2.2). So it is created with O_EXCL, which fails
 * on a file that exists, and looked at through its path alone.
 */
import * as fs from 'node:fs';
import * as path from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { registryErrors } from './errors.ts';

/** "Rokk", in the header of the file (PRAGMA application_id). */
const APPLICATION_ID = 0x526f6b6b;
const SCHEMA_VERSION = 1;
const SCHEMA = `
  CREATE TABLE entries (
    key TEXT PRIMARY KEY, value TEXT NOT NULL, revision INTEGER NOT NULL, checksum INTEGER NOT NULL
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE counter (id INTEGER PRIMARY KEY CHECK (id = 1), revision INTEGER NOT NULL) STRICT;
  INSERT INTO counter VALUES (1, 0);
  PRAGMA application_id = ${APPLICATION_ID};
  PRAGMA user_version = ${SCHEMA_VERSION};
`;

/** Makes an empty file where there is none. @throws REGISTRY_MISSING, REGISTRY_FAILED */
export function prepareFile(filePath: string, create: boolean): void {
  try {
    if (!create) {
      if (!fs.existsSync(filePath)) throw registryErrors.REGISTRY_MISSING([filePath]);
    } else {
      fs.mkdirSync(path.dirname(filePath), { recursive: true, mode: 0o700 });
      createExclusively(filePath);
    }
    if ((fs.statSync(filePath).mode & 0o077) !== 0) fs.chmodSync(filePath, 0o600);
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? String(error);
    if (code.startsWith('REGISTRY_')) throw error;
    throw registryErrors.REGISTRY_FAILED([filePath, code], { cause: error });
  }
}

function createExclusively(filePath: string): void {
  try {
    fs.closeSync(fs.openSync(filePath, 'wx', 0o600));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return;
    throw error;
  }
  const directory = fs.openSync(path.dirname(filePath), 'r');
  try {
    fs.fsyncSync(directory);
  } finally {
    fs.closeSync(directory);
  }
}

/** @throws REGISTRY_VERSION, REGISTRY_FOREIGN, REGISTRY_CORRUPT, REGISTRY_FAILED, and SQLite's error while it is locked */
export function openFile(filePath: string): DatabaseSync {
  // No wait within SQLite, which would stop the whole process: whoever meets a lock waits outside and tries again.
  const database = new DatabaseSync(filePath, { timeout: 0 });
  try {
    createSchema(database);
    checkIdentity(database, filePath);
    database.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA trusted_schema = OFF');
    const check = database.prepare('PRAGMA quick_check(1)').get() as { quick_check: string };
    if (check.quick_check !== 'ok') throw registryErrors.REGISTRY_CORRUPT([filePath, check.quick_check]);
    return database;
  } catch (error) {
    database.close();
    throw error;
  }
}

const pragma = (database: DatabaseSync, name: 'application_id' | 'user_version') =>
  (database.prepare(`PRAGMA ${name}`).get() as Record<string, number>)[name] ?? 0;

const isEmpty = (database: DatabaseSync) => !database.prepare('SELECT 1 FROM sqlite_schema LIMIT 1').get();

/** Two processes may get here at once: the second one finds the first one's tables under the lock. */
function createSchema(database: DatabaseSync): void {
  if (!isEmpty(database)) return;
  database.exec('BEGIN IMMEDIATE');
  if (isEmpty(database)) database.exec(SCHEMA);
  database.exec('COMMIT');
}

/** A file that is not ours, or not of this version, has not been changed so far and stays as it is. */
function checkIdentity(database: DatabaseSync, filePath: string): void {
  if (pragma(database, 'application_id') !== APPLICATION_ID)
    throw registryErrors.REGISTRY_FOREIGN([filePath]);
  const version = pragma(database, 'user_version');
  if (version !== SCHEMA_VERSION) throw registryErrors.REGISTRY_VERSION([filePath, version, SCHEMA_VERSION]);
}
