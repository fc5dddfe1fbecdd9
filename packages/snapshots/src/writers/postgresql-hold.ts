/**
 * How all writing transactions of a running PostgreSQL are held, in one session a database:
 *
 *   1. every table is locked in EXCLUSIVE mode, which lets only reads through, and every catalog in SHARE mode, so that nobody
 *      makes a table meanwhile (documentation, "Explicit Locking"); both wait for the transactions that write them to end
 *   2. until no transaction has an id any more, tables that came meanwhile are locked too
 *   3. CHECKPOINT: everything acknowledged, by asynchronous commits too, is in the data files, and redo begins where nobody writes
 *
 * Clients must not be harmed by it. A cycle of waits ends at our cost, because our sessions look for one sooner than the others
 * (deadlock_timeout); and since a client that has waited for us looks for one itself after its own deadlock_timeout, an attempt ends
 * before: then all is let go, and tried again, beginning with the table that was waited for. Tables that are never at rest for so
 * long are a veto.
 *
 * An autovacuum that is in the way is cancelled by the server, as for everybody who waits for a lock. Nothing here outlives the sessions.
 */
import { type Clock } from '@rokka/kernel';

export type Row = Readonly<Record<string, string | number | boolean | null>>;

/** A session. What it throws has the `code` of SQLSTATE. */
export interface Sql {
  query(text: string): Promise<readonly Row[]>;
}

export interface HoldOptions {
  /** A session outside of any transaction. */
  readonly control: Sql;
  readonly databases: ReadonlyMap<string, Sql>;
  /** Of the sessions in `databases`, as the server numbers them. */
  readonly pids: readonly number[];
  /** The server's deadlock_timeout. */
  readonly deadlockMs: number;
  /** That many locks the server has room for. */
  readonly locksMax: number;
  readonly clock: Clock;
}

export interface HeldAt {
  /** The end of the WAL, such as `0/1A2B3C4`. */
  readonly position: string;
  /** So much WAL is after the point where redo begins. */
  readonly redoBytes: number;
}

/** Checkpoints until the redo is small: background processes may write in between. */
const CHECKPOINTS_MAX = 3;
const PAUSE_MS = 150;
const POLL_MS = 20;
/** What is left of deadlock_timeout is for the way to the server. */
const ATTEMPT_SHARE = 0.7;
/** What a checkpoint writes about itself is some hundred bytes; full images of a few pages are let pass. */
export const REDO_BYTES_MAX = 65_536;

/** Deadlock; cancelled by a timeout; a lock not to be had; a table that is gone. */
const TRY_AGAIN = new Set(['40P01', '57014', '55P03', '42P01']);

export class PostgresHold {
  readonly #options: HoldOptions;
  /** Tables that were waited for, as `database/oid`, the latest first. */
  #contended: string[] = [];
  #waitedFor = 'its tables were never at rest';

  constructor(options: HoldOptions) {
    this.#options = options;
  }

