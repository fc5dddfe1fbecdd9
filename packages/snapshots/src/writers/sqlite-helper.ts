/**
 * The process that reads and holds SQLite databases. It is a process of its own for two reasons: SQLite waits without letting
 * anything else run, and a process that closes a file loses all the locks that it has on it (fcntl_locking(2)), so nothing but a
 * process that has nothing else to do with a database may look into it.
 */
import { DatabaseSync } from 'node:sqlite';
import * as fs from 'node:fs';
import { pathToFileURL } from 'node:url';
import { systemClock } from '@rokka/kernel';
import { answerLines } from './helper-lines.ts';

export interface Candidate {
  readonly path: string;
  /** It has a log or a journal beside it, so an empty file is a database too: one whose first transaction is running. */
  readonly hasSibling: boolean;
}

export interface HeldDatabase {
  readonly path: string;
  /** The file change counter (fileformat2.html, section 1.3.7); it does not count what goes through a write-ahead log. */
  readonly changes: number;
  /** Bytes in the write-ahead log that a copy would have to read. */
  readonly logBytes: number;
}

export interface RestoredSqlite {
  readonly path: string;
  readonly logBytes: number;
  readonly hotJournal: boolean;
  /** `ok`, or what is wrong. */
  readonly integrity: string;
  /** It was not opened, because that is not safe. */
  readonly isRefused?: true;
}

const HEADER = 'SQLite format 3\0';
const CHANGES_AT = 24;
const HEADER_BYTES = 100;
/** Of a journal that holds something to be rolled back (fileformat2.html, section 3). */
const JOURNAL_MAGIC = Buffer.from('d9d505f920a163d7', 'hex');
/** Nothing else runs meanwhile, so this is also how late we notice that the parent is gone. */
const BUSY_MS = 50;
const PAUSE_MS = 5;
/** How long a lock is held before it is let go for a checkpoint. */
const LULL_MS_MIN = 5;
const LULL_MS_MAX = 80;
const SQLITE_BUSY = 5;
const SQLITE_LOCKED = 6;

class Held {
  readonly path: string;
  readonly #file: number;
  readonly #database: DatabaseSync;
  #at: HeldDatabase | undefined;

