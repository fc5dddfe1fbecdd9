/**
 * The registry of one machine: a SQLite file that the supervisor and the processes it starts open side by side. Each
 * change is one immediate transaction that compares and sets; each entry has a checksum of its own, because SQLite has
 * none outside its log, and a flipped bit in an epoch must not be believed.
 *
 * Revisions come from one counter in the file and are never used twice, so a key that was removed and made again does
 * not pass for the old one.
 */
import type { DatabaseSync, StatementSync } from 'node:sqlite';
import { crc32, isCoded, type Clock } from '@rokka/kernel';
import { checkKey, checkPrefix, encodeValue, PREFIX_END } from './entry-codec.ts';
import { registryErrors } from './errors.ts';
import type { Registry, RegistryEntry } from './registry.ts';
import { openFile, prepareFile } from './sqlite-file.ts';

/** Primary result codes (sqlite.org/rescode.html); node:sqlite gives extended ones, which hold these in their low byte. */
const SQLITE_BUSY = 5;
const SQLITE_LOCKED = 6;
const SQLITE_CORRUPT = 11;
const SQLITE_NOTADB = 26;
const RETRY_MS_MAX = 20;

export interface SqliteRegistryOptions {
  path: string;
  clock: Clock;
  /** Makes the file where there is none; default true. */
  create?: boolean;
  /** How long to wait for a lock that another process holds; default 5 s. */
  busyTimeoutMs?: number;
}

/** @throws REGISTRY_MISSING, REGISTRY_VERSION, REGISTRY_FOREIGN, REGISTRY_CORRUPT, REGISTRY_BUSY, REGISTRY_FAILED */
export async function openSqliteRegistry(options: SqliteRegistryOptions): Promise<Registry> {
  const { path, clock, create = true, busyTimeoutMs = 5_000 } = options;
  prepareFile(path, create);
  const guard = { path, clock, busyTimeoutMs };
  return new SqliteRegistry(await guarded(guard, () => openFile(path)), guard);
}

interface Guard {
  path: string;
  clock: Clock;
  busyTimeoutMs: number;
}

/** Runs `work`, again while another process holds a lock, and turns SQLite's errors into ours. */
async function guarded<T>(guard: Guard, work: () => T): Promise<T> {
  const { path, clock, busyTimeoutMs } = guard;
  const endMs = clock.nowMs() + busyTimeoutMs;
  for (let waitMs = 1; ; waitMs = Math.min(waitMs * 2, RETRY_MS_MAX)) {
    try {
      return work();
    } catch (error) {
      if (isCoded(error)) throw error;
      if (!isLocked(error)) throw failure(path, error);
      if (clock.nowMs() >= endMs) throw registryErrors.REGISTRY_BUSY([path, busyTimeoutMs], { cause: error });
    }
    await clock.sleep(waitMs);
  }
}

const resultCode = (error: unknown) => ((error as { errcode?: number }).errcode ?? 0) & 0xff;

const isLocked = (error: unknown) => [SQLITE_BUSY, SQLITE_LOCKED].includes(resultCode(error));

/** Anything that SQLite did not say is our own mistake and stays what it is. */
function failure(path: string, error: unknown): unknown {
  const code = resultCode(error);
  if (!(error instanceof Error) || code === 0) return error;
  const make =
    code === SQLITE_CORRUPT || code === SQLITE_NOTADB
      ? registryErrors.REGISTRY_CORRUPT
      : registryErrors.REGISTRY_FAILED;
  return make([path, error.message], { cause: error });
}

interface Row {
  key: string;
  value: string;
  revision: number;
  checksum: number;
}

const checksumOf = ({ key, value, revision }: Omit<Row, 'checksum'>) =>
  crc32(Buffer.from(JSON.stringify([key, value, revision])));

class SqliteRegistry implements Registry {
  readonly #database: DatabaseSync;
  readonly #guard: Guard;
  readonly #get: StatementSync;
  readonly #list: StatementSync;
  readonly #count: StatementSync;
  readonly #put: StatementSync;
  readonly #remove: StatementSync;

  constructor(database: DatabaseSync, guard: Guard) {
    this.#database = database;
    this.#guard = guard;
    const columns = 'key, value, revision, checksum';
    this.#get = database.prepare(`SELECT ${columns} FROM entries WHERE key = ?`);
    this.#list = database.prepare(`SELECT ${columns} FROM entries WHERE key >= ? AND key < ? ORDER BY key`);
    this.#count = database.prepare('UPDATE counter SET revision = revision + 1 RETURNING revision');
    this.#put = database.prepare(`INSERT OR REPLACE INTO entries (${columns}) VALUES (?, ?, ?, ?)`);
    this.#remove = database.prepare('DELETE FROM entries WHERE key = ?');
  }

  async get<T>(key: string): Promise<RegistryEntry<T> | undefined> {
    checkKey(key);
    return this.#run(() => {
      const row = this.#row(key);
      return row && entryOf<T>(row);
    });
  }

  async list<T>(prefix: string): Promise<RegistryEntry<T>[]> {
    checkPrefix(prefix);
    return this.#run(() => {
      const rows = this.#list.all(prefix, prefix + PREFIX_END) as unknown as Row[];
      return rows.map((row) => entryOf<T>(this.#checked(row)));
    });
  }

  async put(key: string, value: unknown, expectedRevision: number): Promise<number> {
    checkKey(key);
    const text = encodeValue(key, value);
    return this.#change(key, expectedRevision, () => {
      const { revision } = this.#count.get() as unknown as { revision: number };
      this.#put.run(key, text, revision, checksumOf({ key, value: text, revision }));
      return revision;
    });
  }

  async remove(key: string, expectedRevision: number): Promise<void> {
    checkKey(key);
    return this.#change(key, expectedRevision, () => {
      this.#remove.run(key);
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#database.isOpen) this.#database.close();
  }

  #run<T>(work: () => T): Promise<T> {
    return guarded(this.#guard, () => {
      if (!this.#database.isOpen) throw registryErrors.REGISTRY_CLOSED([this.#guard.path]);
      return work();
    });
  }

  #change<T>(key: string, expected: number, change: () => T): Promise<T> {
    return this.#run(() => {
      this.#database.exec('BEGIN IMMEDIATE');
      try {
        const found = this.#row(key)?.revision ?? 0;
        if (found !== expected) throw registryErrors.REGISTRY_CONFLICT([key, expected, found]);
        const result = change();
        this.#database.exec('COMMIT');
        return result;
      } finally {
        // SQLite has rolled back by itself after some errors, not after all.
        if (this.#database.isTransaction) this.#database.exec('ROLLBACK');
      }
    });
  }

  #row(key: string): Row | undefined {
    const row = this.#get.get(key) as unknown as Row | undefined;
    return row && this.#checked(row);
  }

  #checked(row: Row): Row {
    if (row.checksum === checksumOf(row)) return row;
    throw registryErrors.REGISTRY_CORRUPT([this.#guard.path, `the entry ${row.key} failed its checksum`]);
  }
}

function entryOf<T>({ key, value, revision }: Row): RegistryEntry<T> {
  return { key, value: JSON.parse(value) as T, revision };
}
