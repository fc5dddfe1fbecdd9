/** Each operation cut short at each of its writes: see testing/cut-short.ts. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { must } from '@rokka/kernel';
import { MemoryRegistry } from '@rokka/registry';
import { cutShort as cutShortOf, type Scenario } from '../testing/cut-short.ts';
import { atEveryCrash, Crash, FailingRegistry } from '../testing/failing-registry.ts';
import { CLUSTER, instanceOf, processOver, RdsBench, type RdsProcess } from '../testing/rds-bench.ts';
import { ACCOUNT, REGION } from '../testing/service-bench.ts';
import {
  type ClusterRecord,
  type ClusterSnapshotRecord,
  type InstanceRecord,
  recordKeys,
} from './rds-records.ts';

/** @returns at how many points it was cut short */
const cutShort = (scenario: Scenario<RdsBench, RdsProcess>) =>
  cutShortOf(
    {
      open: (registry) => new RdsBench(registry),
      processOver: (bench, registry) => processOver(bench.contextOver(registry, 99)),
      checkTruth,
      checkNothingLeft,
    },
    scenario,
  );

/** Whatever is shown as available can be had. */
async function checkTruth(bench: RdsBench): Promise<void> {
  const states = await bench.context.databases.states();
  const serving = [...states.values()].filter(({ phase }) => phase === 'available');
  const { DBInstances = [] } = await bench.call('DescribeDBInstances', {});
  const available = DBInstances.filter(({ DBInstanceStatus }) => DBInstanceStatus === 'available');
  const writers = available.filter(({ Endpoint }) => Endpoint);
  const waiting = serving.filter(({ standbys = 0 }) => standbys > 0);
  assert.ok(writers.length <= serving.length);
  assert.ok(available.length - writers.length <= waiting.length);
  const { DBClusters = [] } = await bench.call('DescribeDBClusters', {});
  const databases = await bench.context.databases.list();
  for (const { Status } of DBClusters) if (Status === 'available') assert.ok(databases.length > 0);
}

/** Each database is a cluster's, each kept point a snapshot's, each instance is its cluster's; and no wish is left. */
async function checkNothingLeft(bench: RdsBench): Promise<void> {
  const records = await bench.registry.list<ClusterRecord & InstanceRecord & ClusterSnapshotRecord>(
    'accounts/',
  );
  const of = (kind: string) =>
    records.filter(({ key }) => key.includes(`/rds/${kind}/`)).map(({ value }) => value);
  const clusters = of('clusters');
  assert.deepEqual(
    (await bench.context.databases.list()).map(({ name }) => name),
    clusters.map(({ database }) => database).sort(),
  );
  assert.deepEqual(
    (await bench.context.snapshots.list()).map(({ name }) => name),
    of('cluster-snapshots')
      .map(({ kept }) => kept)
      .sort(),
  );
  assert.deepEqual(
    clusters.flatMap(({ instance, standby }) => [instance ?? [], standby ?? []].flat()).sort(),
    of('instances').map(({ id }) => id),
  );
  for (const { wish } of clusters) assert.equal(wish, undefined);
}

const SHOP = { DBClusterIdentifier: 'shop' };
const withShop = (bench: RdsBench) => bench.cluster('shop');
const withPair = (bench: RdsBench) => bench.pair('shop');
const withSnapshot = async (bench: RdsBench) => {
  await bench.cluster('shop');
  await bench.call('CreateDBClusterSnapshot', { ...SHOP, DBClusterSnapshotIdentifier: 'one' });
  await bench.turns();
};
const withoutInstance = async (bench: RdsBench) => {
  await bench.cluster('shop');
  await bench.call('DeleteDBInstance', { DBInstanceIdentifier: 'shop-1' });
  await bench.turns();
};

test('CreateDBCluster', async () => {
  const crashes = await cutShort({
    operation: ({ call }) => call('CreateDBCluster', { ...CLUSTER, ...SHOP }),
    again: /^DBClusterAlreadyExistsFault$/,
    async after(bench) {
      assert.equal(await bench.status('shop'), 'available');
      const [{ name }] = await bench.context.databases.list();
      assert.equal(await bench.secrets.read(name), CLUSTER.MasterUserPassword);
    },
  });
  // The scope, the cluster, its port, its database, the wish, the event; each before and after.
  assert.equal(crashes, 12);
});