  /** @throws in words why not; nothing is held then */
  async hold(options: { ms: number }): Promise<HeldAt> {
    const { clock } = this.#options;
    const until = clock.nowMs() + options.ms;
    try {
      await this.#requireRoom();
      while (!(await this.#attempt(Math.min(until, clock.nowMs() + this.#attemptMs)))) {
        await this.letGo();
        await clock.sleep(PAUSE_MS);
        if (clock.nowMs() > until) throw new Error(`${this.#waitedFor}, for ${options.ms} ms`);
      }
      return await this.#checkpoint();
    } catch (error) {
      await this.letGo();
      throw error;
    }
  }

  /** What was written since, in bytes of WAL. @throws where a session is lost: then its locks are, too */
  async writtenSince(position: string): Promise<number> {
    for (const sql of this.#options.databases.values()) await sql.query('SELECT 1');
    const [row] = await this.#options.control.query(
      `SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '${position}')::float8 AS bytes`,
    );
    return Number(row.bytes);
  }

  /** All of it, also where some sessions are lost. */
  async letGo(): Promise<void> {
    await Promise.allSettled([...this.#options.databases.values()].map((sql) => sql.query('ROLLBACK')));
  }

  get #attemptMs(): number {
    return this.#options.deadlockMs * ATTEMPT_SHARE;
  }

  async #attempt(until: number): Promise<boolean> {
    const watch = { over: false };
    const watching = this.#watch(watch);
    try {
      for (const [name, sql] of this.#options.databases)
        await this.#lockAll(name, { sql, until, again: false });
      while (await this.#writers(until)) {
        for (const [name, sql] of this.#options.databases)
          await this.#lockAll(name, { sql, until, again: true });
      }
      return true;
    } catch (error) {
      if (!TRY_AGAIN.has((error as { code?: string }).code ?? '')) throw error;
      return false;
    } finally {
      watch.over = true;
      await watching;
    }
  }

  async #lockAll(
    name: string,
    { sql, until, again }: { sql: Sql; until: number; again: boolean },
  ): Promise<void> {
    const leftMs = Math.max(1, Math.floor(until - this.#options.clock.nowMs()));
    if (!again) await sql.query('BEGIN');
    await sql.query(`SET LOCAL statement_timeout = ${leftMs}`);
    const catalogs = await sql.query(CATALOGS);
    if (!again) await sql.query(lockStatement(catalogs, 'SHARE'));
    const tables = await sql.query(TABLES);
    const sorted = this.#contendedFirst(name, tables);
    if (sorted.length > 0) await sql.query(lockStatement(sorted, 'EXCLUSIVE'));
    await sql.query('SET LOCAL statement_timeout = 0');
  }

  #contendedFirst(database: string, tables: readonly Row[]): readonly Row[] {
    const rank = ({ oid }: Row) => {
      const at = this.#contended.indexOf(`${database}/${String(oid)}`);
      return at < 0 ? this.#contended.length : at;
    };
    return [...tables].sort((a, b) => rank(a) - rank(b));
  }

  /** Whether one was there: then look for new tables, and again. @throws as a cancelled statement does when the time is over */
  async #writers(until: number): Promise<boolean> {
    const { control, clock } = this.#options;
    let some = false;
    for (;;) {
      const rows = await control.query(WRITERS);
      if (rows.length === 0) return some;
      some = true;
      this.#waitedFor = `${describeSession(rows[0])} has an open transaction that writes: end it`;
      if (clock.nowMs() >= until) throw Object.assign(new Error(this.#waitedFor), { code: '57014' });
      await clock.sleep(POLL_MS);
    }
  }

  /** Notes which table is waited for, and by whose fault. */
  async #watch(watch: { readonly over: boolean }): Promise<void> {
    const { control, pids, clock } = this.#options;
    while (!watch.over && pids.length > 0) {
      await clock.sleep(POLL_MS);
      for (const row of await control.query(waitsOf(pids)).catch(() => [])) {
        const table = `${String(row.database)}/${String(row.oid)}`;
        this.#contended = [table, ...this.#contended.filter((other) => other !== table)];
        this.#waitedFor = `${describeSession(row)} holds a lock in the database ${String(row.database)} (relation ${String(row.oid)}): end its transaction`;
      }
    }
  }

  async #requireRoom(): Promise<void> {
    const { databases, locksMax } = this.#options;
    let tables = 0;
    for (const sql of databases.values()) {
      const [row] = await sql.query(
        `SELECT count(*)::int AS count FROM pg_class WHERE relkind IN ('r', 'p')`,
      );
      tables += Number(row.count);
    }
    if (tables > locksMax / 2)
      throw new Error(
        `it has ${tables} tables, and room for ${locksMax} locks: set max_locks_per_transaction to ${Math.ceil((64 * 2 * tables) / locksMax) + 1} or more`,
      );
  }

  async #checkpoint(): Promise<HeldAt> {
    const { control } = this.#options;
    let at: HeldAt | undefined;
    for (let i = 0; i < CHECKPOINTS_MAX; i++) {
      await control.query('CHECKPOINT');
      const [row] = await control.query(POSITION);
      at = { position: String(row.position), redoBytes: Number(row.redo_bytes) };
      if (at.redoBytes <= REDO_BYTES_MAX) return at;
    }
    throw new Error(`it writes WAL although no transaction does (${at?.redoBytes} bytes after a checkpoint)`);
  }
}

function lockStatement(tables: readonly Row[], mode: string): string {
  return `LOCK TABLE ${tables.map(({ name }) => `ONLY ${String(name)}`).join(', ')} IN ${mode} MODE`;
}

function describeSession({ pid, application, state }: Row): string {
  if (pid === 0 || pid === null) return 'a prepared transaction';
  return `the session of process ${String(pid)} (${String(application || 'no application name')}, ${String(state)})`;
}

/** Shared catalogs too: several SHARE locks of ours go together. */
const CATALOGS = `SELECT oid, oid::regclass::text AS name FROM pg_class
  WHERE relkind = 'r' AND relnamespace = 'pg_catalog'::regnamespace ORDER BY oid`;

/** Other sessions' temporary tables cannot be locked, and are in no snapshot. */
const TABLES = `SELECT c.oid, format('%I.%I', n.nspname, c.relname) AS name
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE c.relkind IN ('r', 'p') AND c.relpersistence <> 't'
    AND n.nspname NOT IN ('pg_catalog', 'pg_toast') ORDER BY c.oid`;

const WRITERS = `SELECT pid, application_name AS application, state FROM pg_stat_activity
    WHERE backend_xid IS NOT NULL AND pid <> pg_backend_pid()
  UNION ALL SELECT 0, gid, 'prepared' FROM pg_prepared_xacts`;

const POSITION = `SELECT pg_current_wal_flush_lsn()::text AS position,
  pg_wal_lsn_diff(pg_current_wal_insert_lsn(), redo_lsn)::float8 AS redo_bytes FROM pg_control_checkpoint()`;

function waitsOf(pids: readonly number[]): string {
  return `SELECT d.datname AS database, l.relation AS oid, a.pid, a.application_name AS application, a.state
    FROM pg_locks l LEFT JOIN pg_database d ON d.oid = l.database
    CROSS JOIN LATERAL unnest(pg_blocking_pids(l.pid)) AS blocker
    LEFT JOIN pg_stat_activity a ON a.pid = blocker
    WHERE NOT l.granted AND l.pid IN (${pids.join(', ')})`;
}
