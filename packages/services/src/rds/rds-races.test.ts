/** Two at the same time: one is held up just before it reads or writes something, and others do as they like meanwhile. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  DBClusterNotFoundFault,
  DBClusterSnapshotNotFoundFault,
  InstanceQuotaExceededFault,
  InvalidDBClusterStateFault,
} from '@aws-sdk/client-rds';
import { must } from '@rokka/kernel';
import { MemoryRegistry } from '@rokka/registry';
import { Crash, FailingRegistry } from '../testing/failing-registry.ts';
import { heldRegistry, type Moment } from '../testing/held-registry.ts';
import { CLUSTER, instanceOf, processOver, RdsBench, type RdsProcess } from '../testing/rds-bench.ts';
import { ACCOUNT, REGION } from '../testing/service-bench.ts';
import { type ClusterRecord, recordKeys } from './rds-records.ts';

const SHOP = { DBClusterIdentifier: 'shop' };
const instance = (name: string) => instanceOf('shop', name);
const remove = (bench: RdsBench) => bench.call('DeleteDBCluster', { ...SHOP, SkipFinalSnapshot: true });

class Meanwhile extends RdsBench {
  constructor() {
    super(new MemoryRegistry());
  }

  /** A process that is held up when it first does this to such a key; `others` run then. */
  held(at: Moment, others: () => Promise<unknown>, ...more: [Moment, () => Promise<unknown>][]): RdsProcess {
    const registry = heldRegistry(this.registry as MemoryRegistry, [[at, others], ...more]);
    return processOver(this.contextOver(registry, 99));
  }

  async clusterEntry() {
    const entry = await this.registry.get<ClusterRecord>(
      recordKeys.cluster({ account: ACCOUNT, region: REGION }, 'shop'),
    );
    return must(entry);
  }

  async instances(): Promise<string[]> {
    const { DBInstances = [] } = await this.call('DescribeDBInstances', {});
    return DBInstances.map((each) => `${each.DBInstanceIdentifier} ${each.DBInstanceStatus}`);
  }
}

test('what was asked of a cluster is not done to one that has taken its name', async () => {
  using bench = new Meanwhile();
  await bench.cluster('shop');
  const slow = bench.held({ on: 'write', key: '/clusters/shop' }, async () => {
    await bench.call('DeleteDBInstance', { DBInstanceIdentifier: 'shop-1' });
    await bench.turns();
    await remove(bench);
    await bench.turns(8);
    await bench.cluster('shop');
  });
  await assert.rejects(slow.call('StopDBCluster', SHOP), DBClusterNotFoundFault);
  await bench.turns();
  assert.equal(await bench.status('shop'), 'available');
});

test('an instance is not let into a cluster that is told to go meanwhile', async () => {
  using bench = new Meanwhile();
  await bench.call('CreateDBCluster', { ...CLUSTER, ...SHOP });
  await bench.turns();
  const slow = bench.held({ on: 'write', key: '/clusters/shop' }, () => remove(bench));
  await assert.rejects(slow.call('CreateDBInstance', instance('shop-1')));
  assert.equal((await bench.clusterEntry()).value.instance, undefined);
  await bench.turns(8);
  await assert.rejects(bench.status('shop'), DBClusterNotFoundFault);
  assert.deepEqual(await bench.instances(), []);
});

test('nor into one that has let in two others', async () => {
  using bench = new Meanwhile();
  await bench.call('CreateDBCluster', { ...CLUSTER, ...SHOP });
  await bench.turns();
  const slow = bench.held({ on: 'write', key: '/instances/shop-1' }, async () => {
    await bench.call('CreateDBInstance', instance('shop-2'));
    await bench.call('CreateDBInstance', instance('shop-3'));
  });
  await assert.rejects(slow.call('CreateDBInstance', instance('shop-1')), InstanceQuotaExceededFault);
  await bench.turns();
  assert.deepEqual(await bench.instances(), ['shop-2 available', 'shop-3 available']);

  using other = new Meanwhile();
  await other.cluster('shop');
  let late: Promise<unknown> | undefined;
  const held = other.held({ on: 'write', key: '/clusters/shop' }, async () => {
    late = other.call('CreateDBInstance', instance('shop-2'));
    await late.catch(() => {});
  });
  await Promise.allSettled([held.call('CreateDBInstance', instance('shop-3')), late]);
  await other.turns();
  assert.equal((await other.instances()).length, 2);
});

