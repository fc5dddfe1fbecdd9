/** What recovery reads, as we find it in the log, beside what PostgreSQL's own inspection of the log says. */
import assert from 'node:assert/strict';
import * as fs from 'node:fs';
import * as path from 'node:path';
import { test } from 'node:test';
import { systemClock } from '@rokka/kernel';
import { Client } from 'pg';
import { connectionString } from './connection.ts';
import { mountPrivilege } from './namespace.ts';
import { prefetchRedo, type DatabaseFiles } from './redo-prefetch.ts';
import { StandIn, TestDirectory } from './testing/stand-in.ts';

const skip = (process.platform !== 'linux' || mountPrivilege() !== 'root') && 'root on Linux is needed';

/** Files of a directory; what is asked for is kept. */
class LocalFiles implements DatabaseFiles {
  readonly fetched = new Map<string, number[]>();
  readonly #directory: string;

  constructor(directory: string) {
    this.#directory = directory;
  }

  async names(directory: string): Promise<string[]> {
    return fs.readdirSync(path.join(this.#directory, directory));
  }

  async read(file: string, offset: number, into: Buffer): Promise<number | undefined> {
    const at = path.join(this.#directory, file);
    if (!fs.existsSync(at)) return undefined;
    const fd = fs.openSync(at, 'r');
    try {
      return fs.readSync(fd, into, 0, into.length, offset);
    } finally {
      fs.closeSync(fd);
    }
  }

  async fetch(file: string, blocks: readonly number[]): Promise<void> {
    this.fetched.set(file, [...(this.fetched.get(file) ?? []), ...blocks]);
  }
}

const WORK = `
  create extension pg_walinspect;
  create table accounts (id int primary key, balance int, filler text) with (fillfactor = 70);
  insert into accounts select n, 0, repeat('x', 200) from generate_series(1, 20000) n;
  checkpoint;
  update accounts set balance = balance + 1 where id % 7 = 0;
  insert into accounts select n, 0, repeat('y', 3000) from generate_series(20001, 20400) n;
  delete from accounts where id % 11 = 0;
  vacuum accounts;
  alter system set full_page_writes = on;
  alter system set wal_compression = pglz;
  select pg_reload_conf(), pg_sleep(0.5);
  checkpoint;
  update accounts set balance = balance - 1 where id % 5 = 0;
  alter system set full_page_writes = off;
  select pg_switch_wal();
  select pg_reload_conf(), pg_sleep(0.5);
  create index on accounts (balance);
  update accounts set filler = repeat('z', 250) where id % 3 = 0;
`;

/** Blocks without an image since the last checkpoint; of some records only, it does not say which blocks are made anew. */
const NAMED = `
  select distinct reltablespace, reldatabase, relfilenode, relforknumber, relblocknumber,
    bool_or(resource_manager in ('Heap', 'Btree') and record_type in ('HOT_UPDATE', 'DELETE', 'INSERT', 'INSERT_LEAF'))
      as certain
  from pg_get_wal_block_info((select redo_lsn from pg_control_checkpoint()), pg_current_wal_flush_lsn(), false)
  where coalesce(block_fpi_length, 0) = 0 group by 1, 2, 3, 4, 5`;

test('the blocks are those that PostgreSQL names', { skip, timeout: 600_000 }, async () => {
  using directory = new TestDirectory();
  // One that comes after the server was asked would write blocks that it did not name.
  const options = { ...(await directory.options()), settings: { autovacuum: 'off' } };
  await using head = StandIn.start(options);
  await head.next('ready');
  const { port, password, database } = options;
  const target = { host: '127.0.0.1', port, user: 'postgres', password, database };
  const client = new Client({ connectionString: connectionString(target), query_timeout: 180_000 });
  client.on('error', () => {});
  await client.connect();
  for (const statement of WORK.split(';').filter((text) => text.trim() !== '')) await client.query(statement);
  const { rows } = await client.query<Record<string, string> & { certain: boolean }>(NAMED);
  head.tell('kill');
  await head.next('exited');
  await client.end().catch(() => {});

  const files = new LocalFiles(path.join(options.dataDirectory ?? '', 'pgdata'));
  const signal = AbortSignal.timeout(180_000);
  const { blocks, logBytes } = await prefetchRedo(files, {
    major: 18,
    blocksMax: 1e6,
    clock: systemClock,
    signal,
  });
  const found = new Set(
    [...files.fetched].flatMap(([file, numbers]) => numbers.map((block) => `${file}:${block}`)),
  );
  assert.equal(found.size, blocks);
  assert.ok(logBytes > 2 ** 20, `${logBytes} bytes of log`);
  const forks = ['', '_fsm', '_vm'];
  const keyOf = (row: Record<string, string>) => {
    const place = row['reltablespace'] === '1664' ? 'global' : `base/${row['reldatabase']}`;
    return `${place}/${row['relfilenode']}${forks[Number(row['relforknumber'])]}:${row['relblocknumber']}`;
  };
  const named = new Set(rows.map(keyOf));
  const certain = rows.filter((row) => row.certain).map(keyOf);
  assert.ok(certain.length > 500, `${certain.length} blocks`);
  assert.deepEqual(
    certain.filter((key) => !found.has(key)),
    [],
    'none is missed',
  );
  // What the server wrote after it was asked is no more than its own housekeeping.
  const more = [...found].filter((key) => !named.has(key));
  assert.ok(more.length < 20, `not named: ${more.slice(0, 30).join(' ')}`);
});

test('after a clean shutdown there is nothing to fetch', { skip, timeout: 600_000 }, async () => {
  using directory = new TestDirectory();
  const options = await directory.options();
  await using head = StandIn.start(options);
  await head.next('ready');
  head.tell('stop');
  await head.next('exited');
  const files = new LocalFiles(path.join(options.dataDirectory ?? '', 'pgdata'));
  const signal = AbortSignal.timeout(180_000);
  const nothing = { blocks: 0, logBytes: 0 };
  assert.deepEqual(
    await prefetchRedo(files, { major: 18, blocksMax: 1e6, clock: systemClock, signal }),
    nothing,
  );
});