  constructor(path: string) {
    this.path = path;
    // Stays open until the locks may go.
    this.#file = fs.openSync(path, 'r');
    try {
      this.#database = openDatabase(path);
    } catch (error) {
      fs.closeSync(this.#file);
      throw error;
    }
  }

  /** What is in the write-ahead log goes into the database, as far as readers let it. False where they, or writers, do not let all of it. */
  checkpoint(): boolean {
    let isWhole = false;
    tryBusy(() => {
      const row = this.#database.prepare('PRAGMA wal_checkpoint(TRUNCATE)').get();
      isWhole = row?.['busy'] === 0;
    });
    return isWhole;
  }

  /**
   * No writer gets in from now on, and none is in: so there is no hot journal. The log is empty where that could be had in half
   * of the time: a checkpoint cannot be made while we hold, and readers may keep the log.
   *
   * Between checkpoint and lock a writer may be quicker. One that waits for a lock looks again after a pause that grows; so where there
   * is log after all, the lock is held for a while, until all who want it are asleep, and only then let go for the next checkpoint. Where
   * readers keep the log that would help nobody, so writers have their turn.
   */
  async hold(options: { until: number; emptyUntil: number }): Promise<HeldDatabase> {
    for (let lullMs = LULL_MS_MIN; ; lullMs = Math.min(lullMs * 2, LULL_MS_MAX)) {
      const isWhole = this.checkpoint();
      const isHeld = tryBusy(() => this.#database.exec('BEGIN IMMEDIATE'));
      const logBytes = sizeOf(`${this.path}-wal`);
      const nowMs = systemClock.nowMs();
      if (isHeld && (logBytes === 0 || nowMs > options.emptyUntil)) {
        this.#at = { path: this.path, changes: this.#changes(), logBytes };
        return this.#at;
      }
      if (nowMs > options.until)
        throw new Error(
          'somebody else has it locked all the time; end what writes to it, or take PRAGMA locking_mode=EXCLUSIVE from it',
        );
      if (isHeld && isWhole) await systemClock.sleep(lullMs);
      if (isHeld) this.#database.exec('ROLLBACK');
      if (!isHeld || !isWhole) await systemClock.sleep(PAUSE_MS);
    }
  }

  /** @throws where another file has its name, or somebody has written in spite of the lock */
  requireHeld(): void {
    const own = fs.fstatSync(this.#file);
    const now = fs.statSync(this.path, { throwIfNoEntry: false });
    if (now?.ino !== own.ino || now.dev !== own.dev) throw new Error(`${this.path} was replaced`);
    if (!this.#database.isTransaction || this.#changes() !== this.#at?.changes)
      throw new Error(`${this.path} was written to`);
    if (sizeOf(`${this.path}-wal`) !== this.#at.logBytes)
      throw new Error(`the log of ${this.path} has grown`);
  }

  release(): void {
    if (this.#database.isTransaction) this.#database.exec('ROLLBACK');
    this.#at = undefined;
  }

  #changes(): number {
    const bytes = Buffer.alloc(4);
    fs.readSync(this.#file, bytes, 0, 4, CHANGES_AT);
    return bytes.readUInt32BE();
  }
}

const databases: Held[] = [];

answerLines({
  /** Which of them are databases. */
  recognise({ candidates }: { candidates: readonly Candidate[] }): readonly boolean[] {
    return candidates.map(isDatabase);
  },

  async open({ paths }: { paths: readonly string[] }): Promise<void> {
    for (const path of paths) databases.push(await named(path, () => new Held(path)));
  },

  async checkpoint(): Promise<void> {
    for (const database of databases) await named(database.path, () => database.checkpoint());
  },

  async freeze({ ms }: { ms: number }): Promise<readonly HeldDatabase[]> {
    const nowMs = systemClock.nowMs();
    const times = { until: nowMs + ms, emptyUntil: nowMs + ms / 2 };
    const held: HeldDatabase[] = [];
    try {
      for (const database of databases) held.push(await named(database.path, () => database.hold(times)));
      return held;
    } catch (error) {
      release();
      throw error;
    }
  },

  thaw(): void {
    try {
      for (const database of databases) database.requireHeld();
    } finally {
      release();
    }
  },

  /** Opens it, which is a recovery where one was needed. */
  examine({ path }: { path: string }): RestoredSqlite {
    const logBytes = sizeOf(`${path}-wal`);
    const hotJournal = isHot(`${path}-journal`);
    return { path, logBytes, hotJournal, integrity: integrityOf(path) };
  },
});

function release(): void {
  for (const database of databases) database.release();
}

function openDatabase(path: string): DatabaseSync {
  const url = pathToFileURL(path);
  // Without this, a database that is gone would be made anew.
  url.searchParams.set('mode', 'rw');
  return new DatabaseSync(url, { timeout: BUSY_MS });
}

function integrityOf(path: string): string {
  try {
    const database = openDatabase(path);
    try {
      const rows = database.prepare('PRAGMA integrity_check(10)').all();
      return rows.map((row) => String(row.integrity_check)).join('; ');
    } finally {
      database.close();
    }
  } catch (error) {
    return (error as Error).message;
  }
}

/** Whether it was done; false where somebody else has the lock. */
function tryBusy(run: () => void): boolean {
  try {
    run();
    return true;
  } catch (error) {
    const code = (error as { errcode?: number }).errcode ?? 0;
    if ((code & 0xff) === SQLITE_BUSY || (code & 0xff) === SQLITE_LOCKED) return false;
    throw error;
  }
}

async function named<T>(path: string, run: () => T): Promise<Awaited<T>> {
  try {
    return await run();
  } catch (cause) {
    throw new Error(`${path}: ${(cause as Error).message}`, { cause });
  }
}

function isDatabase({ path, hasSibling }: Candidate): boolean {
  const head = headOf(path);
  if (head === undefined) return false;
  return head.length === 0 ? hasSibling : head.toString('latin1').startsWith(HEADER);
}

function isHot(journal: string): boolean {
  return headOf(journal)?.subarray(0, JOURNAL_MAGIC.length).equals(JOURNAL_MAGIC) ?? false;
}

function headOf(path: string): Buffer | undefined {
  try {
    const file = fs.openSync(path, fs.constants.O_RDONLY | fs.constants.O_NONBLOCK | fs.constants.O_NOCTTY);
    try {
      const bytes = Buffer.alloc(HEADER_BYTES);
      return bytes.subarray(0, fs.readSync(file, bytes, 0, HEADER_BYTES, 0));
    } finally {
      fs.closeSync(file);
    }
  } catch {
    return undefined;
  }
}

function sizeOf(path: string): number {
  return fs.statSync(path, { throwIfNoEntry: false })?.size ?? 0;
}
