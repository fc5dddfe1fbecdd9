/** Snapshots, copies, restores, and clusters that go with a final snapshot. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  DBClusterAlreadyExistsFault,
  DBClusterNotFoundFault,
  DBClusterSnapshotAlreadyExistsFault,
  DBClusterSnapshotNotFoundFault,
  InvalidDBClusterSnapshotStateFault,
  InvalidDBClusterStateFault,
  InvalidRestoreFault,
} from '@aws-sdk/client-rds';
import { Snapshots } from '@rokka/databases';
import { must } from '@rokka/kernel';
import { processOver, RdsBench } from '../testing/rds-bench.ts';

const snap = (id: string, cluster = 'shop') => ({
  DBClusterSnapshotIdentifier: id,
  DBClusterIdentifier: cluster,
});

test('a snapshot is made while the cluster is backing up, and outlives it', async () => {
  using bench = new RdsBench();
  await bench.cluster('shop', { DatabaseName: 'orders' });
  bench.controller.snapshotsWait = true;
  const made = await bench.call('CreateDBClusterSnapshot', snap('One'));
  assert.deepEqual(
    [made.DBClusterSnapshot?.Status, made.DBClusterSnapshot?.DBClusterSnapshotIdentifier],
    ['creating', 'one'],
  );
  assert.deepEqual(
    [await bench.status('shop'), await bench.instanceStatus('shop-1')],
    ['backing-up', 'available'],
  );
  await assert.rejects(
    bench.call('CreateDBClusterSnapshot', snap('one')),
    DBClusterSnapshotAlreadyExistsFault,
  );
  bench.controller.snapshotsWait = false;
  await bench.turns();
  const [found] = must((await bench.call('DescribeDBClusterSnapshots', {})).DBClusterSnapshots);
  assert.deepEqual([found.Status, found.PercentProgress, found.SnapshotType], ['available', 100, 'manual']);
  assert.equal(found.MasterUsername, 'shop');
  assert.equal(await bench.status('shop'), 'available');
  assert.deepEqual((await bench.events()).slice(-2), [
    'one: Creating manual cluster snapshot',
    'one: Manual cluster snapshot created',
  ]);
  await bench.call('DeleteDBInstance', { DBInstanceIdentifier: 'shop-1' });
  await bench.call('DeleteDBCluster', { DBClusterIdentifier: 'shop', SkipFinalSnapshot: true });
  await bench.turns(8);
  await assert.rejects(bench.status('shop'), DBClusterNotFoundFault);
  assert.equal(await bench.snapshotStatus('one'), 'available');
});

test('lists by cluster and type', async () => {
  using bench = new RdsBench();
  await bench.cluster('a');
  await bench.cluster('b');
  for (const [id, cluster] of [
    ['one', 'a'],
    ['two', 'b'],
  ])
    await bench.call('CreateDBClusterSnapshot', snap(id, cluster));
  const list = async (input: object) =>
    (await bench.call('DescribeDBClusterSnapshots', input)).DBClusterSnapshots?.map(
      ({ DBClusterSnapshotIdentifier }) => DBClusterSnapshotIdentifier,
    );
  assert.deepEqual(await list({}), ['one', 'two']);
  assert.deepEqual(await list({ DBClusterIdentifier: 'B' }), ['two']);
  assert.deepEqual(await list({ SnapshotType: 'manual' }), ['one', 'two']);
  assert.deepEqual(await list({ SnapshotType: 'automated' }), []);
  assert.deepEqual(await list({ Filters: [{ Name: 'db-cluster-id', Values: ['a'] }] }), ['one']);
  await assert.rejects(list({ SnapshotType: 'odd' }), { code: 'InvalidParameterValue' });
  await assert.rejects(list({ DBClusterSnapshotIdentifier: 'none' }), DBClusterSnapshotNotFoundFault);
});

test('a snapshot that fails says so, and may be deleted', async () => {
  using bench = new RdsBench();
  await bench.cluster('shop');
  bench.controller.snapshotsFail = 'the archive is full';
  await bench.call('CreateDBClusterSnapshot', snap('one'));
  await bench.turns();
  assert.equal(await bench.snapshotStatus('one'), 'failed');
  assert.equal((await bench.events()).at(-1), 'one: Manual cluster snapshot failed: the archive is full');
  await assert.rejects(
    bench.call('RestoreDBClusterFromSnapshot', {
      DBClusterIdentifier: 'new',
      SnapshotIdentifier: 'one',
      Engine: 'aurora-postgresql',
    }),
    InvalidDBClusterSnapshotStateFault,
  );
  await bench.call('DeleteDBClusterSnapshot', { DBClusterSnapshotIdentifier: 'one' });
  await assert.rejects(bench.snapshotStatus('one'), DBClusterSnapshotNotFoundFault);
  assert.deepEqual(await bench.context.snapshots.list(), []);
});

test('a snapshot of which somebody has removed the data is failed', async () => {
  using bench = new RdsBench();
  await bench.cluster('shop');
  await bench.call('CreateDBClusterSnapshot', snap('one'));
  await bench.turns();
  const [kept] = await bench.context.snapshots.list();
  await bench.context.snapshots.remove(kept.name);
  await bench.turns();
  assert.equal(await bench.snapshotStatus('one'), 'failed');
});

test('a copy keeps the same point after the first one is gone', async () => {
  using bench = new RdsBench();
  await bench.cluster('shop', { Tags: [{ Key: 'a', Value: '1' }], CopyTagsToSnapshot: true });
  bench.controller.snapshotsWait = true;
  await bench.call('CreateDBClusterSnapshot', snap('one'));
  const copy = (part: object = {}) =>
    bench.call('CopyDBClusterSnapshot', {
      SourceDBClusterSnapshotIdentifier: 'one',
      TargetDBClusterSnapshotIdentifier: 'two',
      ...part,
    });
  await assert.rejects(copy(), InvalidDBClusterSnapshotStateFault);
  bench.controller.snapshotsWait = false;
  await bench.turns();
  await assert.rejects(copy({ KmsKeyId: 'k' }), { code: 'InvalidParameterCombination' });
  await assert.rejects(copy({ SourceDBClusterSnapshotIdentifier: 'none' }), DBClusterSnapshotNotFoundFault);
  const { DBClusterSnapshot } = await copy({ CopyTags: true });
  assert.equal(DBClusterSnapshot?.Status, 'available');
  assert.deepEqual(DBClusterSnapshot.TagList, [{ Key: 'a', Value: '1' }]);
  assert.equal(
    DBClusterSnapshot.SourceDBClusterSnapshotArn,
    'arn:aws:rds:eu-north-1:123456789012:cluster-snapshot:one',
  );
  await assert.rejects(copy(), DBClusterSnapshotAlreadyExistsFault);
  const before = await bench.context.snapshots.list();
  assert.equal(new Set(before.map(({ lsn }) => lsn)).size, 1);
  await bench.call('DeleteDBClusterSnapshot', { DBClusterSnapshotIdentifier: 'one' });
  await bench.turns();
  assert.equal(await bench.snapshotStatus('two'), 'available');
  const [kept, ...more] = await bench.context.snapshots.list();
  assert.deepEqual([more, await bench.context.snapshots.password(kept.name)], [[], 'secret-secret']);
});

test('restored from a snapshot: the data, user, database and password of then', async () => {
  using bench = new RdsBench();
  await bench.cluster('shop', { DatabaseName: 'orders', BackupRetentionPeriod: 9 });
  const [{ volumeId }] = await bench.context.databases.list();
  await bench.call('CreateDBClusterSnapshot', snap('one'));
  await bench.turns();
  await bench.call('ModifyDBCluster', { DBClusterIdentifier: 'shop', MasterUserPassword: 'another-secret' });
  const restore = (part: object = {}) =>
    bench.call('RestoreDBClusterFromSnapshot', {
      DBClusterIdentifier: 'again',
      SnapshotIdentifier: 'arn:aws:rds:eu-north-1:123456789012:cluster-snapshot:one',
      Engine: 'aurora-postgresql',
      ...part,
    });
  await assert.rejects(restore({ SnapshotIdentifier: 'none' }), DBClusterSnapshotNotFoundFault);
  await assert.rejects(restore({ Engine: 'aurora-mysql' }), { code: 'InvalidParameterValue' });
  await assert.rejects(restore({ DBClusterIdentifier: 'shop' }), DBClusterAlreadyExistsFault);
  const { DBCluster } = await restore();
  assert.deepEqual(
    [DBCluster?.DatabaseName, DBCluster?.MasterUsername, DBCluster?.BackupRetentionPeriod],
    ['orders', 'shop', 9],
  );
  const made = must((await bench.context.databases.list()).find(({ source }) => source));
  assert.deepEqual(made.source, { archive: volumeId, lsn: 77, materialise: true });
  assert.notEqual(made.volumeId, volumeId);
  assert.equal(await bench.secrets.read(made.name), 'secret-secret');
  await bench.turns();
  assert.equal(await bench.status('again'), 'available');
});

test('a restore is none where its snapshot goes before the database keeps what is in it', async () => {
  for (const moment of ['/clusters/again', 'databases/']) {
    using bench = new RdsBench();
    await bench.cluster('shop');
    await bench.call('CreateDBClusterSnapshot', snap('one'));
    await bench.turns();
    const [{ name }] = await bench.context.snapshots.list();
    const put = bench.registry.put.bind(bench.registry);
    bench.registry.put = async (key, value, revision) => {
      if (key.includes(moment)) await bench.context.snapshots.remove(name);
      return put(key, value, revision);
    };
    await assert.rejects(
      bench.call('RestoreDBClusterFromSnapshot', {
        DBClusterIdentifier: 'again',
        SnapshotIdentifier: 'one',
        Engine: 'aurora-postgresql',
      }),
      InvalidDBClusterSnapshotStateFault,
    );
    await bench.turns();
    await assert.rejects(bench.status('again'), DBClusterNotFoundFault);
    assert.equal((await bench.context.databases.list()).length, 1);
    const [event] = (await bench.events()).filter((each) => each.startsWith('again'));
    assert.equal(event, `again: DB cluster is not created: there is no snapshot ${name}`);
  }
});

test('restored to a point in time: what is in the archive, and the password of now', async () => {
  using bench = new RdsBench();
  await bench.cluster('shop');
  const [{ volumeId }] = await bench.context.databases.list();
  await bench.call('ModifyDBCluster', { DBClusterIdentifier: 'shop', MasterUserPassword: 'another-secret' });
  await bench.turns();
  const restore = (id: string, part: object) =>
    bench.call('RestoreDBClusterToPointInTime', {
      DBClusterIdentifier: id,
      SourceDBClusterIdentifier: 'shop',
      ...part,
    });
  await assert.rejects(restore('again', { UseLatestRestorableTime: true }), InvalidRestoreFault);
  const nowMs = bench.clock.wallMs();
  bench.span = { firstMs: nowMs - 10 * 86_400_000, lastMs: nowMs - 5000 };
  const [shown] = must((await bench.call('DescribeDBClusters', {})).DBClusters);
  // A day of retention, whatever is there yet of before.
  assert.deepEqual(shown.EarliestRestorableTime, new Date(nowMs - 86_400_000));
  assert.deepEqual(shown.LatestRestorableTime, new Date(nowMs - 5000));
  for (const atMs of [nowMs, nowMs - 86_400_001])
    await assert.rejects(restore('again', { RestoreToTime: new Date(atMs) }), InvalidRestoreFault);
  for (const part of [{}, { UseLatestRestorableTime: true, RestoreToTime: new Date(nowMs - 6000) }])
    await assert.rejects(restore('again', part), { code: 'InvalidParameterCombination' });
  await assert.rejects(restore('again', { UseLatestRestorableTime: true, RestoreType: 'odd' }), {
    code: 'InvalidParameterValue',
  });
  await assert.rejects(
    restore('again', { UseLatestRestorableTime: true, SourceDBClusterIdentifier: 'none' }),
    DBClusterNotFoundFault,
  );
  await restore('full', { RestoreToTime: new Date(nowMs - 6000) });
  await restore('clone', { UseLatestRestorableTime: true, RestoreType: 'copy-on-write' });
  const made = (await bench.context.databases.list()).filter(({ source }) => source);
  assert.deepEqual(
    made.map(({ source }) => source).sort((a, b) => Number(b?.materialise) - Number(a?.materialise)),
    [
      { archive: volumeId, lsn: 42, materialise: true },
      { archive: volumeId, lsn: 42, materialise: false },
    ],
  );
  for (const { name } of made) assert.equal(await bench.secrets.read(name), 'another-secret');
});

test('deleted with a final snapshot: nothing goes before that is there', async () => {
  using bench = new RdsBench();
  await bench.cluster('shop');
  await bench.call('DeleteDBInstance', { DBInstanceIdentifier: 'shop-1' });
  await bench.turns();
  bench.controller.snapshotsWait = true;
  const input = { DBClusterIdentifier: 'shop', FinalDBSnapshotIdentifier: 'last' };
  assert.equal((await bench.call('DeleteDBCluster', input)).DBCluster?.Status, 'deleting');
  await bench.turns();
  assert.deepEqual(
    [await bench.status('shop'), await bench.snapshotStatus('last')],
    ['deleting', 'creating'],
  );
  assert.equal((await bench.context.databases.list())[0].desired, 'stopped');
  bench.controller.snapshotsWait = false;
  await bench.turns(8);
  await assert.rejects(bench.status('shop'), DBClusterNotFoundFault);
  assert.equal(await bench.snapshotStatus('last'), 'available');
  assert.deepEqual(await bench.context.databases.list(), []);
});

test('where the final snapshot fails or its name is taken, the cluster stays', async () => {
  using bench = new RdsBench();
  await bench.cluster('shop');
  await bench.call('CreateDBClusterSnapshot', snap('taken'));
  await bench.call('DeleteDBInstance', { DBInstanceIdentifier: 'shop-1' });
  await bench.turns();
  const remove = (id: string) =>
    bench.call('DeleteDBCluster', { DBClusterIdentifier: 'shop', FinalDBSnapshotIdentifier: id });
  await assert.rejects(remove('taken'), DBClusterSnapshotAlreadyExistsFault);
  bench.controller.snapshotsFail = 'the archive is full';
  await remove('last');
  await bench.turns();
  assert.deepEqual([await bench.status('shop'), await bench.snapshotStatus('last')], ['available', 'failed']);
  assert.ok(
    (await bench.events()).includes('shop: DB cluster is not deleted: its final snapshot last failed'),
  );
  bench.controller.snapshotsFail = undefined;
  await bench.cluster('other');
  // Somebody is faster between the look and the write.
  const create = bench.context.registry.put.bind(bench.context.registry);
  let isFirst = true;
  bench.context.registry.put = async (key, value, revision) => {
    if (isFirst && key.endsWith('/clusters/shop')) {
      isFirst = false;
      await bench.call('CreateDBClusterSnapshot', snap('late', 'other'));
    }
    return create(key, value, revision);
  };
  await assert.rejects(remove('late'), DBClusterSnapshotAlreadyExistsFault);
  assert.equal(await bench.status('shop'), 'available');
});

test('a cluster that a snapshot waits for is deleted after it', async () => {
  using bench = new RdsBench();
  await bench.cluster('shop');
  bench.controller.snapshotsWait = true;
  await bench.call('CreateDBClusterSnapshot', snap('one'));
  await bench.call('DeleteDBInstance', { DBInstanceIdentifier: 'shop-1' });
  await bench.call('DeleteDBCluster', { DBClusterIdentifier: 'shop', SkipFinalSnapshot: true });
  await assert.rejects(bench.call('CreateDBClusterSnapshot', snap('two')), InvalidDBClusterStateFault);
  await bench.turns();
  assert.equal((await bench.context.databases.list())[0].desired, 'stopped');
  bench.controller.snapshotsWait = false;
  await bench.turns(8);
  assert.deepEqual(await bench.context.databases.list(), []);
  assert.equal(await bench.snapshotStatus('one'), 'available');
});

test('where nobody keeps any past a snapshot is refused, and so is a deletion with a final one', async () => {
  using bench = new RdsBench();
  await bench.cluster('shop');
  const { context, secrets } = bench;
  const snapshots = new Snapshots({ ...context, secrets, noBucket: true });
  const { call } = processOver({ ...context, snapshots });
  const refused = { name: 'InvalidParameterCombination', message: /--archive s3:/ };
  await assert.rejects(call('CreateDBClusterSnapshot', snap('one')), refused);
  await bench.call('DeleteDBInstance', { DBInstanceIdentifier: 'shop-1' });
  await bench.turns();
  const deletion = { DBClusterIdentifier: 'shop', FinalDBSnapshotIdentifier: 'last' };
  await assert.rejects(call('DeleteDBCluster', deletion), refused);
  assert.equal(await bench.status('shop'), 'available');
  await call('DeleteDBCluster', { DBClusterIdentifier: 'shop', SkipFinalSnapshot: true });
});
