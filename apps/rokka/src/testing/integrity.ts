/**
 * PostgreSQL's own look at its files: every B-tree against its table, every table's pages and tuples. Where its amcheck is not
 * to be had, each index is compared with its table by reading both.
 */
import assert from 'node:assert/strict';
import { Client } from 'pg';
import type { RokkaUnderTest } from './rokka-under-test.ts';

/** Numbers of what was looked at, so that a test can see that something was. */
export async function assertIntact(
  rokka: Pick<RokkaUnderTest, 'query'>,
): Promise<{ indexes: number; tables: number }> {
  await rokka.query('create extension if not exists amcheck');
  const [indexes] = await rokka.query<{ count: number }>(
    `select count(bt_index_check(index => indexrelid, heapallindexed => true))::int as count
       from pg_index join pg_class on pg_class.oid = indexrelid join pg_am on pg_am.oid = relam
      where amname = 'btree' and indisvalid and indisready and relpersistence = 'p'`,
  );
  const damages = await rokka.query(
    `select relname, damage.* from pg_class, verify_heapam(oid::regclass, check_toast => true) as damage
      where relkind in ('r', 't', 'm') and relpersistence = 'p'`,
  );
  assert.deepEqual(damages.slice(0, 10), [], 'verify_heapam finds no damage');
  const [tables] = await rokka.query<{ count: number }>(
    `select count(*)::int as count from pg_class where relkind in ('r', 't', 'm') and relpersistence = 'p'`,
  );
  const seen = { indexes: indexes?.count ?? 0, tables: tables?.count ?? 0 };
  assert.ok(seen.indexes > 100 && seen.tables > 50, `it looked at all of them: ${JSON.stringify(seen)}`);
  return seen;
}

/** Reads each table by its rows and by each index, and compares all that is found. `indexes` names their columns by table. */
export async function assertIndexesAgree(
  rokka: RokkaUnderTest,
  indexes: Readonly<Record<string, readonly string[]>>,
): Promise<{ indexes: number; tables: number }> {
  const client = new Client(rokka.connection());
  await client.connect();
  try {
    for (const [table, keys] of Object.entries(indexes)) {
      const byRows = await readWhole(client, {
        table,
        without: ['indexscan', 'indexonlyscan', 'bitmapscan'],
      });
      assert.match(byRows.plan, /Seq Scan/);
      for (const key of keys) {
        const byIndex = await readWhole(client, { table, key, without: ['seqscan', 'bitmapscan'] });
        assert.match(byIndex.plan, /Index Scan/);
        assert.deepEqual(byIndex.rows, byRows.rows, `the index of ${table} on ${key}`);
      }
    }
  } finally {
    await client.end();
  }
  const tables = Object.keys(indexes).length;
  return { indexes: Object.values(indexes).flat().length, tables };
}

async function readWhole(
  client: Client,
  { table, key, without }: { table: string; key?: string; without: readonly string[] },
): Promise<{ plan: string; rows: unknown[] }> {
  // Without seqscan an order by the key goes by its index.
  const where = key === undefined ? '' : `where ${key} is not null order by ${key}`;
  const sql = `select count(*), sum(hash) from (select hashtextextended(t::text, 0) as hash from ${table} as t ${where}) as h`;
  for (const scan of without) await client.query(`set enable_${scan} = off`);
  const plan = JSON.stringify((await client.query(`explain ${sql}`)).rows);
  const { rows } = await client.query<object>(sql);
  await client.query('reset all');
  return { plan, rows };
}
