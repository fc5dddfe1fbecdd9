/**
 * Judges a recovered database: everything that was acknowledged is there, at most one transaction of each writer beyond
 * it, all of it whole, and PostgreSQL's own look at its files finds nothing; then it must be able to go on.
 */
import assert from 'node:assert/strict';
import type { Row, Session } from './cut-engine.ts';
import { EXTRA_ROWS, WORDS } from './cut-workload.ts';

/** @param acknowledged how many transactions of each writer, in their order */
export async function judge(session: Session, acknowledged: readonly number[]): Promise<void> {
  for (const [writer, least] of acknowledged.entries()) await judgeWriter(session, writer, least);
  await judgeBalances(session);
  await judgeDocuments(session);
  await judgeFiles(session);
  await goOn(session);
}

async function judgeWriter(session: Session, writer: number, least: number): Promise<void> {
  const { count, last, rebuilt } = await one<Record<'count' | 'last' | 'rebuilt', number>>(
    session,
    `select count(*)::int as count, coalesce(max(seq), 0)::int as last,
       coalesce(max(seq) filter (where rebuilt), 0)::int as rebuilt from journal where writer = ${writer}`,
  );
  assert.equal(count, last, `writer ${writer}: there are gaps below ${last}`);
  assert.ok(last >= least, `writer ${writer}: ${least} was acknowledged, ${last} is the last one there`);
  assert.ok(last <= least + 1, `writer ${writer}: ${last} is there, only ${least} was acknowledged`);
  const extra = `extra_${writer}`;
  const { made } = await one<{ made: boolean }>(
    session,
    `select to_regclass('${extra}') is not null as made`,
  );
  assert.equal(made, rebuilt !== 0, `${extra} is there with the transaction that made it`);
  if (!made) return;
  const found = await one<Row>(
    session,
    `select count(*)::int as count, min(seq) as low, max(seq) as high, sum(late)::int as late from ${extra}`,
  );
  const wanted = { count: EXTRA_ROWS, low: rebuilt, high: rebuilt, late: EXTRA_ROWS * rebuilt };
  assert.deepEqual({ ...found }, wanted, extra);
}

async function judgeBalances(session: Session): Promise<void> {
  const sums = await one<Row>(
    session,
    `select (select sum(balance) from account)::int as accounts, (select sum(balance) from teller)::int as tellers,
       (select sum(balance) from branch)::int as branches, (select coalesce(sum(delta), 0) from journal)::int as journal`,
  );
  const { journal } = sums;
  assert.deepEqual({ ...sums }, { accounts: journal, tellers: journal, branches: journal, journal });
  const wrong = await session.run(
    `select id from account left join (select account, sum(delta) from journal group by account) as j on id = account
      where balance <> coalesce(sum, 0)`,
  );
  assert.deepEqual(wrong, [], 'each account is what its journal says');
}

/** Long values piece by piece, and the inverted index against the table. */
async function judgeDocuments(session: Session): Promise<void> {
  const wrong = await session.run('select writer, seq from document where md5(body) <> sum');
  assert.deepEqual(wrong, [], 'the bodies of these documents are not what was written');
  const count = (scan: string) =>
    session.run(
      `begin; set local enable_${scan} = off;
       select word, (select count(*)::int from document where words @> array[word]) as count
         from generate_series(0, ${WORDS - 1}) word order by word;`,
    );
  const byIndex = await count('seqscan');
  await session.run('rollback');
  const byTable = await count('bitmapscan');
  await session.run('rollback');
  assert.deepEqual(byIndex, byTable, 'the inverted index finds what is in the table');
}

async function judgeFiles(session: Session): Promise<void> {
  const { btrees } = await one<{ btrees: number }>(
    session,
    `select count(bt_index_check(index => indexrelid, heapallindexed => true))::int as btrees
       from pg_index join pg_class on pg_class.oid = indexrelid join pg_am on pg_am.oid = relam
      where amname = 'btree' and indisvalid and indisready and relpersistence = 'p'`,
  );
  assert.ok(btrees > 100, `all indexes were looked at: ${btrees}`);
  await session.run(`select gin_index_check('document_words')`);
  const damages = await session.run(
    `select relname, damage.* from pg_class, verify_heapam(oid::regclass, check_toast => true) as damage
      where relkind in ('r', 't', 'm') and relpersistence = 'p' limit 10`,
  );
  assert.deepEqual(damages, [], 'verify_heapam finds no damage');
}

async function goOn(session: Session): Promise<void> {
  await session.run('insert into journal values (-1, 1, 1, 0, false)');
  await session.run('checkpoint');
  await session.run('vacuum');
}

async function one<R extends Row>(session: Session, sql: string): Promise<R> {
  const rows = await session.run(sql);
  assert.equal(rows.length, 1, sql);
  return rows[0] as R;
}