test('a cluster does not go with an instance that came after the one that goes', async () => {
  using bench = new Meanwhile();
  await bench.cluster('shop');
  await bench.call('DeleteDBInstance', { DBInstanceIdentifier: 'shop-1' });
  const slow = bench.held({ on: 'write', key: '/clusters/shop' }, async () => {
    await bench.turns();
    await bench.call('CreateDBInstance', instance('shop-2'));
  });
  await assert.rejects(
    slow.call('DeleteDBCluster', { ...SHOP, SkipFinalSnapshot: true }),
    InvalidDBClusterStateFault,
  );
  await bench.turns();
  assert.deepEqual(await bench.instances(), ['shop-2 available']);
});

test('who takes leave of an instance leaves the one that came after it', async () => {
  using bench = new Meanwhile();
  await bench.cluster('shop');
  await bench.call('DeleteDBInstance', { DBInstanceIdentifier: 'shop-1' });
  for (let step = 0; step < 3; step++) await bench.controller.step();
  let now: unknown;
  const slow = bench.held({ on: 'write', key: '/clusters/shop' }, async () => {
    await bench.turns();
    await bench.call('CreateDBInstance', instance('shop-2'));
    await bench.turns();
    now = await bench.clusterEntry();
  });
  await slow.keeper.step();
  assert.deepEqual(await bench.clusterEntry(), now, 'it has not even been out for a moment');
  const [{ name }] = await bench.context.databases.list();
  assert.equal((await bench.context.databases.get(name)).desired, 'running');
  assert.deepEqual(await bench.instances(), ['shop-2 available']);
  const clusters = await bench.call('DescribeDBClusters', SHOP);
  assert.equal(clusters.DBClusters?.[0].DBClusterMembers?.[0].DBInstanceIdentifier, 'shop-2');
});

test('who has read that there is another instance does not remove the one that came after it', async () => {
  using bench = new Meanwhile();
  await bench.cluster('shop');
  // It has read the cluster, with its first instance, and is to read the instances.
  const slow = bench.held({ on: 'list', key: '/instances/' }, async () => {
    await bench.call('DeleteDBInstance', { DBInstanceIdentifier: 'shop-1' });
    await bench.turns();
    await bench.call('CreateDBInstance', instance('shop-2'));
    await bench.turns();
    now = await bench.clusterEntry();
  });
  let now: unknown;
  await slow.keeper.settleCluster({ account: ACCOUNT, region: REGION }, 'shop');
  assert.deepEqual(await bench.clusterEntry(), now);
  await bench.turns();
  assert.deepEqual(await bench.instances(), ['shop-2 available']);
});

test('who misses an instance leaves the one that came after it', async () => {
  using bench = new Meanwhile();
  await bench.cluster('shop');
  let now: unknown;
  const slow = bench.held(
    { on: 'list', key: '/instances/' },
    async () => {
      await bench.call('DeleteDBInstance', { DBInstanceIdentifier: 'shop-1' });
      await bench.turns();
    },
    [
      // It has read that there is none by now.
      { on: 'list', key: '/cluster-snapshots/' },
      async () => {
        await bench.call('CreateDBInstance', instance('shop-2'));
        await bench.turns();
        now = await bench.clusterEntry();
      },
    ],
  );
  await slow.keeper.settleCluster({ account: ACCOUNT, region: REGION }, 'shop');
  assert.ok(now, 'it was held up twice');
  assert.deepEqual(await bench.clusterEntry(), now);
});