test('CreateDBInstance', async () => {
  const crashes = await cutShort({
    before: async (bench) => {
      await bench.call('CreateDBCluster', { ...CLUSTER, ...SHOP });
      await bench.turns();
    },
    operation: ({ call }) => call('CreateDBInstance', instanceOf('shop', 'shop-1')),
    again: /^DBInstanceAlreadyExistsFault$/,
    after: async (bench) => assert.equal(await bench.instanceStatus('shop-1'), 'available'),
  });
  assert.equal(crashes, 8);
});

test('ModifyDBCluster', async () => {
  const crashes = await cutShort({
    before: withShop,
    operation: ({ call }) =>
      call('ModifyDBCluster', {
        ...SHOP,
        Port: 7000,
        BackupRetentionPeriod: 5,
        MasterUserPassword: 'third-third',
      }),
    // While it is started again for its port.
    again: /^InvalidDBClusterStateFault$/,
    async after(bench) {
      const [database] = await bench.context.databases.list();
      assert.deepEqual([database.port, database.retentionDays], [7000, 5]);
      assert.equal(await bench.secrets.read(database.name), 'third-third');
      assert.equal(await bench.status('shop'), 'available');
    },
  });
  assert.equal(crashes, 12);
});

test('ModifyDBInstance', async () => {
  const crashes = await cutShort({
    before: withShop,
    operation: ({ call }) =>
      call('ModifyDBInstance', {
        DBInstanceIdentifier: 'shop-1',
        DBInstanceClass: 'db.r8g.xlarge',
        ApplyImmediately: true,
      }),
    async after(bench) {
      const [database] = await bench.context.databases.list();
      assert.deepEqual([database.cacheMiB, database.generation], [256, 1]);
      assert.equal(await bench.instanceStatus('shop-1'), 'available');
    },
  });
  assert.equal(crashes, 4);
});

test('StopDBCluster and StartDBCluster', async () => {
  const stops = await cutShort({
    before: withShop,
    operation: ({ call }) => call('StopDBCluster', SHOP),
    again: /^InvalidDBClusterStateFault$/,
    after: async (bench) => assert.equal(await bench.status('shop'), 'stopped'),
  });
  const starts = await cutShort({
    before: async (bench) => {
      await withShop(bench);
      await bench.call('StopDBCluster', SHOP);
      await bench.turns();
    },
    operation: ({ call }) => call('StartDBCluster', SHOP),
    again: /^InvalidDBClusterStateFault$/,
    after: async (bench) => assert.equal(await bench.status('shop'), 'available'),
  });
  assert.deepEqual([stops, starts], [4, 4]);
});

test('DeleteDBInstance', async () => {
  const crashes = await cutShort({
    before: withShop,
    operation: ({ call }) => call('DeleteDBInstance', { DBInstanceIdentifier: 'shop-1' }),
    again: /^DBInstanceNotFoundFault$/,
    after: (bench) => assert.rejects(bench.instanceStatus('shop-1'), { name: 'DBInstanceNotFoundFault' }),
  });
  assert.equal(crashes, 4);
});

test('CreateDBInstance and DeleteDBInstance of a standby', async () => {
  const made = await cutShort({
    before: withShop,
    operation: ({ call }) => call('CreateDBInstance', instanceOf('shop', 'shop-2')),
    again: /^DBInstanceAlreadyExistsFault$/,
    after: async (bench) =>
      assert.deepEqual(await bench.members('shop'), ['writer shop-1 available', 'standby shop-2 available']),
  });
  const removed = await cutShort({
    before: withPair,
    operation: ({ call }) => call('DeleteDBInstance', { DBInstanceIdentifier: 'shop-2' }),
    again: /^DBInstanceNotFoundFault$/,
    after: async (bench) => assert.deepEqual(await bench.members('shop'), ['writer shop-1 available']),
  });
  // The instance, the cluster, the wish for a process; the deletion, the cluster, the record, its event, the wish.
  assert.deepEqual([made, removed], [6, 10]);
});

