/**
 * Random histories: operations of two processes at the same time over a slow registry, processes that die, and a controller and
 * keepers in between. Whatever comes out, every refusal is one that a client knows; and when it is quiet, every status has
 * settled, nothing is left over, and there is nothing more to do.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { SeededRandom } from '@rokka/kernel';
import { MemoryRegistry } from '@rokka/registry';
import { Crash, FailingRegistry } from '../testing/failing-registry.ts';
import { CLUSTER, processOver, RdsBench, type RdsProcess } from '../testing/rds-bench.ts';
import { slowRegistry } from '../testing/slow-registry.ts';
import type { ClusterRecord, ClusterSnapshotRecord, InstanceRecord } from './rds-records.ts';

const HISTORIES = Number(process.env['ROKKA_RUNS'] ?? 30);
const timeout = 600_000;

type Act = (process: RdsProcess, names: { c: string; d: string; s: string; t: string }) => Promise<unknown>;

const ACTS: readonly Act[] = [
  ({ call }, { c }) => call('CreateDBCluster', { ...CLUSTER, DBClusterIdentifier: c }),
  ({ call }, { c }) => call('CreateDBCluster', { ...CLUSTER, DBClusterIdentifier: c, Port: 6000 }),
  ({ call }, { c }) =>
    call('CreateDBInstance', {
      DBInstanceIdentifier: `${c}-1`,
      DBClusterIdentifier: c,
      DBInstanceClass: 'db.r8g.large',
      Engine: 'aurora-postgresql',
    }),
  ({ call }, { c, d }) =>
    call('CreateDBInstance', {
      DBInstanceIdentifier: `${d}-2`,
      DBClusterIdentifier: c,
      DBInstanceClass: 'db.t4g.medium',
      Engine: 'aurora-postgresql',
    }),
  ({ call }, { c }) => call('DeleteDBInstance', { DBInstanceIdentifier: `${c}-1` }),
  ({ call }, { c }) => call('DeleteDBInstance', { DBInstanceIdentifier: `${c}-2` }),
  ({ call }, { c }) => call('DeleteDBCluster', { DBClusterIdentifier: c, SkipFinalSnapshot: true }),
  ({ call }, { c, s }) => call('DeleteDBCluster', { DBClusterIdentifier: c, FinalDBSnapshotIdentifier: s }),
  ({ call }, { c }) => call('StopDBCluster', { DBClusterIdentifier: c }),
  ({ call }, { c }) => call('StartDBCluster', { DBClusterIdentifier: c }),
  ({ call }, { c }) => call('FailoverDBCluster', { DBClusterIdentifier: c }),
  ({ call }, { c, d }) =>
    call('FailoverDBCluster', { DBClusterIdentifier: c, TargetDBInstanceIdentifier: `${d}-2` }),
  ({ call }, { c }) => call('RebootDBInstance', { DBInstanceIdentifier: `${c}-1` }),
  ({ call }, { c }) => call('ModifyDBCluster', { DBClusterIdentifier: c, MasterUserPassword: 'third-third' }),
  ({ call }, { c }) =>
    call('ModifyDBInstance', {
      DBInstanceIdentifier: `${c}-1`,
      DBInstanceClass: 'db.r8g.xlarge',
      ApplyImmediately: true,
    }),
  ({ call }, { c, s }) =>
    call('CreateDBClusterSnapshot', { DBClusterIdentifier: c, DBClusterSnapshotIdentifier: s }),
  ({ call }, { s, t }) =>
    call('CopyDBClusterSnapshot', {
      SourceDBClusterSnapshotIdentifier: s,
      TargetDBClusterSnapshotIdentifier: t,
    }),
  ({ call }, { s }) => call('DeleteDBClusterSnapshot', { DBClusterSnapshotIdentifier: s }),
  ({ call }, { c, s }) =>
    call('RestoreDBClusterFromSnapshot', {
      DBClusterIdentifier: c,
      SnapshotIdentifier: s,
      Engine: 'aurora-postgresql',
    }),
  ({ call }, { c, d }) =>
    call('RestoreDBClusterToPointInTime', {
      DBClusterIdentifier: c,
      SourceDBClusterIdentifier: d,
      UseLatestRestorableTime: true,
    }),
];

/** What a client may be told; and the death of a process. */
function isTold(error: unknown): boolean {
  if (error instanceof Crash) return true;
  if (!(error instanceof Error)) return false;
  return '$fault' in error || ['InvalidParameterValue', 'InvalidParameterCombination'].includes(error.name);
}