test('a deletion that was taken back is not carried out by who had decided on it', async () => {
  for (const asksAgain of [false, true]) {
    using bench = new Meanwhile();
    await bench.cluster('shop');
    await bench.call('DeleteDBInstance', { DBInstanceIdentifier: 'shop-1' });
    await bench.turns();
    const last = { DBClusterSnapshotIdentifier: 'last' };
    await bench.call('DeleteDBCluster', { ...SHOP, FinalDBSnapshotIdentifier: 'last' });
    await bench.controller.step();
    assert.equal(await bench.snapshotStatus('last'), 'available');
    const slow = bench.held({ on: 'write', key: '/clusters/shop' }, async () => {
      await bench.call('DeleteDBClusterSnapshot', last);
      bench.controller.snapshotsFail = 'the archive is full';
      await bench.turns();
      assert.equal(await bench.status('shop'), 'available');
      if (!asksAgain) return;
      bench.controller.snapshotsWait = true;
      await bench.call('DeleteDBCluster', { ...SHOP, FinalDBSnapshotIdentifier: 'other' });
    });
    await slow.keeper.step();
    await bench.turns();
    assert.equal(await bench.status('shop'), asksAgain ? 'deleting' : 'available');
    assert.equal((await bench.context.databases.list())[0].desired, 'stopped');
  }
});

test('an instance of a cluster that is made while a keeper looks is no stray', async () => {
  using bench = new Meanwhile();
  await bench.cluster('first');
  const slow = bench.held({ on: 'list', key: '/instances/', time: 2 }, () => bench.cluster('shop'));
  await slow.keeper.step();
  assert.deepEqual(await bench.instances(), ['first-1 available', 'shop-1 available']);
  assert.equal((await bench.context.databases.list()).length, 2);
});

test('a cluster whose port was taken is made where another one could make it after all', async () => {
  using bench = new Meanwhile();
  const { databases } = bench.context;
  await databases.create({ name: 'mine', engine: 'native', port: 6000 });
  // The second write of the cluster is the one that gives it up.
  const slow = bench.held({ on: 'write', key: '/clusters/shop', time: 2 }, async () => {
    await databases.remove('mine');
    await bench.turns();
    assert.equal(await bench.status('shop'), 'available');
  });
  await slow.call('CreateDBCluster', { ...CLUSTER, ...SHOP, Port: 6000 });
  await bench.turns();
  assert.equal(await bench.status('shop'), 'available');
});

test('a final snapshot waits until the controller has seen the cluster', async () => {
  using bench = new Meanwhile();
  await bench.call('CreateDBCluster', { ...CLUSTER, ...SHOP });
  await bench.call('DeleteDBCluster', { ...SHOP, FinalDBSnapshotIdentifier: 'last' });
  await assert.rejects(bench.snapshotStatus('last'), DBClusterSnapshotNotFoundFault);
  await bench.turns(8);
  assert.equal(await bench.snapshotStatus('last'), 'available');
});

test('what is said and done of a snapshot is not said and done of one that has taken its name', async () => {
  const one = { DBClusterSnapshotIdentifier: 'one' };
  for (const act of ['tell', 'delete']) {
    using bench = new Meanwhile();
    await bench.cluster('shop');
    await bench.call('CreateDBClusterSnapshot', { ...SHOP, ...one });
    await bench.controller.step();
    const slow = bench.held({ on: 'write', key: '/cluster-snapshots/one' }, async () => {
      bench.controller.snapshotsWait = true;
      await bench.call('DeleteDBClusterSnapshot', one);
      await bench.call('CreateDBClusterSnapshot', { ...SHOP, ...one });
    });
    if (act === 'tell') await slow.keeper.step();
    else await assert.rejects(slow.call('DeleteDBClusterSnapshot', one), DBClusterSnapshotNotFoundFault);
    assert.equal(await bench.snapshotStatus('one'), 'creating', act);
    const tellings = (await bench.events()).filter(
      (event) => event === 'one: Manual cluster snapshot created',
    );
    assert.deepEqual(tellings, [], act);
    bench.controller.snapshotsWait = false;
    await bench.turns();
    assert.equal(await bench.snapshotStatus('one'), 'available', act);
  }
});

