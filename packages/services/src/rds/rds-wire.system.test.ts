/** The official client and its waiters, against a gateway over SQLite, while a fake controller goes on by itself. */
import assert from 'node:assert/strict';
import * as path from 'node:path';
import { test } from 'node:test';
import {
  CopyDBClusterSnapshotCommand,
  CreateDBClusterCommand,
  CreateDBClusterSnapshotCommand,
  CreateDBInstanceCommand,
  DBClusterAlreadyExistsFault,
  DBClusterNotFoundFault,
  DBClusterSnapshotNotFoundFault,
  DBInstanceNotFoundFault,
  DeleteDBClusterCommand,
  DeleteDBClusterSnapshotCommand,
  DeleteDBInstanceCommand,
  DescribeDBClusterParameterGroupsCommand,
  DescribeDBClustersCommand,
  DescribeDBInstancesCommand,
  FailoverDBClusterCommand,
  InstanceQuotaExceededFault,
  InvalidDBClusterStateFault,
  ModifyDBClusterCommand,
  ModifyDBInstanceCommand,
  paginateDescribeDBClusters,
  RDSClient,
  RebootDBInstanceCommand,
  RestoreDBClusterFromSnapshotCommand,
  RestoreDBClusterToPointInTimeCommand,
  StartDBClusterCommand,
  StopDBClusterCommand,
  waitUntilDBClusterAvailable,
  waitUntilDBClusterDeleted,
  waitUntilDBClusterSnapshotAvailable,
  waitUntilDBClusterSnapshotDeleted,
  waitUntilDBInstanceAvailable,
  waitUntilDBInstanceDeleted,
} from '@aws-sdk/client-rds';
import { systemClock } from '@rokka/kernel';
import { openSqliteRegistry } from '@rokka/registry';
import { CLUSTER, RdsBench } from '../testing/rds-bench.ts';
import { until } from '../testing/until.ts';
import { serve } from '../testing/served-service.ts';
import { rdsService } from './rds-service.ts';

const timeout = 600_000;
const shop = { DBClusterIdentifier: 'shop' };
const writer = {
  ...shop,
  DBInstanceIdentifier: 'shop-1',
  DBInstanceClass: 'db.r8g.large',
  Engine: 'aurora-postgresql',
};
const one = { DBClusterSnapshotIdentifier: 'one' };

test('a life of a cluster, as the SDK and its waiters see it', { timeout }, async () => {
  using directory = new RdsBench();
  await using registry = await openSqliteRegistry({
    path: path.join(directory.directory, 'registry.db'),
    create: true,
    clock: systemClock,
  });
  using bench = new RdsBench(registry);
  await using served = await serve(rdsService(bench.context), bench);
  const client = new RDSClient(served.client);
  const waits = { client, maxWaitTime: 180, minDelay: 1, maxDelay: 1 };

  const { DBCluster } = await client.send(new CreateDBClusterCommand({ ...CLUSTER, ...shop }));
  assert.equal(DBCluster?.Status, 'creating');
  await assert.rejects(
    client.send(new CreateDBClusterCommand({ ...CLUSTER, ...shop })),
    DBClusterAlreadyExistsFault,
  );
  await waitUntilDBClusterAvailable(waits, shop);
  await client.send(new CreateDBInstanceCommand(writer));
  await waitUntilDBInstanceAvailable(waits, { DBInstanceIdentifier: 'shop-1' });
  const standby = { DBInstanceIdentifier: 'shop-2' };
  await client.send(new CreateDBInstanceCommand({ ...writer, ...standby }));
  await waitUntilDBInstanceAvailable(waits, standby);
  await assert.rejects(
    client.send(new CreateDBInstanceCommand({ ...writer, DBInstanceIdentifier: 'shop-3' })),
    InstanceQuotaExceededFault,
  );
  await assert.rejects(
    client.send(new FailoverDBClusterCommand({ ...shop, TargetDBInstanceIdentifier: 'shop-3' })),
    DBInstanceNotFoundFault,
  );
  for (const to of ['shop-2', 'shop-1']) {
    const { DBCluster: failing } = await client.send(
      new FailoverDBClusterCommand({ ...shop, TargetDBInstanceIdentifier: to }),
    );
    assert.equal(failing?.Status, 'failing-over');
    await waitUntilDBClusterAvailable(waits, shop);
    for (const DBInstanceIdentifier of ['shop-1', 'shop-2'])
      await waitUntilDBInstanceAvailable(waits, { DBInstanceIdentifier });
  }
  await client.send(new DeleteDBInstanceCommand(standby));
  await waitUntilDBInstanceDeleted(waits, standby);
  const { DBInstances } = await client.send(new DescribeDBInstancesCommand({}));
  assert.equal(DBInstances?.[0].Endpoint?.Address, '127.0.0.1');

  await client.send(
    new ModifyDBClusterCommand({ ...shop, MasterUserPassword: 'another-secret', ApplyImmediately: true }),
  );
  await waitUntilDBClusterAvailable(waits, shop);
  await client.send(
    new ModifyDBInstanceCommand({
      DBInstanceIdentifier: 'shop-1',
      DBInstanceClass: 'db.r8g.xlarge',
      ApplyImmediately: true,
    }),
  );
  await waitUntilDBInstanceAvailable(waits, { DBInstanceIdentifier: 'shop-1' });
  await client.send(new RebootDBInstanceCommand({ DBInstanceIdentifier: 'shop-1' }));
  await waitUntilDBInstanceAvailable(waits, { DBInstanceIdentifier: 'shop-1' });
  await client.send(new StopDBClusterCommand(shop));
  await assert.rejects(client.send(new StopDBClusterCommand(shop)), InvalidDBClusterStateFault);
  await until(async () => (await bench.status('shop')) === 'stopped');
  await client.send(new StartDBClusterCommand(shop));
  await waitUntilDBClusterAvailable(waits, shop);

  await client.send(new CreateDBClusterSnapshotCommand({ ...shop, ...one }));
  await waitUntilDBClusterSnapshotAvailable(waits, one);
  await client.send(
    new CopyDBClusterSnapshotCommand({
      SourceDBClusterSnapshotIdentifier: 'one',
      TargetDBClusterSnapshotIdentifier: 'two',
    }),
  );
  await client.send(new DeleteDBClusterSnapshotCommand(one));
  await waitUntilDBClusterSnapshotDeleted(waits, one);
  await assert.rejects(client.send(new DeleteDBClusterSnapshotCommand(one)), DBClusterSnapshotNotFoundFault);
  await client.send(
    new RestoreDBClusterFromSnapshotCommand({
      DBClusterIdentifier: 'again',
      SnapshotIdentifier: 'two',
      Engine: 'aurora-postgresql',
    }),
  );
  bench.span = { firstMs: 0, lastMs: bench.clock.wallMs() };
  await client.send(
    new RestoreDBClusterToPointInTimeCommand({
      DBClusterIdentifier: 'past',
      SourceDBClusterIdentifier: 'shop',
      UseLatestRestorableTime: true,
      RestoreType: 'copy-on-write',
    }),
  );
  for (const DBClusterIdentifier of ['again', 'past'])
    await waitUntilDBClusterAvailable(waits, { DBClusterIdentifier });

  await client.send(new DeleteDBInstanceCommand({ DBInstanceIdentifier: 'shop-1' }));
  await waitUntilDBInstanceDeleted(waits, { DBInstanceIdentifier: 'shop-1' });
  await assert.rejects(
    client.send(new DeleteDBInstanceCommand({ DBInstanceIdentifier: 'shop-1' })),
    DBInstanceNotFoundFault,
  );
  await client.send(new DeleteDBClusterCommand({ ...shop, FinalDBSnapshotIdentifier: 'last' }));
  await waitUntilDBClusterDeleted(waits, shop);
  await assert.rejects(client.send(new DescribeDBClustersCommand(shop)), DBClusterNotFoundFault);
  await waitUntilDBClusterSnapshotAvailable(waits, { DBClusterSnapshotIdentifier: 'last' });
  const pages = paginateDescribeDBClusters({ client, pageSize: 20 }, {});
  const names = (await Array.fromAsync(pages)).flatMap(({ DBClusters = [] }) =>
    DBClusters.map(({ DBClusterIdentifier }) => DBClusterIdentifier),
  );
  assert.deepEqual(names, ['again', 'past']);
  assert.deepEqual(served.log, []);
});