async function play(seed: number): Promise<void> {
  const random = new SeededRandom(seed);
  const registry = new MemoryRegistry();
  using bench = new RdsBench(registry);
  bench.span = { firstMs: 0, lastMs: bench.clock.wallMs() };
  // Something to begin with: on an empty cluster most operations find nothing.
  await bench.pair('a');
  await bench.call('CreateDBClusterSnapshot', {
    DBClusterIdentifier: 'a',
    DBClusterSnapshotIdentifier: 's-x',
  });
  await bench.turns();
  for (let round = 0; round < 12; round++) {
    const acts = Array.from({ length: 1 + random.below(3) }, async (_, index) => {
      const death = { write: random.below(20), when: random.chance(0.5) ? 'before' : 'after' } as const;
      const own = slowRegistry(new FailingRegistry(registry.another(), death), random);
      const process = processOver(bench.contextOver(own, seed * 100 + round * 10 + index));
      const [c, d, s, t] = [
        random.pick('ab'.split('')),
        random.pick('ab'.split('')),
        random.pick('xy'.split('')),
        random.pick('xy'.split('')),
      ];
      try {
        if (random.chance(0.2)) await process.keeper.step();
        else await random.pick(ACTS)(process, { c, d, s: `s-${s}`, t: `s-${t}` });
      } catch (error) {
        if (!isTold(error)) throw error;
      }
    });
    bench.controller.snapshotsWait = random.chance(0.3);
    await Promise.all([...acts, bench.controller.step()]);
    if (random.chance(0.5)) await bench.turns(1);
  }
  bench.controller.snapshotsWait = false;
  await bench.turns(20);
  await checkQuiet(bench, registry);
}

async function checkQuiet(bench: RdsBench, registry: MemoryRegistry): Promise<void> {
  const settled = await registry.list('');
  await bench.process.keeper.step();
  assert.deepEqual(await registry.list(''), settled, 'there is nothing more to do');
  const records = await registry.list<ClusterRecord & InstanceRecord & ClusterSnapshotRecord>('accounts/');
  const of = (kind: string) =>
    records.filter(({ key }) => key.includes(`/rds/${kind}/`)).map(({ value }) => value);
  const databases = await bench.context.databases.list();
  assert.deepEqual(
    databases.map(({ name }) => name),
    of('clusters')
      .map(({ database }) => database)
      .sort(),
  );
  const needed = of('cluster-snapshots').filter(({ failure }) => failure === undefined);
  assert.deepEqual(
    (await bench.context.snapshots.list()).map(({ name }) => name),
    needed.map(({ kept }) => kept).sort(),
  );
  assert.deepEqual(
    of('clusters')
      .flatMap(({ instance, standby }) => [instance ?? [], standby ?? []].flat())
      .sort(),
    of('instances').map(({ id }) => id),
  );
  for (const { DBClusterIdentifier, Status } of (await bench.call('DescribeDBClusters', {})).DBClusters ?? [])
    assert.ok(Status === 'available' || Status === 'stopped', `${DBClusterIdentifier} is ${Status}`);
  for (const { Status } of (await bench.call('DescribeDBClusterSnapshots', {})).DBClusterSnapshots ?? [])
    assert.ok(Status === 'available' || Status === 'failed');
  const { DBInstances = [] } = await bench.call('DescribeDBInstances', {});
  const available = DBInstances.filter(({ DBInstanceStatus }) => DBInstanceStatus === 'available');
  const writers = available.filter(({ Endpoint }) => Endpoint);
  const running = databases.filter(({ desired }) => desired === 'running');
  assert.equal(running.length, writers.length);
  assert.equal(running.filter(({ standbys }) => standbys).length, available.length - writers.length);
}

test('random histories come to rest', { timeout }, async () => {
  await fc.assert(fc.asyncProperty(fc.integer({ min: 1, max: 1_000_000 }), play), {
    numRuns: HISTORIES,
    seed: Number(process.env['ROKKA_SEED'] ?? 1),
  });
});
