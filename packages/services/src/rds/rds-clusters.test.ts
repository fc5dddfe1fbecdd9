/** Clusters and their instances, from call to call, over records that a fake controller carries out. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  DBClusterAlreadyExistsFault,
  DBClusterNotFoundFault,
  DBClusterParameterGroupNotFoundFault,
  DBInstanceAlreadyExistsFault,
  DBInstanceNotFoundFault,
  DBSubnetGroupNotFoundFault,
  InstanceQuotaExceededFault,
  InvalidDBClusterStateFault,
  InvalidDBInstanceStateFault,
} from '@aws-sdk/client-rds';
import { MemoryRegistry } from '@rokka/registry';
import { CLUSTER, RdsBench } from '../testing/rds-bench.ts';

const INSTANCE = {
  DBInstanceIdentifier: 'shop-1',
  DBClusterIdentifier: 'shop',
  DBInstanceClass: 'db.r8g.large',
  Engine: 'aurora-postgresql',
};

test('a cluster without an instance is available and serves nobody; with one it runs', async () => {
  using bench = new RdsBench();
  const made = await bench.call('CreateDBCluster', {
    ...CLUSTER,
    DBClusterIdentifier: 'Shop',
    DatabaseName: 'orders',
    BackupRetentionPeriod: 7,
    Tags: [{ Key: 'team', Value: 'a' }],
  });
  const cluster = made.DBCluster;
  assert.equal(cluster?.Status, 'creating');
  assert.equal(cluster.DBClusterIdentifier, 'shop');
  assert.equal(cluster.DBClusterArn, 'arn:aws:rds:eu-north-1:123456789012:cluster:shop');
  assert.match(cluster.DbClusterResourceId ?? '', /^cluster-[A-Z2-7]{26}$/);
  assert.deepEqual(cluster.TagList, [{ Key: 'team', Value: 'a' }]);
  assert.deepEqual(
    [cluster.Endpoint, cluster.AllocatedStorage, cluster.StorageEncrypted],
    [undefined, 1, false],
  );
  const [database] = await bench.context.databases.list();
  assert.match(database.name, /^c-[0-9a-f]{16}$/);
  assert.deepEqual(
    [database.desired, database.databaseName, database.userName, database.retentionDays],
    ['stopped', 'orders', 'shop', 7],
  );
  assert.equal(await bench.secrets.read(database.name), 'secret-secret');
  await bench.turns();
  assert.equal(await bench.status('shop'), 'available');
  assert.equal((await bench.context.databases.get(database.name)).desired, 'stopped');

  const { DBInstance } = await bench.call('CreateDBInstance', INSTANCE);
  assert.deepEqual([DBInstance?.DBInstanceStatus, DBInstance?.Endpoint], ['creating', undefined]);
  assert.equal(await bench.status('shop'), 'available');
  await bench.turns();
  const found = await bench.call('DescribeDBInstances', { DBInstanceIdentifier: 'SHOP-1' });
  assert.equal(found.DBInstances?.[0].DBInstanceStatus, 'available');
  assert.deepEqual(found.DBInstances[0].Endpoint, { Address: '127.0.0.1', Port: database.port });
  const after = await bench.call('DescribeDBClusters', { DBClusterIdentifier: cluster.DBClusterArn });
  assert.deepEqual(
    [after.DBClusters?.[0].Endpoint, after.DBClusters?.[0].Port],
    ['127.0.0.1', database.port],
  );
  assert.deepEqual(
    after.DBClusters?.[0].DBClusterMembers?.map(({ DBInstanceIdentifier }) => DBInstanceIdentifier),
    ['shop-1'],
  );
  assert.deepEqual(await bench.events(), ['shop: DB cluster created', 'shop-1: DB instance created']);
});

test('the password is in the record of the cluster only until its database is made', async () => {
  using bench = new RdsBench();
  await bench.cluster('shop');
  const all = JSON.stringify(await bench.registry.list(''));
  assert.ok(!all.includes('secret-secret'));
});

test('names are taken once, also by two at the same time, and nothing of the loser stays', async () => {
  using bench = new RdsBench();
  const make = (seed: string) =>
    bench.call('CreateDBCluster', { ...CLUSTER, DBClusterIdentifier: 'shop', MasterUserPassword: seed });
  const outcomes = await Promise.allSettled([
    make('first-first'),
    make('second-second'),
    make('third-third'),
  ]);
  const lost = outcomes.filter((outcome) => outcome.status === 'rejected');
  assert.equal(lost.length, 2);
  for (const { reason } of lost) assert.ok(reason instanceof DBClusterAlreadyExistsFault);
  await bench.turns();
  assert.equal((await bench.context.databases.list()).length, 1);
  await bench.call('CreateDBInstance', INSTANCE);
  await assert.rejects(bench.call('CreateDBInstance', INSTANCE), DBInstanceAlreadyExistsFault);
});

test('a third instance is refused, also of three at the same time', async () => {
  using bench = new RdsBench();
  await bench.call('CreateDBCluster', { ...CLUSTER, DBClusterIdentifier: 'shop' });
  const make = (DBInstanceIdentifier: string) =>
    bench.call('CreateDBInstance', { ...INSTANCE, DBInstanceIdentifier });
  const outcomes = await Promise.allSettled(['one', 'two', 'three'].map(make));
  const lost = outcomes.filter((outcome) => outcome.status === 'rejected');
  assert.equal(lost.length, 1);
  for (const { reason } of lost) assert.ok(reason instanceof InstanceQuotaExceededFault, String(reason));
  await bench.turns();
  assert.equal((await bench.call('DescribeDBInstances', {})).DBInstances?.length, 2);
  await assert.rejects(make('four'), (error: Error) => {
    assert.ok(error instanceof InstanceQuotaExceededFault);
    assert.match(error.message, /a cluster here has two at most: its writer and a standby/);
    return true;
  });
});

test('what cannot be had is refused, and leaves nothing', async () => {
  using bench = new RdsBench();
  const make = (part: object) =>
    bench.call('CreateDBCluster', { ...CLUSTER, DBClusterIdentifier: 'shop', ...part });
  const value = { code: 'InvalidParameterValue' };
  const combination = { code: 'InvalidParameterCombination' };
  for (const DBClusterIdentifier of ['', '1a', 'a-', 'a--b', 'a_b', 'ä', 'a'.repeat(64), 'a/b'])
    await assert.rejects(make({ DBClusterIdentifier }), value, DBClusterIdentifier);
  for (const MasterUserPassword of [undefined, 'short', 'with space', 'with@at', 'with/slash', 'ünicode-x'])
    await assert.rejects(make({ MasterUserPassword }), value);
  for (const MasterUsername of [undefined, '', 'pg_x', '1a', 'a b', 'rdsadmin'])
    await assert.rejects(make({ MasterUsername }), value);
  for (const part of [
    { Engine: 'mysql' },
    { BackupRetentionPeriod: 0 },
    { BackupRetentionPeriod: 36 },
    { BackupRetentionPeriod: 1.5 },
    { Port: 80 },
    { DatabaseName: 'postgres' },
    { PreferredBackupWindow: '04:00-04:10' },
    { PreferredMaintenanceWindow: 'sun:04:00' },
    { Tags: [{ Key: 'aws:x', Value: '' }] },
  ])
    await assert.rejects(make(part), value, JSON.stringify(part));
  for (const part of [
    { EngineVersion: '16.1' },
    { StorageEncrypted: true },
    { KmsKeyId: 'k' },
    { ManageMasterUserPassword: true },
    { EnableIAMDatabaseAuthentication: true },
    { VpcSecurityGroupIds: ['sg-1'] },
    { EngineMode: 'serverless' },
    { GlobalClusterIdentifier: 'g' },
  ])
    await assert.rejects(make(part), combination, JSON.stringify(part));
  await assert.rejects(make({ DBSubnetGroupName: 'x' }), DBSubnetGroupNotFoundFault);
  await assert.rejects(make({ DBClusterParameterGroupName: 'x' }), DBClusterParameterGroupNotFoundFault);
  await assert.rejects(
    bench.call('CreateDBCluster', { ...CLUSTER, DBClusterIdentifier: 'a' }, { region: 'a b' }),
    value,
  );
  assert.deepEqual(await bench.registry.list(''), []);

  await make({ DBClusterIdentifier: 'other', Port: 6000 });
  await assert.rejects(make({ Port: 6000 }), value);
  await assert.rejects(bench.status('shop'), DBClusterNotFoundFault);
  await make({ StorageEncrypted: false, EngineVersion: '18', EngineMode: 'provisioned' });
  await assert.rejects(
    bench.call('CreateDBInstance', { ...INSTANCE, DBClusterIdentifier: undefined }),
    combination,
  );
  await assert.rejects(bench.call('CreateDBInstance', { ...INSTANCE, DBInstanceClass: 'large' }), value);
  await assert.rejects(
    bench.call('CreateDBInstance', { ...INSTANCE, BackupRetentionPeriod: 3 }),
    combination,
  );
  await assert.rejects(
    bench.call('CreateDBInstance', { ...INSTANCE, DBClusterIdentifier: 'none' }),
    DBClusterNotFoundFault,
  );
});

test('stopped and started again', async () => {
  using bench = new RdsBench();
  await bench.cluster('shop');
  const name = { DBClusterIdentifier: 'shop' };
  await assert.rejects(bench.call('StartDBCluster', name), InvalidDBClusterStateFault);
  assert.equal((await bench.call('StopDBCluster', name)).DBCluster?.Status, 'stopping');
  assert.equal(await bench.instanceStatus('shop-1'), 'stopping');
  await bench.turns();
  assert.deepEqual(
    [await bench.status('shop'), await bench.instanceStatus('shop-1')],
    ['stopped', 'stopped'],
  );
  await assert.rejects(bench.call('StopDBCluster', name), InvalidDBClusterStateFault);
  await assert.rejects(
    bench.call('RebootDBInstance', { DBInstanceIdentifier: 'shop-1' }),
    InvalidDBInstanceStateFault,
  );
  const { DBCluster } = await bench.call('StartDBCluster', name);
  assert.deepEqual([DBCluster?.Status, DBCluster?.Endpoint], ['starting', undefined]);
  assert.equal(await bench.instanceStatus('shop-1'), 'starting');
  await bench.turns();
  assert.equal(await bench.status('shop'), 'available');
  assert.deepEqual((await bench.events()).slice(-3), [
    'shop: DB cluster stopped',
    'shop-1: DB instance restarted',
    'shop: DB cluster started',
  ]);
  await bench.call('CreateDBCluster', { ...CLUSTER, DBClusterIdentifier: 'bare' });
  await bench.turns();
  await assert.rejects(
    bench.call('StopDBCluster', { DBClusterIdentifier: 'bare' }),
    InvalidDBClusterStateFault,
  );
});

test('rebooted', async () => {
  using bench = new RdsBench();
  await bench.cluster('shop');
  const rebooted = await bench.call('RebootDBInstance', { DBInstanceIdentifier: 'shop-1' });
  assert.equal(rebooted.DBInstance?.DBInstanceStatus, 'rebooting');
  const seen = new Set<string | undefined>();
  for (let turn = 0; turn < 4; turn++) {
    seen.add(await bench.instanceStatus('shop-1'));
    await bench.turns(1);
  }
  assert.deepEqual([...seen], ['rebooting', 'available']);
  assert.equal((await bench.events()).at(-1), 'shop-1: DB instance restarted');
  await assert.rejects(
    bench.call('RebootDBInstance', { DBInstanceIdentifier: 'shop-1', ForceFailover: true }),
    { code: 'InvalidParameterCombination' },
  );
  assert.equal(
    (await bench.call('RebootDBCluster', { DBClusterIdentifier: 'shop' })).DBCluster?.Status,
    'rebooting',
  );
});

test('a cluster is modified: what counts at once, what takes a restart, what is refused', async () => {
  using bench = new RdsBench();
  await bench.cluster('shop');
  const modify = (part: object) => bench.call('ModifyDBCluster', { DBClusterIdentifier: 'shop', ...part });
  const made = await modify({
    BackupRetentionPeriod: 14,
    DeletionProtection: true,
    CopyTagsToSnapshot: true,
    PreferredBackupWindow: '23:50-00:20',
    PreferredMaintenanceWindow: 'Sat:23:30-sun:01:00',
  });
  assert.deepEqual(
    [made.DBCluster?.BackupRetentionPeriod, made.DBCluster?.DeletionProtection, made.DBCluster?.Status],
    [14, true, 'available'],
  );
  assert.equal(made.DBCluster?.PreferredMaintenanceWindow, 'sat:23:30-sun:01:00');
  const [{ name }] = await bench.context.databases.list();
  assert.deepEqual((await bench.context.databases.get(name)).retentionDays, 14);
  assert.equal((await bench.context.databases.get(name)).generation, 0);

  const reset = await modify({ MasterUserPassword: 'another-secret' });
  assert.equal(reset.DBCluster?.Status, 'resetting-master-credentials');
  assert.deepEqual(reset.DBCluster?.PendingModifiedValues, { MasterUserPassword: '****' });
  assert.equal(await bench.secrets.read(name), 'another-secret');
  await bench.turns();
  assert.equal(await bench.status('shop'), 'available');

  const moved = await modify({ Port: 7000 });
  assert.deepEqual([moved.DBCluster?.Status, moved.DBCluster?.Port], ['rebooting', 7000]);
  await bench.turns();
  assert.equal(await bench.status('shop'), 'available');
  await assert.rejects(modify({ NewDBClusterIdentifier: 'other' }), { code: 'InvalidParameterCombination' });
  await assert.rejects(modify({ MasterUserPassword: 'x' }), { code: 'InvalidParameterValue' });
  await assert.rejects(modify({ EngineVersion: '17.1' }), { code: 'InvalidParameterCombination' });
});

test('a password of a cluster that does not run is told when it runs', async () => {
  using bench = new RdsBench();
  await bench.cluster('shop');
  await bench.call('StopDBCluster', { DBClusterIdentifier: 'shop' });
  await bench.turns();
  const modified = await bench.call('ModifyDBCluster', {
    DBClusterIdentifier: 'shop',
    MasterUserPassword: 'another-secret',
  });
  assert.equal(modified.DBCluster?.Status, 'stopped');
  assert.ok(modified.DBCluster.PendingModifiedValues);
  await bench.call('StartDBCluster', { DBClusterIdentifier: 'shop' });
  await bench.turns();
  const { DBClusters } = await bench.call('DescribeDBClusters', { DBClusterIdentifier: 'shop' });
  assert.deepEqual([DBClusters?.[0].Status, DBClusters?.[0].PendingModifiedValues], ['available', undefined]);
});

test('another class: with a restart at once, or in the maintenance window', async () => {
  using bench = new RdsBench();
  await bench.cluster('shop');
  const modify = (part: object) =>
    bench.call('ModifyDBInstance', { DBInstanceIdentifier: 'shop-1', ...part });
  const [{ name }] = await bench.context.databases.list();
  const shared = async () => (await bench.context.databases.get(name)).settings.shared_buffers;
  assert.equal(await shared(), '128MB');
  const pending = await modify({
    DBInstanceClass: 'db.r8g.2xlarge',
    PreferredMaintenanceWindow: 'wed:00:00-wed:01:00',
  });
  assert.deepEqual(
    [pending.DBInstance?.DBInstanceClass, pending.DBInstance?.PendingModifiedValues?.DBInstanceClass],
    ['db.r8g.large', 'db.r8g.2xlarge'],
  );
  await bench.turns();
  assert.equal(await shared(), '128MB');
  // The clock begins on Tuesday, 14 November 2023, at 22:13.
  bench.clock.advanceTo(2 * 3_600_000);
  await bench.turns();
  assert.equal(await shared(), '512MB');
  assert.deepEqual(
    [await bench.instanceStatus('shop-1'), (await bench.context.databases.get(name)).generation],
    ['available', 1],
  );
  const applied = await modify({ DBInstanceClass: 'db.t4g.small', ApplyImmediately: true });
  assert.deepEqual(
    [applied.DBInstance?.DBInstanceClass, applied.DBInstance?.DBInstanceStatus, await shared()],
    ['db.t4g.small', 'rebooting', '64MB'],
  );
  await bench.turns();
  assert.equal(await bench.instanceStatus('shop-1'), 'available');
  const same = await modify({ DBInstanceClass: 'db.t4g.small', ApplyImmediately: true, PromotionTier: 3 });
  assert.deepEqual([same.DBInstance?.DBInstanceStatus, same.DBInstance?.PromotionTier], ['available', 3]);
  await assert.rejects(modify({ MasterUserPassword: 'another-secret' }), {
    code: 'InvalidParameterCombination',
  });
});

test('an instance goes and the data stays; then the cluster goes', async () => {
  using bench = new RdsBench();
  await bench.cluster('shop');
  const name = { DBClusterIdentifier: 'shop', SkipFinalSnapshot: true };
  await assert.rejects(bench.call('DeleteDBCluster', name), InvalidDBClusterStateFault);
  const [before] = await bench.context.databases.list();
  const going = await bench.call('DeleteDBInstance', { DBInstanceIdentifier: 'shop-1' });
  assert.equal(going.DBInstance?.DBInstanceStatus, 'deleting');
  assert.deepEqual(
    [await bench.instanceStatus('shop-1'), await bench.status('shop')],
    ['deleting', 'available'],
  );
  await assert.rejects(
    bench.call('DeleteDBInstance', { DBInstanceIdentifier: 'shop-1' }),
    InvalidDBInstanceStateFault,
  );
  await bench.turns();
  await assert.rejects(bench.instanceStatus('shop-1'), DBInstanceNotFoundFault);
  assert.equal(await bench.status('shop'), 'available');
  assert.equal((await bench.context.databases.get(before.name)).desired, 'stopped');

  await bench.call('CreateDBInstance', INSTANCE);
  assert.equal(await bench.instanceStatus('shop-1'), 'creating');
  await bench.turns();
  assert.equal(await bench.instanceStatus('shop-1'), 'available');
  assert.equal((await bench.context.databases.list())[0].volumeId, before.volumeId);

  await bench.call('DeleteDBInstance', { DBInstanceIdentifier: 'shop-1' });
  // While it goes the cluster may be told to go too.
  assert.equal((await bench.call('DeleteDBCluster', name)).DBCluster?.Status, 'deleting');
  await assert.rejects(bench.call('DeleteDBCluster', name), InvalidDBClusterStateFault);
  await assert.rejects(bench.call('CreateDBInstance', INSTANCE));
  await bench.turns(8);
  await assert.rejects(bench.status('shop'), DBClusterNotFoundFault);
  assert.deepEqual(await bench.context.databases.list(), []);
  assert.equal((await bench.events()).at(-1), 'shop: DB cluster deleted');
  await bench.cluster('shop');
});

test('a protected cluster stays', async () => {
  using bench = new RdsBench();
  await bench.call('CreateDBCluster', { ...CLUSTER, DBClusterIdentifier: 'shop', DeletionProtection: true });
  await bench.turns();
  const remove = (part: object) => bench.call('DeleteDBCluster', { DBClusterIdentifier: 'shop', ...part });
  const refused = { code: 'InvalidParameterCombination' };
  await assert.rejects(remove({ SkipFinalSnapshot: true }), refused);
  await bench.call('ModifyDBCluster', { DBClusterIdentifier: 'shop', DeletionProtection: false });
  await assert.rejects(remove({}), refused);
  await assert.rejects(remove({ SkipFinalSnapshot: true, FinalDBSnapshotIdentifier: 'last' }), refused);
  await remove({ SkipFinalSnapshot: true });
  await bench.turns();
  await assert.rejects(bench.status('shop'), DBClusterNotFoundFault);
});

test('what does not start is failed, with the reason in the events, and recovers', async () => {
  using bench = new RdsBench();
  bench.controller.startsFail = 'DATABASE_OUT_OF_MEMORY: no memory';
  await bench.cluster('shop');
  assert.deepEqual([await bench.status('shop'), await bench.instanceStatus('shop-1')], ['failed', 'failed']);
  await bench.turns();
  const failures = (await bench.events()).filter((event) => event.includes('no memory'));
  assert.deepEqual(failures, ['shop-1: DB instance does not start: DATABASE_OUT_OF_MEMORY: no memory']);
  bench.controller.startsFail = undefined;
  await bench.turns();
  assert.equal(await bench.status('shop'), 'available');
});

test('a database that somebody else deletes takes its cluster along', async () => {
  using bench = new RdsBench();
  await bench.cluster('shop');
  const [{ name }] = await bench.context.databases.list();
  await bench.context.databases.setDesired(name, 'deleted');
  assert.deepEqual(
    [await bench.status('shop'), await bench.instanceStatus('shop-1')],
    ['deleting', 'deleting'],
  );
  await bench.turns();
  await assert.rejects(bench.status('shop'), DBClusterNotFoundFault);
  await assert.rejects(bench.instanceStatus('shop-1'), DBInstanceNotFoundFault);
});

test('databases that are not of RDS are left alone', async () => {
  using bench = new RdsBench();
  await bench.context.databases.create({ name: 'mine', engine: 'native' });
  await bench.context.snapshots.request(await bench.context.databases.get('mine'));
  await bench.cluster('shop');
  await bench.turns();
  assert.deepEqual(
    (await bench.context.databases.list()).map(({ name, desired }) => [name === 'mine', desired]),
    [
      [false, 'running'],
      [true, 'running'],
    ],
  );
  assert.equal((await bench.context.snapshots.list()).length, 1);
});

test('accounts and regions do not see each other', async () => {
  using bench = new RdsBench(new MemoryRegistry());
  const input = { ...CLUSTER, DBClusterIdentifier: 'shop' };
  await bench.call('CreateDBCluster', input);
  await bench.call('CreateDBCluster', input, { region: 'us-east-1' });
  await bench.call('CreateDBCluster', input, { account: '210987654321' });
  await bench.call('DeleteDBCluster', { DBClusterIdentifier: 'shop', SkipFinalSnapshot: true });
  await bench.turns();
  await assert.rejects(bench.status('shop'), DBClusterNotFoundFault);
  const elsewhere = await bench.call('DescribeDBClusters', {}, { region: 'us-east-1' });
  assert.deepEqual(
    elsewhere.DBClusters?.map(({ DBClusterArn, Status }) => [DBClusterArn, Status]),
    [['arn:aws:rds:us-east-1:123456789012:cluster:shop', 'available']],
  );
  await assert.rejects(
    bench.call('DescribeDBClusters', { DBClusterIdentifier: elsewhere.DBClusters[0].DBClusterArn }),
    DBClusterNotFoundFault,
  );
  assert.equal((await bench.context.databases.list()).length, 2);
});