test('FailoverDBCluster: whenever it is cut short, who is the writer then stays so', async () => {
  const crashes = await cutShort({
    before: withPair,
    operation: ({ call }) => call('FailoverDBCluster', { ...SHOP, TargetDBInstanceIdentifier: 'shop-2' }),
    // It is the writer by then.
    again: /^InvalidDBInstanceStateFault$/,
    after: async (bench) => {
      assert.deepEqual(await bench.members('shop'), ['writer shop-2 available', 'standby shop-1 available']);
      assert.equal(await bench.status('shop'), 'available');
      const [{ generation }] = await bench.context.databases.list();
      assert.equal(generation, 1, 'it was started again once');
    },
  });
  // Who is the writer, which generation serves it, the event, the database.
  assert.equal(crashes, 8);
});

test('DeleteDBInstance of the writer of two', async () => {
  const crashes = await cutShort({
    before: withPair,
    operation: ({ call }) => call('DeleteDBInstance', { DBInstanceIdentifier: 'shop-1' }),
    again: /^DBInstanceNotFoundFault$/,
    after: async (bench) => assert.deepEqual(await bench.members('shop'), ['writer shop-2 available']),
  });
  assert.equal(crashes, 12);
});

test('DeleteDBCluster, without and with a final snapshot', async () => {
  const gone = (bench: RdsBench) => assert.rejects(bench.status('shop'), { name: 'DBClusterNotFoundFault' });
  const plain = await cutShort({
    before: withoutInstance,
    operation: ({ call }) => call('DeleteDBCluster', { ...SHOP, SkipFinalSnapshot: true }),
    again: /^DBClusterNotFoundFault$/,
    after: gone,
  });
  const final = await cutShort({
    before: withoutInstance,
    operation: ({ call }) => call('DeleteDBCluster', { ...SHOP, FinalDBSnapshotIdentifier: 'last' }),
    again: /^(DBClusterNotFoundFault|DBClusterSnapshotAlreadyExistsFault)$/,
    async after(bench) {
      await gone(bench);
      assert.equal(await bench.snapshotStatus('last'), 'available');
    },
  });
  assert.deepEqual([plain, final], [6, 6]);
});

test('CreateDBClusterSnapshot, CopyDBClusterSnapshot and DeleteDBClusterSnapshot', async () => {
  const made = await cutShort({
    before: withShop,
    operation: ({ call }) => call('CreateDBClusterSnapshot', { ...SHOP, DBClusterSnapshotIdentifier: 'one' }),
    again: /^DBClusterSnapshotAlreadyExistsFault$/,
    after: async (bench) => assert.equal(await bench.snapshotStatus('one'), 'available'),
  });
  const copied = await cutShort({
    before: withSnapshot,
    operation: ({ call }) =>
      call('CopyDBClusterSnapshot', {
        SourceDBClusterSnapshotIdentifier: 'one',
        TargetDBClusterSnapshotIdentifier: 'two',
      }),
    again: /^DBClusterSnapshotAlreadyExistsFault$/,
    after: async (bench) => assert.equal(await bench.snapshotStatus('two'), 'available'),
  });
  const removed = await cutShort({
    before: withSnapshot,
    operation: ({ call }) => call('DeleteDBClusterSnapshot', { DBClusterSnapshotIdentifier: 'one' }),
    again: /^DBClusterSnapshotNotFoundFault$/,
    after: (bench) => assert.rejects(bench.snapshotStatus('one'), { name: 'DBClusterSnapshotNotFoundFault' }),
  });
  assert.deepEqual([made, copied, removed], [6, 8, 6]);
});

