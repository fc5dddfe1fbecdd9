/** RDS of a running cluster: databases that are really there, by the AWS CLI and by the SDK with its waiters. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as rds from '@aws-sdk/client-rds';
import { systemClock } from '@rokka/kernel';
import { freePort } from '@rokka/kernel/testing';
import { CloudUnderTest } from './testing/cloud-under-test.ts';
import { ENGINE, PASSWORD, RdsUnderTest } from './testing/rds-under-test.ts';
import { RokkaUnderTest } from './testing/rokka-under-test.ts';
import { TestPlace } from './testing/test-place.ts';
import { whySkipped } from './testing/why-skipped.ts';

const skip = whySkipped({ cli: true });
const timeout = 400_000;

const SUM = `select count(*)::int as n, md5(string_agg(text, '' order by n)) as sum from rows`;

test(
  'a cluster by the AWS CLI, its past by the SDK, and everything killed in between',
  { skip, timeout },
  async () => {
    await using place = await TestPlace.make();
    const port = await freePort();
    await using rokka = await RokkaUnderTest.start(place, { env: { ROKKA_AWS_PORT: String(port) } });
    const cloud = await CloudUnderTest.start(rokka, port);
    const key = cloud.administratorKey();
    const shop = new RdsUnderTest(new rds.RDSClient(cloud.client(key)));
    const { client, waiting } = shop;

    const create = ['create-db-cluster', '--engine', 'aurora-postgresql', '--db-cluster-identifier', 'shop'];
    const login = [
      '--master-username',
      'boss',
      '--master-user-password',
      PASSWORD,
      '--database-name',
      'goods',
    ];
    await cloud.ask('rds', ...create, ...login, '--tags', 'Key=team,Value=snow');
    await shop.serve('shop');
    await shop.query(
      'shop',
      'create table rows as select n, md5(n::text) as text from generate_series(1, 5000) n',
    );
    const [then] = await shop.query('shop', SUM);

    // Asked for, and everything is killed before it is there.
    const snapshot = ['--db-cluster-identifier', 'shop', '--db-cluster-snapshot-identifier', 'before'];
    await cloud.ask('rds', 'create-db-cluster-snapshot', ...snapshot);
    rokka.kill([rokka.up.pid]);
    await rokka.up.ended();
    await rokka.again();
    await cloud.answers();
    await shop.kept('before');
    await rds.waitUntilDBInstanceAvailable(waiting, { DBInstanceIdentifier: 'shop-1' });
    await shop.query('shop', `update rows set text = 'changed' where n % 2 = 0`);
    const [after] = await shop.query('shop', SUM);
    const atMs = systemClock.wallMs() + 1_500;
    await systemClock.sleep(2_500);
    await shop.query('shop', 'drop table rows');

    await client.send(
      new rds.RestoreDBClusterFromSnapshotCommand({
        ...ENGINE,
        DBClusterIdentifier: 'restored',
        SnapshotIdentifier: 'before',
      }),
    );
    await shop.serve('restored');
    assert.deepEqual(
      await shop.query('restored', SUM),
      [then],
      'data, user, database and password are those of then',
    );
    await rds.waitUntilDBClusterAvailable(waiting, { DBClusterIdentifier: 'shop' });
    await shop.until('shop', ({ LatestRestorableTime }) => (LatestRestorableTime?.getTime() ?? 0) > atMs);
    await client.send(
      new rds.RestoreDBClusterToPointInTimeCommand({
        DBClusterIdentifier: 'second',
        SourceDBClusterIdentifier: 'shop',
        RestoreToTime: new Date(atMs),
        RestoreType: 'copy-on-write',
      }),
    );
    await shop.serve('second');
    assert.deepEqual(await shop.query('second', SUM), [after]);

    // Another password, and a failover that clients notice and nothing else.
    await client.send(
      new rds.ModifyDBClusterCommand({
        DBClusterIdentifier: 'second',
        MasterUserPassword: 'another-secret-9',
        ApplyImmediately: true,
      }),
    );
    await shop.until('second', ({ Status }) => Status === 'available');
    assert.deepEqual(await shop.query('second', SUM, 'another-secret-9'), [after]);
    await assert.rejects(shop.query('second', SUM), { code: '28P01' });

    // Stopped is stopped; and a cluster that goes leaves its last state, though nothing of it runs any more.
    await client.send(new rds.StopDBClusterCommand({ DBClusterIdentifier: 'restored' }));
    await shop.until('restored', ({ Status }) => Status === 'stopped');
    await client.send(new rds.StartDBClusterCommand({ DBClusterIdentifier: 'restored' }));
    await rds.waitUntilDBClusterAvailable(waiting, { DBClusterIdentifier: 'restored' });
    assert.deepEqual(await shop.query('restored', SUM), [then]);
    await client.send(new rds.DeleteDBInstanceCommand({ DBInstanceIdentifier: 'restored-1' }));
    await rds.waitUntilDBInstanceDeleted(waiting, { DBInstanceIdentifier: 'restored-1' });
    const gone = { DBClusterIdentifier: 'restored', FinalDBSnapshotIdentifier: 'last' };
    await client.send(new rds.DeleteDBClusterCommand(gone));
    await rds.waitUntilDBClusterDeleted(waiting, { DBClusterIdentifier: 'restored' });
    await shop.kept('last');
    const again = { ...ENGINE, DBClusterIdentifier: 'again', SnapshotIdentifier: 'last' };
    await client.send(new rds.RestoreDBClusterFromSnapshotCommand(again));
    await shop.serve('again');
    assert.deepEqual(await shop.query('again', SUM), [then]);

    const { DBClusterSnapshots } = await cloud.ask<{
      DBClusterSnapshots: { DBClusterSnapshotIdentifier: string }[];
    }>('rds', 'describe-db-cluster-snapshots');
    assert.deepEqual(
      new Set(DBClusterSnapshots.map((one) => one.DBClusterSnapshotIdentifier)),
      new Set(['before', 'last']),
    );
    await assert.rejects(
      client.send(new rds.DescribeDBClustersCommand({ DBClusterIdentifier: 'restored' })),
      {
        name: 'DBClusterNotFoundFault',
      },
    );
  },
);
