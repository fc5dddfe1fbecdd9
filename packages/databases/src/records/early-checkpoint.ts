/**
 * Has a running PostgreSQL make its next checkpoint now, where much has been logged since the last one. Whoever begins with its files as
 * they are recovers from there: each page that a recovery changes has to be read, and written whole by who has only inherited it, while
 * the server that has it in memory ships a few bytes.
 *
 * Only advice: where the server cannot be asked, recovery takes longer.
 */
import { Client } from 'pg';

/** Log that is redone sooner than a checkpoint is made. */
const LOG_BYTES_MIN = 128 * 1024;
const CONNECT_MS = 2_000;
/** Of a checkpoint, which goes on in the server where nobody waits for it any more. */
const CHECKPOINT_MS = 10_000;
const LOG_SINCE =
  'select (pg_current_wal_insert_lsn() - redo_lsn)::float8 as bytes from pg_control_checkpoint()';

export interface ServerLogin {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly password: string | undefined;
}

/** Answers whether there was a checkpoint. Never throws. */
export async function makeCheckpointEarly(login: ServerLogin): Promise<boolean> {
  const client = new Client({
    ...login,
    database: 'postgres',
    connectionTimeoutMillis: CONNECT_MS,
    query_timeout: CHECKPOINT_MS,
  });
  // A server that ends meanwhile is found out by the query, or by whoever watches it.
  client.on('error', () => {});
  try {
    await client.connect();
    const { rows } = await client.query<{ bytes: number }>(LOG_SINCE);
    if ((rows[0]?.bytes ?? 0) < LOG_BYTES_MIN) return false;
    await client.query('checkpoint');
    return true;
  } catch {
    // It is busy, ends, or has another password than ours.
    return false;
  } finally {
    await client.end().catch(() => {});
  }
}
