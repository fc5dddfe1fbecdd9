/** Has a running PostgreSQL take over the superuser's password from the secret file. */
import { Client, escapeIdentifier, escapeLiteral } from 'pg';
import { databaseErrors } from '../errors.ts';

const TIMEOUT_MS = 10_000;
/** ERRCODE_INVALID_PASSWORD */
const INVALID_PASSWORD = '28P01';
/** ERRCODE_CONNECTION_FAILURE, where the client gives no code. */
const CONNECTION_FAILURE = '08006';

/**
 * Where the server has `wanted` already it is left alone, so this may be repeated.
 * @param options.before the one that it has else
 * @throws DATABASE_PASSWORD_UNKNOWN where it has neither, DATABASE_SQL_FAILED where it cannot be asked
 */
export async function applyPassword(options: {
  host: string;
  port: number;
  user: string;
  wanted: string;
  before: string | undefined;
}): Promise<void> {
  const { user, wanted, before, ...at } = options;
  const login = { ...at, user, database: 'postgres' };
  if (await succeeds(login, wanted, [])) return;
  const statements = [
    // The statement has the password in it: no setting of the server's may put it into a log.
    `SET log_statement = 'none'`,
    `SET log_min_duration_statement = -1`,
    `SET log_min_error_statement = 'panic'`,
    `ALTER ROLE ${escapeIdentifier(user)} PASSWORD ${escapeLiteral(wanted)}`,
  ];
  if (before !== undefined && (await succeeds(login, before, statements))) return;
  const why = before === undefined ? 'it takes another one' : 'it takes neither the new nor the last one';
  throw databaseErrors.DATABASE_PASSWORD_UNKNOWN([user, why]);
}

interface Login {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly database: string;
}

/** False where the server does not take the password. */
async function succeeds(login: Login, password: string, statements: readonly string[]): Promise<boolean> {
  const client = new Client({
    ...login,
    password,
    connectionTimeoutMillis: TIMEOUT_MS,
    query_timeout: TIMEOUT_MS,
  });
  // A server that ends meanwhile is found out by the query, or by whoever watches it.
  client.on('error', () => {});
  try {
    await client.connect();
    for (const statement of statements) await client.query(statement);
    return true;
  } catch (error) {
    const { code, message } = error as { code?: string; message: string };
    if (code === INVALID_PASSWORD) return false;
    throw databaseErrors.DATABASE_SQL_FAILED([code ?? CONNECTION_FAILURE, message], { cause: error });
  } finally {
    await client.end().catch(() => {});
  }
}
