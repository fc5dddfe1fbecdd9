/** SQL that the proxy itself runs on the backend between the clients' turns. */
import { databaseErrors } from '../errors.ts';
import type { EngineLife } from './engine-life.ts';
import { ReplyScanner } from './wire-framer.ts';
import { errorFields, FromBackend, queryMessage, rowValues } from './wire-messages.ts';

export type Row = readonly (string | null)[];

const ROWS_AND_ERRORS: ReadonlySet<number> = new Set([FromBackend.dataRow, FromBackend.error]);

/** The rows of all statements of `sql`, as text. @throws DATABASE_SQL_FAILED, DATABASE_ENGINE_LOST */
export async function runSql(life: EngineLife, sql: string): Promise<Row[]> {
  const rows: Row[] = [];
  let failure: Map<string, string> | undefined;
  const scanner = new ReplyScanner(ROWS_AND_ERRORS, (type, reply) => {
    if (type === FromBackend.dataRow) rows.push(rowValues(reply));
    else failure ??= errorFields(reply);
    return undefined;
  });
  await life.execute(queryMessage(sql), (bytes) => void scanner.push(bytes)).outcome;
  if (failure) {
    const sqlState = failure.get('C') ?? 'XX000';
    const message = Buffer.from(failure.get('M') ?? '', 'latin1').toString('utf8');
    throw databaseErrors.DATABASE_SQL_FAILED([sqlState, message], { detail: { sqlState, message } });
  }
  return rows;
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