const failOver = ({ call }: { call: RdsProcess['call'] }) => call('FailoverDBCluster', SHOP);

test('a failover, and the deletion of whom it is to: the other one is the writer', async () => {
  for (const settled of [false, true]) {
    using bench = new Meanwhile();
    await bench.pair('shop');
    const slow = bench.held({ on: 'write', key: '/clusters/shop' }, async () => {
      await bench.call('DeleteDBInstance', { DBInstanceIdentifier: 'shop-2' });
      if (settled) await bench.turns();
    });
    await assert.rejects(failOver(slow), InvalidDBClusterStateFault);
    await bench.turns(8);
    assert.deepEqual(await bench.members('shop'), ['writer shop-1 available']);
    assert.equal(await bench.status('shop'), 'available');
  }
  using bench = new Meanwhile();
  await bench.pair('shop');
  const slow = bench.held({ on: 'write', key: '/instances/shop-2' }, () => failOver(bench));
  await slow.call('DeleteDBInstance', { DBInstanceIdentifier: 'shop-2' });
  await bench.turns(8);
  assert.deepEqual(await bench.members('shop'), ['writer shop-1 available'], 'it went over, and back');
  assert.deepEqual(await bench.instances(), ['shop-1 available']);
});

test('a failover, and the deletion of the writer: the standby is the writer, and was made so once', async () => {
  using bench = new Meanwhile();
  await bench.pair('shop');
  const slow = bench.held({ on: 'write', key: '/clusters/shop' }, () =>
    bench.call('DeleteDBInstance', { DBInstanceIdentifier: 'shop-1' }),
  );
  await assert.rejects(failOver(slow), InvalidDBClusterStateFault);
  await bench.turns(8);
  assert.deepEqual(await bench.members('shop'), ['writer shop-2 available']);
  assert.deepEqual(await bench.instances(), ['shop-2 available']);

  using other = new Meanwhile();
  await other.pair('shop');
  const held = other.held({ on: 'write', key: '/instances/shop-1' }, () => failOver(other));
  await held.call('DeleteDBInstance', { DBInstanceIdentifier: 'shop-1' });
  await other.turns(8);
  assert.deepEqual(await other.members('shop'), ['writer shop-2 available']);
  for (const { registry } of [bench, other]) {
    const [database] = await registry.list<{ generation: number }>('databases/');
    assert.equal(database?.value.generation, 1);
  }
});

test('of two failovers at the same time one is made, and the other one is told so', async () => {
  using bench = new Meanwhile();
  await bench.pair('shop');
  const slow = bench.held({ on: 'write', key: '/clusters/shop' }, () => failOver(bench));
  await assert.rejects(failOver(slow), InvalidDBClusterStateFault);
  await bench.turns(8);
  assert.deepEqual(await bench.members('shop'), ['writer shop-2 available', 'standby shop-1 available']);
});

test('a failover of a cluster that stops, or fails over to and fro, meanwhile is refused', async () => {
  const others: ((bench: Meanwhile) => Promise<unknown>)[] = [
    (bench) => bench.call('StopDBCluster', SHOP),
    async (bench) => {
      await failOver(bench);
      await bench.turns(8);
      return failOver(bench);
    },
  ];
  for (const meanwhile of others) {
    using bench = new Meanwhile();
    await bench.pair('shop');
    let now: unknown;
    const slow = bench.held({ on: 'write', key: '/clusters/shop' }, async () => {
      await meanwhile(bench);
      now = await bench.clusterEntry();
    });
    await assert.rejects(failOver(slow), InvalidDBClusterStateFault);
    assert.deepEqual(await bench.clusterEntry(), now);
  }
});

