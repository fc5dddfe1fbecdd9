/** The superuser of a cluster under test, as a client has it. */
import * as fs from 'node:fs';
import { Client, type ClientConfig } from 'pg';
import { dataPaths } from '../data-directory.ts';

/** `at`: a host or the directory of the server's unix socket. */
export function superuserConnection(data: string, at: { host: string; port: number }): ClientConfig {
  return {
    ...at,
    user: 'postgres',
    database: 'postgres',
    password: fs.readFileSync(dataPaths.password(data), 'utf8').trim(),
    connectionTimeoutMillis: 60_000,
  };
}

/** On a connection of its own. */
export async function queryOnce<Row extends object>(
  connection: ClientConfig,
  sql: string,
  values: unknown[],
): Promise<Row[]> {
  const client = new Client(connection);
  client.on('error', () => {});
  await client.connect();
  try {
    return (await client.query<Row>(sql, values)).rows;
  } finally {
    await client.end();
  }
}