test('what is not built, and codes that have no class', { timeout }, async () => {
  using bench = new RdsBench();
  await using served = await serve(rdsService(bench.context), bench);
  const client = new RDSClient(served.client);
  await assert.rejects(client.send(new DescribeDBClusterParameterGroupsCommand({})), {
    name: 'NotImplemented',
  });
  await assert.rejects(
    client.send(new CreateDBClusterCommand({ ...CLUSTER, ...shop, MasterUserPassword: 'short' })),
    { name: 'InvalidParameterValue' },
  );
  await assert.rejects(
    client.send(new CreateDBClusterCommand({ ...CLUSTER, ...shop, StorageEncrypted: true })),
    { name: 'InvalidParameterCombination' },
  );
  assert.deepEqual(served.log, []);
});

test('what is decided on is the one spelling of a name', { timeout }, async () => {
  using bench = new RdsBench();
  await using served = await serve(rdsService(bench.context), bench);
  const client = new RDSClient(served.client);
  const arn = (resource: string) => `arn:aws:rds:eu-north-1:123456789012:${resource}`;
  await client.send(new CreateDBClusterCommand({ ...CLUSTER, ...shop }));
  served.denied.add(arn('cluster:shop'));
  for (const DBClusterIdentifier of ['shop', 'SHOP', arn('cluster:shop'), arn('cluster:SHOP')]) {
    const input = { DBClusterIdentifier, SkipFinalSnapshot: true };
    await assert.rejects(client.send(new DeleteDBClusterCommand(input)), { name: 'AccessDenied' });
    await assert.rejects(client.send(new DescribeDBClustersCommand({ DBClusterIdentifier })), {
      name: 'AccessDenied',
    });
  }
  await assert.rejects(client.send(new CreateDBInstanceCommand(writer)), { name: 'AccessDenied' });
  await assert.rejects(
    client.send(new CreateDBClusterSnapshotCommand({ ...shop, DBClusterSnapshotIdentifier: 'One' })),
    { name: 'AccessDenied' },
  );
  served.denied.clear();
  served.asked.length = 0;
  await client.send(new CreateDBInstanceCommand(writer));
  assert.deepEqual(
    served.asked.map(({ action, resource }) => [action, resource]),
    [
      ['rds:CreateDBInstance', arn('db:shop-1')],
      ['rds:CreateDBInstance', arn('cluster:shop')],
    ],
  );
  assert.equal(served.asked[0].context['rds:DatabaseClass'], 'db.r8g.large');
  served.asked.length = 0;
  await client.send(new DescribeDBClustersCommand({}));
  assert.deepEqual(
    served.asked.map(({ resource }) => resource),
    [arn('cluster:*')],
  );
});