test('who begins or ends a failover late leaves the one that came after it', async () => {
  for (const time of [1, 2]) {
    using bench = new Meanwhile();
    await bench.pair('shop');
    let now: unknown;
    // The first write of the keeper is the one that begins the failover, the second the one that ends it.
    const slow = bench.held({ on: 'write', key: '/clusters/shop', time }, async () => {
      await bench.turns(8);
      await cutAfterTheFirstWrite(bench);
      now = await bench.clusterEntry();
    });
    await cutAfterTheFirstWrite(bench);
    for (let turn = 0; turn < 6; turn++) {
      await bench.controller.step();
      await slow.keeper.step();
    }
    assert.ok(now, 'it was held up');
    await bench.turns(8);
    assert.deepEqual(await bench.members('shop'), ['writer shop-1 available', 'standby shop-2 available']);
    const generations = (await bench.registry.list<{ generation: number }>('databases/')).map(
      ({ value }) => value.generation,
    );
    assert.deepEqual(generations, [2], 'each had a start of its own');
  }
});

/** Fails over, and dies as soon as that is written down. */
async function cutAfterTheFirstWrite(bench: Meanwhile): Promise<void> {
  const failing = new FailingRegistry((bench.registry as MemoryRegistry).another(), {
    write: 0,
    when: 'after',
  });
  await assert.rejects(failOver(processOver(bench.contextOver(failing, 98))), Crash);
}

test('a snapshot that others have made, and whose cluster went after that, is not given up by who comes late', async () => {
  using bench = new Meanwhile();
  await bench.cluster('shop');
  const [{ name }] = await bench.context.databases.list();
  // It is to look for the database, after the first look for the cluster's status.
  const slow = bench.held({ on: 'get', key: `databases/${name}`, time: 2 }, async () => {
    // The controller, and nobody yet who would tell that it is there.
    await bench.process.keeper.step();
    await bench.controller.step();
    await bench.context.databases.remove(name);
  });
  await slow.call('CreateDBClusterSnapshot', { ...SHOP, DBClusterSnapshotIdentifier: 'one' });
  await bench.turns();
  assert.equal(await bench.snapshotStatus('one'), 'available');
});

test('an instance that came when another one had gone is not refused by who has read the cluster before', async () => {
  using bench = new Meanwhile();
  await bench.pair('shop');
  // It has read the cluster, with two instances, and is to read the instances.
  const slow = bench.held({ on: 'list', key: '/instances/' }, async () => {
    await bench.call('DeleteDBInstance', { DBInstanceIdentifier: 'shop-2' });
    await bench.turns();
    const shop3 = bench.held({ on: 'write', key: '/clusters/shop' }, async () => {
      throw new Crash();
    });
    await assert.rejects(shop3.call('CreateDBInstance', instance('shop-3')));
  });
  await slow.keeper.settleCluster({ account: ACCOUNT, region: REGION }, 'shop');
  await bench.turns();
  assert.deepEqual(await bench.instances(), ['shop-1 available', 'shop-3 available']);
});

test('a deletion that was asked for anew is not taken back by who had decided to', async () => {
  using bench = new Meanwhile();
  await bench.cluster('shop');
  await bench.call('DeleteDBInstance', { DBInstanceIdentifier: 'shop-1' });
  await bench.turns();
  bench.controller.snapshotsFail = 'the archive is full';
  await bench.call('DeleteDBCluster', { ...SHOP, FinalDBSnapshotIdentifier: 'last' });
  await bench.controller.step();
  await bench.controller.step();
  const slow = bench.held({ on: 'write', key: '/clusters/shop' }, async () => {
    await bench.turns();
    assert.equal(await bench.status('shop'), 'available');
    bench.controller.snapshotsWait = true;
    await bench.call('DeleteDBCluster', { ...SHOP, FinalDBSnapshotIdentifier: 'other' });
  });
  await slow.keeper.step();
  assert.equal(await bench.status('shop'), 'deleting');
});