test('RestoreDBClusterFromSnapshot and RestoreDBClusterToPointInTime', async () => {
  const restored = async (bench: RdsBench) => {
    assert.equal(await bench.status('again'), 'available');
    const made = (await bench.context.databases.list()).filter(({ source }) => source);
    assert.deepEqual(await Promise.all(made.map(({ name }) => bench.secrets.read(name))), [
      CLUSTER.MasterUserPassword,
    ]);
  };
  const again = /^DBClusterAlreadyExistsFault$/;
  const fromSnapshot = await cutShort({
    before: withSnapshot,
    operation: ({ call }) =>
      call('RestoreDBClusterFromSnapshot', {
        DBClusterIdentifier: 'again',
        SnapshotIdentifier: 'one',
        Engine: 'aurora-postgresql',
      }),
    again,
    after: restored,
  });
  const toTime = await cutShort({
    before: async (bench) => {
      await withShop(bench);
      bench.span = { firstMs: 0, lastMs: bench.clock.wallMs() };
    },
    operation: ({ call }) =>
      call('RestoreDBClusterToPointInTime', {
        DBClusterIdentifier: 'again',
        SourceDBClusterIdentifier: 'shop',
        UseLatestRestorableTime: true,
      }),
    again,
    after: restored,
  });
  assert.deepEqual([fromSnapshot, toTime], [10, 10]);
});

/** @returns at how many of its writes the keeper was cut short; it goes on with what `before` has begun, and another one ends it */
const keeperCutShort = (of: {
  before(bench: RdsBench): Promise<unknown>;
  after(bench: RdsBench): Promise<unknown>;
}) =>
  atEveryCrash(async (at) => {
    const registry = new MemoryRegistry();
    using bench = new RdsBench(registry);
    await of.before(bench);
    const failing = new FailingRegistry(registry.another(), at);
    const { keeper } = processOver(bench.contextOver(failing, 99));
    for (let turn = 0; turn < 8 && !failing.crashed; turn++) {
      await bench.controller.step();
      await keeper.step().catch((error: unknown) => assert.ok(error instanceof Crash, String(error)));
    }
    await checkTruth(bench);
    await bench.turns(8);
    await of.after(bench);
    await checkNothingLeft(bench);
    return failing.crashed;
  });

test('the keeper itself, cut short at each of its writes', async () => {
  const crashes = await keeperCutShort({
    async before(bench) {
      await bench.cluster('shop');
      await bench.call('DeleteDBInstance', { DBInstanceIdentifier: 'shop-1' });
      await bench.call('DeleteDBCluster', { ...SHOP, FinalDBSnapshotIdentifier: 'last' });
    },
    async after(bench) {
      await assert.rejects(bench.status('shop'), { name: 'DBClusterNotFoundFault' });
      assert.equal(await bench.snapshotStatus('last'), 'available');
    },
  });
  assert.ok(crashes >= 14, String(crashes));
});

test('and while it fails over from a writer that goes', async () => {
  const crashes = await keeperCutShort({
    async before(bench) {
      await bench.pair('shop');
      const key = recordKeys.instance({ account: ACCOUNT, region: REGION }, 'shop-1');
      const found = must(await bench.registry.get<InstanceRecord>(key));
      await bench.registry.put(key, { ...found.value, deleting: { sinceMs: 1 } }, found.revision);
    },
    after: async (bench) => assert.deepEqual(await bench.members('shop'), ['writer shop-2 available']),
  });
  // Five of the failover, with its events; that of the writer's restart; five of the one that goes.
  assert.ok(crashes >= 20, String(crashes));
});

test('a handler that wakes up when everything is over leaves nothing', async () => {
  const registry = new MemoryRegistry();
  using bench = new RdsBench(registry);
  // It has written the cluster, and sleeps before the database is made.
  const sleepy = registry.another();
  const put = sleepy.put.bind(sleepy);
  sleepy.put = async (key, value, revision) => {
    if (key.startsWith('databases/')) {
      await bench.turns();
      await bench.call('DeleteDBCluster', { ...SHOP, SkipFinalSnapshot: true });
      await bench.turns(8);
      await assert.rejects(bench.status('shop'), { name: 'DBClusterNotFoundFault' });
    }
    return put(key, value, revision);
  };
  const slow = processOver(bench.contextOver(sleepy, 99));
  await assert.rejects(slow.call('CreateDBCluster', { ...CLUSTER, ...SHOP }), {
    name: 'DBClusterNotFoundFault',
  });
  assert.equal((await bench.context.databases.list()).length, 1);
  await bench.turns(4);
  assert.deepEqual(await bench.context.databases.list(), []);
});
