/** PostgreSQL's own look at its files: every B-tree against its table, every table's pages and tuples. */
import assert from 'node:assert/strict';
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
