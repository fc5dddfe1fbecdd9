/** SQL that the proxy itself runs on the backend between the clients' turns. */
import { databaseErrors } from '../errors.ts';
import type { EngineLife } from './engine-life.ts';
import { ReplyScanner } from './wire-framer.ts';
import {
  errorFields,
  FromBackend,
  FromClient,
  message,
  queryMessage,
  rowValues,
  SYNC_MESSAGE,
  zeroTerminated,
} from './wire-messages.ts';

export type Row = readonly (string | null)[];

const ROWS_AND_ERRORS: ReadonlySet<number> = new Set([FromBackend.dataRow, FromBackend.error]);

/**
 * The rows of all statements of `sql`, as text. Drops the backend's unnamed statement: BackendState knows of it.
 * @throws DATABASE_SQL_FAILED, DATABASE_ENGINE_LOST
 */
export function runSql(life: EngineLife, sql: string): Promise<Row[]> {
  return run(life, queryMessage(sql));
}

/** As `runSql`, for one statement, and leaves the unnamed one. */
export function runStatement(life: EngineLife, sql: string): Promise<Row[]> {
  const name = zeroTerminated('rokka');
  const unnamed = zeroTerminated('');
  const messages = [
    message(FromClient.parse, name, zeroTerminated(sql), Buffer.alloc(2)),
    message(FromClient.bind, unnamed, name, Buffer.alloc(6)),
    message(FromClient.execute, unnamed, Buffer.alloc(4)),
    message(FromClient.close, Buffer.from('S'), name),
    SYNC_MESSAGE,
  ];
  return run(life, Buffer.concat(messages));
}

/** A value as an SQL string constant. */
export function sqlString(value: string): string {
  const doubled = value.replaceAll("'", "''");
  return doubled.includes('\\') ? ` E'${doubled.replaceAll('\\', '\\\\')}'` : `'${doubled}'`;
}

/** A name as SQL wants it. */
export function sqlName(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

async function run(life: EngineLife, batch: Buffer): Promise<Row[]> {
  const rows: Row[] = [];
  let failure: Map<string, string> | undefined;
  const scanner = new ReplyScanner(ROWS_AND_ERRORS, (type, reply) => {
    if (type === FromBackend.dataRow) rows.push(rowValues(reply));
    else failure ??= errorFields(reply);
    return undefined;
  });
  await life.execute(batch, (bytes) => void scanner.push(bytes)).outcome;
  if (failure) {
    const sqlState = failure.get('C') ?? 'XX000';
    const text = Buffer.from(failure.get('M') ?? '', 'latin1').toString('utf8');
    throw databaseErrors.DATABASE_SQL_FAILED([sqlState, text], { detail: { sqlState, message: text } });
  }
  return rows;
}
