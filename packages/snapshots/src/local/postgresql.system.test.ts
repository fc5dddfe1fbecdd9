/** A PostgreSQL whose data and log lie on two local file systems: what is cloned starts, with no more to redo than its writer says. */
import assert from 'node:assert/strict';
import * as fs from 'node:fs';
import * as path from 'node:path';
import { test } from 'node:test';
import { must, systemClock } from '@rokka/kernel';
import { coordinate } from '../coordinator.ts';
import { outcomeOf } from '../outcome.ts';
import { straysOn } from '../strays.ts';
import { files } from '../writers/files.ts';
import { postgresql } from '../writers/postgresql.ts';
import { installedPrograms, PostgresServer, REDO_BYTES_MAX } from '../writers/testing/postgres-server.ts';
import { LoopBench, type LoopFileSystem, skipWithoutLoops } from './testing/loop-bench.ts';

const timeout = 600_000;
const signal = () => AbortSignal.timeout(timeout);
const programs = installedPrograms().find((found) => found.skip === false);
const skip = skipWithoutLoops() || (programs ? false : 'there is no PostgreSQL');
const MIB = 2 ** 20;

/** The writer, then the file systems, as the agent has them. */
async function takeSet(bench: LoopBench, of: readonly LoopFileSystem[]) {
  const { provider, set } = must(await bench.listed(of.map(({ mountPoint }) => mountPoint)).open(signal()));
  await using _set = set;
  await using thawing = provider;
  const { volumes } = thawing;
  const servers = await postgresql().discover({ volumes, signal: signal() });
  const kernel = await files.discover({ volumes, signal: signal() });
  await using owned = new AsyncDisposableStack();
  for (const writer of [...servers, ...kernel]) owned.use(writer);
  const course = await coordinate({ tiers: [[...servers], [...kernel]], provider, clock: systemClock });
  const components = course.writers.flatMap((writer) => writer.components);
  const strays = await straysOn({ volumes, components, signal: signal() });
  const outcome = outcomeOf(course, { strays, withoutWriters: false });
  await set.publish(must(outcome.level));
  return outcome;
}

async function inserting(
  client: Awaited<ReturnType<PostgresServer['client']>>,
  progress: { acknowledged: number; isOver: boolean },
): Promise<void> {
  for (; !progress.isOver; progress.acknowledged++)
    await client.query(`INSERT INTO t VALUES ($1, repeat('x', 500))`, [progress.acknowledged + 1]);
}

test('PostgreSQL on two local file systems, under load', { skip, timeout }, async (t) => {
  using bench = new LoopBench(t);
  const { mountPoint: directory } = bench.store();
  const data = bench.make('data', { type: 'ext4', directory, bytes: 256 * MIB });
  const log = bench.make('log', { type: 'ext4', directory, bytes: 256 * MIB });
  const walDirectory = path.join(log.mountPoint, 'wal');
  await using server = await PostgresServer.create({
    programs: must(programs),
    dataDirectory: path.join(data.mountPoint, 'pgdata'),
    walDirectory,
  });
  const client = await server.client();
  await client.query('CREATE TABLE t (n int PRIMARY KEY, pad text)');
  const progress = { acknowledged: 0, isOver: false };
  const load = inserting(client, progress);
  // It is waited for below; where the test fails before, the server goes from under it.
  load.catch(() => {});
  for (; progress.acknowledged < 100;) await systemClock.sleep(10, signal());
  const early = progress.acknowledged;
  const { level, reasons, set } = await takeSet(bench, [data, log]);
  progress.isOver = true;
  await load;
  await client.end();
  await server[Symbol.asyncDispose]();
  assert.deepEqual([level, reasons], ['application', []]);

  const copies = must(set).snapshots.map(({ snapshot }) => snapshot);
  const shown = copies.map((copy, at) => bench.show(copy, `shown${at}`));
  const [shownData, shownLog] = [must(shown[0]), must(shown[1])];
  const dataDirectory = path.join(shownData, 'pgdata');
  fs.rmSync(path.join(dataDirectory, 'pg_wal'));
  fs.symlinkSync(path.join(shownLog, 'wal'), path.join(dataDirectory, 'pg_wal'));
  await using restored = await PostgresServer.open({ programs: must(programs), dataDirectory });
  const looking = await restored.client();
  const { rows } = await looking.query<{ count: string; max: number }>('SELECT count(*), max(n) FROM t');
  await looking.end();
  const { count, max } = must(rows[0]);
  assert.equal(Number(count), max, 'none is missing');
  assert.ok(early <= max && max <= progress.acknowledged, `${early} ≤ ${max} ≤ ${progress.acknowledged}`);
  assert.ok(
    restored.recovery.redoBytes <= REDO_BYTES_MAX,
    `${restored.recovery.redoBytes} bytes were redone`,
  );
});
