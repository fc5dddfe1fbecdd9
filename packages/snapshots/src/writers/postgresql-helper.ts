/**
 * The process that has the sessions of the writer `postgresql`, under the account of the server, because the server asks the
 * kernel who connects (peer authentication). Arguments: user id and group id. Everything is loaded before the account is changed:
 * the account need not be able to read this checkout.
 *
 * Sessions end with this process, and their locks with them. Should it hang instead, the server ends them itself.
 */
import { Client } from 'pg';
import { must, systemClock } from '@rokka/kernel';
import { FREEZE_MS_MAX } from '../provider.ts';
import { answerLines } from './helper-lines.ts';
import { PostgresHold, type HeldAt, type Row, type Sql } from './postgresql-hold.ts';

/** How to come in; each of the users and of the hosts is tried. */
export interface SessionTarget {
  readonly hosts: readonly string[];
  readonly port: number;
  readonly users: readonly string[];
  readonly password?: string;
}

export interface Opened {
  /** It follows another server, and cannot be held. */
  readonly inRecovery: boolean;
}

const CONNECT_MS_MAX = 5_000;
/** The server itself ends what is held for longer. */
const SESSION = [
  `idle_in_transaction_session_timeout=${FREEZE_MS_MAX}`,
  // A backend that waits for a lock looks so often whether we are still there.
  'client_connection_check_interval=250',
  'application_name=rokka-snapshot',
  'search_path=pg_catalog',
  'default_transaction_read_only=off',
  'statement_timeout=0',
  'lock_timeout=0',
];
/** Sooner than everybody else's, so that a cycle of waits ends at our cost. */
const HOLDING = [...SESSION, 'deadlock_timeout=50'];
const DATABASES_MAX = 100;

class Session implements Sql {
  readonly client: Client;

  constructor(client: Client) {
    this.client = client;
  }

  static async open(
    target: SessionTarget,
    { database, settings = SESSION }: { database: string; settings?: readonly string[] },
  ): Promise<Session> {
    const failures: string[] = [];
    for (const host of target.hosts)
      for (const user of target.users) {
        const client = new Client({
          host,
          user,
          database,
          port: target.port,
          ...(target.password === undefined ? {} : { password: target.password }),
          connectionTimeoutMillis: CONNECT_MS_MAX,
          options: settings.map((setting) => `-c ${setting}`).join(' '),
        });
        // That the server went is seen by the next query.
        client.on('error', () => {});
        try {
          await client.connect();
          return new Session(client);
        } catch (error) {
          failures.push(`as ${user} by ${host}: ${(error as Error).message}`);
        }
      }
    throw new Error(failures.join('; '));
  }

  async query(text: string): Promise<readonly Row[]> {
    return (await this.client.query<Row>(text)).rows;
  }
}

let target: SessionTarget | undefined;
let control: Session | undefined;
let held:
  | { readonly hold: PostgresHold; readonly sessions: readonly Session[]; readonly at: HeldAt }
  | undefined;

const [uid, gid] = process.argv.slice(2).map(Number);
if (process.getuid?.() === 0 && uid !== 0) {
  process.setgroups?.([]);
  process.setgid?.(gid);
  process.setuid?.(uid);
}

answerLines({
  async open({ target: wanted }: { target: SessionTarget }): Promise<Opened> {
    target = wanted;
    control = await Session.open(wanted, { database: 'postgres' }).catch(() =>
      Session.open(wanted, { database: 'template1' }),
    );
    const [row] = await control.query('SELECT pg_is_in_recovery() AS recovering');
    return { inRecovery: row.recovering === true };
  },

  /** On a server that follows another one: a restart point. Answers with what is on the disk after it, at least. */
  async checkpoint(): Promise<string> {
    await requireControl().query('CHECKPOINT');
    const [row] = await requireControl().query(
      `SELECT CASE WHEN pg_is_in_recovery() THEN coalesce(pg_last_wal_replay_lsn(), '0/0')
        ELSE pg_current_wal_flush_lsn() END::text AS position`,
    );
    return String(row.position);
  },

  async freeze({ ms }: { ms: number }): Promise<HeldAt> {
    const sql = requireControl();
    const names = await sql.query('SELECT datname FROM pg_database WHERE datallowconn ORDER BY datname');
    if (names.length > DATABASES_MAX)
      throw new Error(`it has ${names.length} databases, ${DATABASES_MAX} at most are held`);
    const sessions = new Map<string, Session>();
    try {
      for (const { datname } of names) {
        const database = String(datname);
        sessions.set(database, await Session.open(must(target), { database, settings: HOLDING }));
      }
      const pids = [];
      for (const session of sessions.values())
        pids.push(Number((await session.query('SELECT pg_backend_pid() AS pid'))[0].pid));
      const limits = await limitsOf(sql);
      const hold = new PostgresHold({
        control: sql,
        databases: sessions,
        pids,
        ...limits,
        clock: systemClock,
      });
      const at = await hold.hold({ ms });
      held = { hold, sessions: [...sessions.values()], at };
      return at;
    } catch (error) {
      await close([...sessions.values()]);
      throw error;
    }
  },

  /** How many bytes of WAL were written while it was held. */
  async thaw(): Promise<number> {
    if (!held) throw new Error('nothing is held');
    try {
      return await held.hold.writtenSince(held.at.position);
    } finally {
      await release();
    }
  },
});

async function release(): Promise<void> {
  const last = held;
  held = undefined;
  await last?.hold.letGo();
  await close(last?.sessions ?? []);
}

async function close(sessions: readonly Session[]): Promise<void> {
  await Promise.allSettled(sessions.map((session) => session.client.end()));
}

function requireControl(): Session {
  if (!control) throw new Error('no session is open');
  return control;
}

async function limitsOf(sql: Sql): Promise<{ deadlockMs: number; locksMax: number }> {
  const [row] = await sql.query(`SELECT
    (SELECT setting::int FROM pg_settings WHERE name = 'deadlock_timeout') AS deadlock_ms,
    current_setting('max_locks_per_transaction')::int
      * (current_setting('max_connections')::int + current_setting('max_prepared_transactions')::int) AS locks`);
  return { deadlockMs: Number(row.deadlock_ms), locksMax: Number(row.locks) };
}
