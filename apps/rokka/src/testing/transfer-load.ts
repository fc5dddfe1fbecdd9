/**
 * Clients that move money: each transaction changes an account and writes down by how much, as pgbench's do. Both tables say the same sum, in
 * every state that a server may show.
 */
import type { Client } from 'pg';
import { must, systemRandom } from '@rokka/kernel';
import { ClientLoad } from './client-load.ts';

/** Some megabytes: more than a small cache holds, so that pages are written at other moments than their log. */
const ACCOUNTS = 20_000;
const AMOUNT_MAX = 1_000;

export interface Books {
  readonly transfers: number;
  readonly balances: number;
  readonly amounts: number;
}

export class TransferLoad extends ClientLoad {
  static async start(connect: () => Promise<Client>, clients: number): Promise<TransferLoad> {
    const connected = await ClientLoad.connected(connect, clients);
    await must(connected[0]).query(
      `CREATE TABLE accounts (id int PRIMARY KEY, balance bigint NOT NULL, filler char(84) NOT NULL);
       CREATE TABLE transfers (account int NOT NULL, amount int NOT NULL);
       INSERT INTO accounts SELECT id, 0, '' FROM generate_series(1, ${ACCOUNTS}) AS id`,
    );
    return new TransferLoad(connected, transfer);
  }

  static async books(client: Client): Promise<Books> {
    const { rows } = await client.query<Books>(
      `SELECT count(*)::int AS transfers, coalesce(sum(amount), 0)::float8 AS amounts,
        (SELECT sum(balance) FROM accounts)::float8 AS balances FROM transfers`,
    );
    return must(rows[0]);
  }
}

/** Several questions, so that whoever wants to hold the server meets transactions that are open. */
async function transfer(client: Client): Promise<void> {
  const account = 1 + systemRandom.below(ACCOUNTS);
  const amount = systemRandom.below(2 * AMOUNT_MAX + 1) - AMOUNT_MAX;
  await client.query('BEGIN');
  await client.query('UPDATE accounts SET balance = balance + $1 WHERE id = $2', [amount, account]);
  await client.query('INSERT INTO transfers VALUES ($1, $2)', [account, amount]);
  await client.query('COMMIT');
}
