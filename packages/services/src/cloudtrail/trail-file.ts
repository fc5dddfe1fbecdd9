/**
 * The SQLite file of the audit trail. Write-ahead log with synchronous=FULL: what was committed is on the disk. Owner only,
 * from its first moment; SQLite gives the files beside it the same mode.
 */
import * as fs from 'node:fs';
import * as path from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { servicesErrors } from '../errors.ts';

/** "Rokt", in the header of the file (PRAGMA application_id). */
const APPLICATION_ID = 0x526f6b74;
const SCHEMA_VERSION = 1;
/** How long another process of the same owner, such as a backup, may hold the file. */
const BUSY_MS = 2_000;
const SCHEMA = `
  CREATE TABLE events (
    sequence INTEGER PRIMARY KEY AUTOINCREMENT, at_ms INTEGER NOT NULL, event_id TEXT NOT NULL, event_name TEXT NOT NULL,
    event_source TEXT NOT NULL, username TEXT, access_key_id TEXT, read_only TEXT NOT NULL, event TEXT NOT NULL
  ) STRICT;
  CREATE TABLE resources (
    name TEXT NOT NULL, at_ms INTEGER NOT NULL, sequence INTEGER NOT NULL, PRIMARY KEY (name, at_ms, sequence)
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX events_by_time ON events (at_ms, sequence);
  CREATE INDEX events_by_id ON events (event_id);
  CREATE INDEX events_by_name ON events (event_name, at_ms, sequence);
  CREATE INDEX events_by_source ON events (event_source, at_ms, sequence);
  CREATE INDEX events_by_user ON events (username, at_ms, sequence);
  CREATE INDEX events_by_key ON events (access_key_id, at_ms, sequence);
  CREATE INDEX events_by_read_only ON events (read_only, at_ms, sequence);
  CREATE INDEX resources_by_sequence ON resources (sequence);
  PRAGMA application_id = ${APPLICATION_ID};
  PRAGMA user_version = ${SCHEMA_VERSION};
`;

/**
 * Signatures that calls have used, of which the gateway asks when it starts. Beside the events, and no new version of the schema: a
 * program that does not know of it reads and writes the rest as before.
 */
const SIGNATURES = `
  CREATE TABLE IF NOT EXISTS signatures (
    key TEXT PRIMARY KEY, first_ms INTEGER NOT NULL, good_until_ms INTEGER NOT NULL
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX IF NOT EXISTS signatures_by_end ON signatures (good_until_ms);
`;

/** @throws AUDIT_FOREIGN, AUDIT_VERSION, AUDIT_FAILED */
export function openTrailFile(filePath: string): DatabaseSync {
  try {
    createOwnerOnly(filePath);
    const database = new DatabaseSync(filePath, { timeout: BUSY_MS });
    try {
      prepare(database, filePath);
      return database;
    } catch (error) {
      database.close();
      throw error;
    }
  } catch (error) {
    if ((error as { code?: string }).code?.startsWith('AUDIT_')) throw error;
    throw servicesErrors.AUDIT_FAILED([filePath, String(error)], { cause: error });
  }
}

function createOwnerOnly(filePath: string): void {
  fs.mkdirSync(path.dirname(filePath), { recursive: true, mode: 0o700 });
  try {
    fs.closeSync(fs.openSync(filePath, 'wx', 0o600));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  }
  if ((fs.statSync(filePath).mode & 0o077) !== 0) fs.chmodSync(filePath, 0o600);
}

function prepare(database: DatabaseSync, filePath: string): void {
  const value = (name: string) => (database.prepare(`PRAGMA ${name}`).get() as Record<string, number>)[name];
  if (!database.prepare('SELECT 1 FROM sqlite_schema LIMIT 1').get()) {
    database.exec(`BEGIN IMMEDIATE; ${SCHEMA} COMMIT`);
  }
  if (value('application_id') !== APPLICATION_ID) throw servicesErrors.AUDIT_FOREIGN([filePath]);
  const version = value('user_version');
  if (version !== SCHEMA_VERSION) throw servicesErrors.AUDIT_VERSION([filePath, version, SCHEMA_VERSION]);
  database.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA trusted_schema = OFF');
  database.exec(SIGNATURES);
}
