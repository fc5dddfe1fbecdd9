/** RDS of a running cluster: databases that are really there, by the AWS CLI and by the SDK with its waiters. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as rds from '@aws-sdk/client-rds';
import { must, systemClock } from '@rokka/kernel';
import { freePort } from '@rokka/kernel/testing';
import { CloudUnderTest } from './testing/cloud-under-test.ts';
import { ENGINE, PASSWORD, RdsUnderTest } from './testing/rds-under-test.ts';
import { RokkaUnderTest } from './testing/rokka-under-test.ts';
import { TestPlace } from './testing/test-place.ts';
import { whySkipped } from './testing/why-skipped.ts';

const skip = whySkipped({ cli: true });
const timeout = 900_000;
const MOMENT_MS = 180_000;
const LOOK_AGAIN_MS = 200;

const SUM = `select count(*)::int as n, md5(string_agg(text, '' order by n)) as sum from rows`;

/** A time that can be restored to, after whatever was done before and before whatever is done next. */
async function momentAfterThis(shop: RdsUnderTest): Promise<number> {
  const nowMs = systemClock.wallMs();
  const untilMs = systemClock.nowMs() + MOMENT_MS;
  for (;;) {
    // There is a point only where there is something new.
    await shop.query('shop', 'create table if not exists moments (at timestamptz)');
    await shop.query('shop', 'insert into moments values (clock_timestamp())');
    const shown = new rds.DescribeDBClustersCommand({ DBClusterIdentifier: 'shop' });
    const { LatestRestorableTime: last } = must((await shop.client.send(shown)).DBClusters?.[0]);
    if (last && last.getTime() > nowMs) return last.getTime();
    assert.ok(systemClock.nowMs() < untilMs, `nothing after ${last?.toISOString()} can be restored`);
    await systemClock.sleep(LOOK_AGAIN_MS);
  }
}

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

    // At ports of this test: what a cluster takes by itself those of other tests take, too, until it listens there.
    const at = async () => ({ Port: await freePort() });
    const create = ['create-db-cluster', '--engine', 'aurora-postgresql', '--db-cluster-identifier', 'shop'];
    const login = [
      '--master-username',
      'boss',
      '--master-user-password',
      PASSWORD,
      '--database-name',
      'goods',
    ];
    const tags = ['--tags', 'Key=team,Value=snow'];
    await cloud.ask('rds', ...create, ...login, '--port', String((await at()).Port), ...tags);
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
    const atMs = await momentAfterThis(shop);
    await shop.query('shop', 'drop table rows');

    await client.send(
      new rds.RestoreDBClusterFromSnapshotCommand({
        ...ENGINE,
        DBClusterIdentifier: 'restored',
        SnapshotIdentifier: 'before',
        ...(await at()),
      }),
    );
    await shop.serve('restored');
    assert.deepEqual(
      await shop.query('restored', SUM),
      [then],
      'data, user, database and password are those of then',
    );
    await rds.waitUntilDBClusterAvailable(waiting, { DBClusterIdentifier: 'shop' });
    await client.send(
      new rds.RestoreDBClusterToPointInTimeCommand({
        DBClusterIdentifier: 'second',
        SourceDBClusterIdentifier: 'shop',
        RestoreToTime: new Date(atMs),
        RestoreType: 'copy-on-write',
        ...(await at()),
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
    const again = { ...ENGINE, ...(await at()), DBClusterIdentifier: 'again', SnapshotIdentifier: 'last' };
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
