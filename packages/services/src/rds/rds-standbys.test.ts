/** A second instance, and failover to it, from call to call, over records that a fake controller carries out. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  DBClusterNotFoundFault,
  DBInstanceNotFoundFault,
  InvalidDBClusterStateFault,
  InvalidDBInstanceStateFault,
} from '@aws-sdk/client-rds';
import { must } from '@rokka/kernel';
import { instanceOf, RdsBench } from '../testing/rds-bench.ts';

const SHOP = { DBClusterIdentifier: 'shop' };
const ONE = { DBInstanceIdentifier: 'shop-1' };
const TWO = { DBInstanceIdentifier: 'shop-2' };

const database = async (bench: RdsBench) => must((await bench.context.databases.list())[0]);
const cluster = async (bench: RdsBench) =>
  must((await bench.call('DescribeDBClusters', SHOP)).DBClusters?.[0]);
const instance = async (bench: RdsBench, which: typeof ONE) =>
  must((await bench.call('DescribeDBInstances', which)).DBInstances?.[0]);

test('a second instance waits, and has no endpoint', async () => {
  using bench = new RdsBench();
  await bench.cluster('shop');
  const made = await bench.call('CreateDBInstance', { ...instanceOf('shop', 'shop-2'), PromotionTier: 4 });
  assert.equal(made.DBInstance?.DBInstanceStatus, 'creating');
  assert.equal(await bench.status('shop'), 'available');
  await bench.turns();
  assert.deepEqual(await bench.members('shop'), ['writer shop-1 available', 'standby shop-2 available']);
  const { generation, standbys, port } = await database(bench);
  assert.deepEqual([generation, standbys], [0, 1], 'who is served notices nothing');
  assert.deepEqual((await instance(bench, ONE)).Endpoint, { Address: '127.0.0.1', Port: port });
  assert.equal((await instance(bench, TWO)).Endpoint, undefined);
  const { Endpoint, ReaderEndpoint, DBClusterMembers } = await cluster(bench);
  assert.deepEqual([Endpoint, ReaderEndpoint], ['127.0.0.1', '127.0.0.1']);
  assert.deepEqual(
    DBClusterMembers?.map(({ IsClusterWriter, PromotionTier }) => [IsClusterWriter, PromotionTier]),
    [
      [true, 1],
      [false, 4],
    ],
  );
  assert.equal((await bench.events()).at(-1), 'shop-2: DB instance created');
});

test('a failover: the other one is the writer, of its own class, and it serves', async () => {
  using bench = new RdsBench();
  await bench.pair('shop');
  await bench.call('ModifyDBInstance', { ...TWO, DBInstanceClass: 'db.r8g.xlarge', PromotionTier: 0 });
  const larger = await instance(bench, TWO);
  assert.deepEqual([larger.DBInstanceClass, larger.PromotionTier], ['db.r8g.xlarge', 0], 'it serves nobody');
  assert.deepEqual([(await database(bench)).cacheMiB, (await database(bench)).generation], [128, 0]);
  const { DBCluster } = await bench.call('FailoverDBCluster', SHOP);
  assert.equal(DBCluster?.Status, 'failing-over');
  assert.deepEqual(await bench.members('shop'), ['writer shop-2 rebooting', 'standby shop-1 starting']);
  await assert.rejects(bench.call('FailoverDBCluster', SHOP), InvalidDBClusterStateFault);
  await assert.rejects(bench.call('StopDBCluster', SHOP), InvalidDBClusterStateFault);
  const seen = new Set<string | undefined>();
  for (let turn = 0; turn < 6; turn++) {
    seen.add(await bench.status('shop'));
    await bench.turns(1);
  }
  assert.deepEqual([...seen], ['failing-over', 'available']);
  assert.deepEqual(await bench.members('shop'), ['writer shop-2 available', 'standby shop-1 available']);
  assert.deepEqual([(await database(bench)).cacheMiB, (await database(bench)).generation], [256, 1]);
  assert.ok((await instance(bench, TWO)).Endpoint);
  assert.equal((await instance(bench, ONE)).Endpoint, undefined);
  assert.deepEqual((await bench.events()).slice(-3), [
    'shop: Started failover to DB instance: shop-2',
    'shop-2: DB instance restarted',
    'shop: Completed failover to DB instance: shop-2',
  ]);
  await bench.call('FailoverDBCluster', { ...SHOP, TargetDBInstanceIdentifier: 'SHOP-1' });
  await bench.turns(8);
  assert.deepEqual(await bench.members('shop'), ['writer shop-1 available', 'standby shop-2 available']);
  assert.deepEqual([(await database(bench)).cacheMiB, (await database(bench)).generation], [128, 2]);
});

test('no failover where nobody could take over', async () => {
  using bench = new RdsBench();
  await bench.cluster('shop');
  const to = (TargetDBInstanceIdentifier?: string) =>
    bench.call('FailoverDBCluster', {
      ...SHOP,
      ...(TargetDBInstanceIdentifier !== undefined && { TargetDBInstanceIdentifier }),
    });
  await assert.rejects(to(), InvalidDBClusterStateFault);
  await bench.call('CreateDBInstance', instanceOf('shop', 'shop-2'));
  await assert.rejects(to(), InvalidDBClusterStateFault);
  await assert.rejects(to('shop-2'), InvalidDBInstanceStateFault);
  await bench.turns();
  await assert.rejects(to('shop-1'), InvalidDBInstanceStateFault);
  await bench.cluster('other');
  for (const name of ['shop-3', 'other-1']) await assert.rejects(to(name), DBInstanceNotFoundFault);
  await assert.rejects(
    bench.call('FailoverDBCluster', { DBClusterIdentifier: 'no' }),
    DBClusterNotFoundFault,
  );
  await bench.call('RebootDBInstance', ONE);
  await assert.rejects(to(), InvalidDBClusterStateFault);
  assert.deepEqual(await bench.members('shop'), ['writer shop-1 rebooting', 'standby shop-2 starting']);
});

test('a standby is rebooted and goes without anybody noticing', async () => {
  using bench = new RdsBench();
  await bench.pair('shop');
  await bench.call('RebootDBInstance', TWO);
  assert.deepEqual(await bench.members('shop'), ['writer shop-1 available', 'standby shop-2 available']);
  const { DBInstance } = await bench.call('DeleteDBInstance', TWO);
  assert.equal(DBInstance?.DBInstanceStatus, 'deleting');
  assert.deepEqual(await bench.members('shop'), ['writer shop-1 available']);
  await assert.rejects(instance(bench, TWO), DBInstanceNotFoundFault);
  assert.deepEqual([(await database(bench)).generation, (await database(bench)).standbys], [0, 0]);
});

test('where the writer goes the standby takes over, and then it goes', async () => {
  using bench = new RdsBench();
  await bench.pair('shop');
  const { DBInstance } = await bench.call('DeleteDBInstance', ONE);
  assert.deepEqual([DBInstance?.DBInstanceStatus, DBInstance?.Endpoint], ['deleting', undefined]);
  assert.equal(await bench.status('shop'), 'failing-over');
  assert.deepEqual(await bench.members('shop'), ['writer shop-2 rebooting', 'standby shop-1 deleting']);
  await bench.turns(8);
  assert.deepEqual(await bench.members('shop'), ['writer shop-2 available']);
  await assert.rejects(instance(bench, ONE), DBInstanceNotFoundFault);
  assert.deepEqual((await bench.events()).slice(-4), [
    'shop: Started failover to DB instance: shop-2',
    'shop-2: DB instance restarted',
    'shop: Completed failover to DB instance: shop-2',
    'shop-1: DB instance deleted',
  ]);
});

test('a stopped cluster keeps both, and needs no failover when its writer goes', async () => {
  using bench = new RdsBench();
  await bench.pair('shop');
  await bench.call('StopDBCluster', SHOP);
  await bench.turns();
  assert.deepEqual(await bench.members('shop'), ['writer shop-1 stopped', 'standby shop-2 stopped']);
  await bench.call('StartDBCluster', SHOP);
  await bench.turns(8);
  assert.deepEqual(await bench.members('shop'), ['writer shop-1 available', 'standby shop-2 available']);
  await bench.call('StopDBCluster', SHOP);
  await bench.turns();
  await bench.call('DeleteDBInstance', ONE);
  assert.deepEqual(await bench.members('shop'), ['writer shop-2 stopped']);
  await bench.call('StartDBCluster', SHOP);
  await bench.turns(8);
  assert.deepEqual(await bench.members('shop'), ['writer shop-2 available']);
  assert.equal((await database(bench)).generation, 2, 'each stop has ended one');
});

test('a cluster does not go with a standby, and goes when both go', async () => {
  using bench = new RdsBench();
  await bench.pair('shop');
  const remove = () => bench.call('DeleteDBCluster', { ...SHOP, SkipFinalSnapshot: true });
  await assert.rejects(remove(), InvalidDBClusterStateFault);
  await bench.call('DeleteDBInstance', ONE);
  await assert.rejects(remove(), InvalidDBClusterStateFault);
  await bench.call('DeleteDBInstance', TWO);
  await remove();
  await bench.turns(10);
  await assert.rejects(bench.status('shop'), DBClusterNotFoundFault);
  assert.deepEqual((await bench.call('DescribeDBInstances', {})).DBInstances, []);
});
