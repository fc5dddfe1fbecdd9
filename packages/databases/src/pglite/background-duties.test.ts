import assert from 'node:assert/strict';
import { test } from 'node:test';
import { VirtualClock } from '@rokka/kernel';
import type { Row } from './backend-sql.ts';
import { BackgroundDuties } from './background-duties.ts';

class Backend {
  batches = 0;
  idleMs = 0;
  wal = 0;
  table: Row | undefined;
  readonly sql: string[] = [];

  async internal(sql: string): Promise<Row[]> {
    if (sql.includes('pg_current_wal_lsn')) return [[String(this.wal)]];
    if (sql.includes('pg_stat_all_tables')) return this.table ? [this.table] : [];
    this.sql.push(sql);
    if (sql.includes('vacuum')) this.table = undefined;
    return [];
  }
}

async function pass(clock: VirtualClock, ms: number): Promise<void> {
  for (let left = ms; left > 0; left -= 1000) {
    clock.advanceTo(clock.nowMs() + 1000);
    for (let turn = 0; turn < 5; turn++) await new Promise((resolve) => setImmediate(resolve));
  }
}

test('a checkpoint by bytes, by time, and none where nothing was written', async () => {
  const clock = new VirtualClock();
  const backend = new Backend();
  using duties = new BackgroundDuties(backend, {
    clock,
    tickMs: 1000,
    checkpointWalBytes: 100,
    checkpointMs: 60_000,
  });
  void duties;
  backend.batches = 1;
  await pass(clock, 3000);
  assert.deepEqual(backend.sql, []);
  backend.batches = 2;
  backend.wal = 150;
  await pass(clock, 2000);
  assert.deepEqual(backend.sql, ['checkpoint']);
  backend.batches = 3;
  backend.wal = 160;
  await pass(clock, 2000);
  assert.equal(backend.sql.length, 1);
  await pass(clock, 60_000);
  backend.batches = 4;
  await pass(clock, 2000);
  assert.equal(backend.sql.length, 2);
  await pass(clock, 120_000);
  assert.equal(backend.sql.length, 2);
});

test('a table is vacuumed only while nobody works', async () => {
  const clock = new VirtualClock();
  const backend = new Backend();
  using duties = new BackgroundDuties(backend, { clock, tickMs: 1000, vacuumMs: 5000, idleMs: 1000 });
  void duties;
  backend.batches = 1;
  backend.table = ['public', 'odd "name"', 'f', 't', 't'];
  await pass(clock, 10_000);
  assert.deepEqual(backend.sql, []);
  backend.idleMs = 2000;
  await pass(clock, 2000);
  assert.deepEqual(backend.sql, ['vacuum (analyze) "public"."odd ""name"""']);
});
