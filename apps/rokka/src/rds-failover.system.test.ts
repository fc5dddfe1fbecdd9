/**
 * A cluster of RDS with two instances, under load: failed over, and then its head killed. A client outside keeps account of what
 * was acknowledged.
 */
import assert from 'node:assert/strict';
import * as fs from 'node:fs';
import { test } from 'node:test';
import * as rds from '@aws-sdk/client-rds';
import { must } from '@rokka/kernel';
import { freePort } from '@rokka/kernel/testing';
import { CloudUnderTest } from './testing/cloud-under-test.ts';
import { DatabasesUnderTest } from './testing/databases-under-test.ts';
import { Ledger } from './testing/ledger.ts';
import { ENGINE, PASSWORD, RdsUnderTest } from './testing/rds-under-test.ts';
import { RokkaUnderTest } from './testing/rokka-under-test.ts';
import { TestPlace } from './testing/test-place.ts';
import { whySkipped } from './testing/why-skipped.ts';

const skip = whySkipped();
const timeout = 900_000;

const SHOP = { DBClusterIdentifier: 'shop' };
/** Commits before and after each of the two. */
const COMMITS = 100;
const BUFFERS = 'show shared_buffers';

test(
  'a failover, and then a kill, with everything acknowledged still there',
  { skip, timeout },
  async (t) => {
    await using place = await TestPlace.make();
    const port = await freePort();
    await using rokka = await RokkaUnderTest.start(place, { env: { ROKKA_AWS_PORT: String(port) } });
    const cloud = await CloudUnderTest.start(rokka, port);
    const client = new rds.RDSClient(cloud.client(cloud.administratorKey()));
    const shop = new RdsUnderTest(client);
    const databases = new DatabasesUnderTest(rokka);
    const login = { MasterUsername: 'boss', MasterUserPassword: PASSWORD, DatabaseName: 'goods' };
    // At a port of this test: what a cluster takes by itself those of other tests take, too, until it listens there.
    const at = { Port: await freePort() };
    await client.send(new rds.CreateDBClusterCommand({ ...SHOP, ...ENGINE, ...login, ...at }));
    await shop.serve('shop');
    await shop.serve('shop', 'shop-2', 'db.r8g.large');
    assert.deepEqual(await shop.members('shop'), ['shop-1', 'shop-2']);

    const connection = await shop.connection('shop');
    await using ledger = new Ledger(() => connection);
    await ledger.create();
    assert.deepEqual(await shop.query('shop', BUFFERS), [{ shared_buffers: '96MB' }]);
    const around = async (hurt: () => Promise<unknown>) => {
      ledger.start({ connections: 4 });
      await ledger.progress(COMMITS);
      await hurt();
      await ledger.progress(COMMITS);
      await ledger.pause();
      const { acknowledged, unknownThere } = await ledger.verify();
      const errors = JSON.stringify([...ledger.errors]);
      t.diagnostic(`${acknowledged} acknowledged, ${unknownThere} more are there; ${errors}`);
    };
    /** Both serve or wait. */
    const both = async () => {
      await rds.waitUntilDBClusterAvailable(shop.waiting, SHOP);
      for (const DBInstanceIdentifier of ['shop-1', 'shop-2'])
        await rds.waitUntilDBInstanceAvailable(shop.waiting, { DBInstanceIdentifier });
    };

    const beside = childrenOf(rokka.up.pid);
    await around(async () => {
      const { DBCluster } = await client.send(
        new rds.FailoverDBClusterCommand({ ...SHOP, TargetDBInstanceIdentifier: 'shop-2' }),
      );
      assert.equal(DBCluster?.Status, 'failing-over');
      await both();
    });
    assert.deepEqual(await shop.members('shop'), ['shop-2', 'shop-1']);
    assert.ok(ledger.errors.size > 0, 'clients were cut off');
    assert.deepEqual(await shop.query('shop', BUFFERS), [{ shared_buffers: '128MB' }], 'of its own class');

    const { databases: found } = await rokka.status();
    const { name, shimPid: shim } = must(found.find(({ standbys }) => standbys));
    assert.ok(beside.includes(must(shim)), 'who had waited serves now');
    const waiting = childrenOf(rokka.up.pid);
    await around(async () => {
      rokka.kill([must(shim)]);
      await databases.until(
        name,
        'another shim serves',
        (now) => now?.phase === 'available' && ![undefined, shim].includes(now.shimPid),
      );
    });
    const { shimPid } = must(await databases.find(name));
    assert.ok(waiting.includes(must(shimPid)), 'it had waited for that');
    await both();
    assert.deepEqual(
      await shop.members('shop'),
      ['shop-2', 'shop-1'],
      'who dies and comes back stays the writer',
    );
  },
);

function childrenOf(pid: number): number[] {
  return fs.readFileSync(`/proc/${pid}/task/${pid}/children`, 'latin1').trim().split(' ').map(Number);
}
