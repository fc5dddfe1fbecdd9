/** The decision by itself: what the tests of whole operations do not come by. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { DatabaseRecord, DatabaseState } from '@rokka/databases';
import type { VolumeId } from '@rokka/kernel';
import type { ClusterFacts } from './cluster-facts.ts';
import { sizedFor } from './instance-sizes.ts';
import { decideCluster } from './keeping.ts';
import type { ClusterRecord, InstanceRecord } from './rds-records.ts';
import { clusterStatus, instanceStatus } from './status.ts';

const CLUSTER: ClusterRecord = {
  id: 'shop',
  resourceId: 'cluster-A',
  database: 'c-0',
  createdAtMs: 1,
  engineVersion: '18.4',
  userName: 'shop',
  retentionDays: 1,
  backupWindow: '04:00-04:30',
  maintenanceWindow: 'sun:05:00-sun:05:30',
  deletionProtection: false,
  copyTagsToSnapshot: false,
  tags: [],
  instance: 'shop-1',
};
const INSTANCE: InstanceRecord = {
  id: 'shop-1',
  resourceId: 'db-A',
  cluster: 'shop',
  clusterResourceId: 'cluster-A',
  createdAtMs: 1,
  instanceClass: 'db.r8g.large',
  promotionTier: 1,
  maintenanceWindow: 'sun:05:00-sun:05:30',
  tags: [],
  told: { generation: 0 },
};
const STANDBY: InstanceRecord = { ...INSTANCE, id: 'shop-2', resourceId: 'db-B' };
const PAIR: ClusterRecord = { ...CLUSTER, standby: 'shop-2' };
const DATABASE: DatabaseRecord = {
  name: 'c-0',
  engine: 'native',
  volumeId: 'vol-1' as VolumeId,
  createdAtMs: 1,
  port: 5433,
  desired: 'running',
  generation: 0,
  databaseName: 'postgres',
  userName: 'shop',
  passwordVersion: 0,
  retentionDays: 1,
  ...sizedFor('db.r8g.large', { settings: {} }),
};
const SERVING: DatabaseState = { phase: 'available', generation: 0, passwordVersion: 0, atMs: 2 };

const facts = (part: Partial<ClusterFacts> = {}): ClusterFacts => ({
  cluster: CLUSTER,
  instances: [INSTANCE],
  database: DATABASE,
  state: SERVING,
  snapshots: [],
  finalSnapshot: undefined,
  nowMs: 3,
  ...part,
});

test('for what is as it shall be there is nothing to do', () => {
  assert.deepEqual(decideCluster(facts()), { step: 'none' });
});

test('a cluster whose instance is not there has none, before anything is stopped for it', () => {
  assert.deepEqual(decideCluster(facts({ instances: [] })), { step: 'dismiss-missing' });
});

test('an instance that is not let in is refused before its record goes', () => {
  const other: InstanceRecord = { ...INSTANCE, id: 'shop-3', resourceId: 'db-C' };
  const instances = [INSTANCE, STANDBY, other];
  assert.deepEqual(decideCluster(facts({ cluster: PAIR, instances })), { step: 'refuse', instance: other });
  const cluster = { ...PAIR, refused: ['db-C'] };
  assert.deepEqual(decideCluster(facts({ cluster, instances })), {
    step: 'remove-instance',
    instance: other,
  });
});

test('what is decided to go goes, whatever becomes of its final snapshot', () => {
  const finalSnapshot = { id: 'last', kept: 'snap-0000000000000000' };
  const { instance: _, ...bare } = CLUSTER;
  const database: DatabaseRecord = { ...DATABASE, desired: 'stopped' };
  const state: DatabaseState = { ...SERVING, phase: 'stopped' };
  const going = (decided: boolean) =>
    decideCluster(
      facts({
        cluster: { ...bare, deleting: { sinceMs: 1, finalSnapshot, ...(decided && { decided }) } },
        instances: [],
        database,
        state,
      }),
    );
  assert.deepEqual(going(false), { step: 'take-final-snapshot', ...finalSnapshot });
  assert.deepEqual(going(true), { step: 'set-desired', desired: 'deleted' });
});

test('what comes next for two instances', () => {
  const database: DatabaseRecord = { ...DATABASE, standbys: 1 };
  const state: DatabaseState = { ...SERVING, standbys: 1 };
  const going = <T extends InstanceRecord>(instance: T) => ({ ...instance, deleting: { sinceMs: 1 } });
  const instances = [INSTANCE, STANDBY];
  const change = sizedFor('db.r8g.large', database);
  const chosen = { sinceMs: 5, generation: 1 };
  const restarted: DatabaseRecord = { ...database, generation: 1 };
  const { told: _, ...fresh } = STANDBY;
  const larger: InstanceRecord = { ...STANDBY, pendingClass: 'db.r8g.xlarge' };
  const told: InstanceRecord = { ...INSTANCE, told: { generation: 1 } };
  const rows: [string, Partial<ClusterFacts>, ReturnType<typeof decideCluster>][] = [
    ['all is as it shall be', {}, { step: 'none' }],
    ['a second one comes', { cluster: CLUSTER }, { step: 'admit', instance: STANDBY }],
    [
      'its process is asked for',
      { database: DATABASE },
      { step: 'change-database', change: { standbys: 1 } },
    ],
    ['it waits for its process', { instances: [INSTANCE, fresh], state: SERVING }, { step: 'none' }],
    [
      'it waits',
      { instances: [INSTANCE, fresh] },
      { step: 'tell-instance', instance: fresh, told: { generation: 0 } },
    ],
    ['another class of it', { instances: [INSTANCE, larger] }, { step: 'apply-class', instance: larger }],
    ['it goes', { instances: [INSTANCE, going(STANDBY)] }, { step: 'dismiss', instance: going(STANDBY) }],
    [
      'it has gone',
      { cluster: CLUSTER, instances: [INSTANCE] },
      { step: 'change-database', change: { standbys: 0 } },
    ],
    ['its record is not there', { instances: [INSTANCE] }, { step: 'dismiss-missing' }],
    ["the writer's is not there", { instances: [STANDBY] }, { step: 'dismiss-missing' }],
    [
      'the writer goes',
      { instances: [going(INSTANCE), STANDBY] },
      { step: 'fail-over', writer: 'shop-1', standby: 'shop-2' },
    ],
    [
      'both go',
      { instances: [going(INSTANCE), going(STANDBY)] },
      { step: 'dismiss', instance: going(STANDBY) },
    ],
    [
      'another one is the writer now',
      { cluster: { ...PAIR, failover: { sinceMs: 5 } } },
      { step: 'begin-failover', failover: { sinceMs: 5 }, generation: 1 },
    ],
    [
      'it is to have a start of its own',
      { cluster: { ...PAIR, failover: chosen } },
      { step: 'change-database', change, generation: 1 },
    ],
    ['it starts', { cluster: { ...PAIR, failover: chosen }, database: restarted }, { step: 'none' }],
    [
      'who was the writer goes, and waits until the other one serves',
      {
        cluster: { ...PAIR, failover: chosen },
        instances: [INSTANCE, going(STANDBY)],
        database: { ...restarted, standbys: 0 },
      },
      { step: 'none' },
    ],
    [
      'it serves',
      { cluster: { ...PAIR, failover: chosen }, database: restarted, state: { ...state, generation: 1 } },
      { step: 'tell-instance', instance: INSTANCE, told: { generation: 1 } },
    ],
    [
      'and that is told',
      {
        cluster: { ...PAIR, failover: chosen },
        instances: [told, STANDBY],
        database: restarted,
        state: { ...state, generation: 1 },
      },
      { step: 'end-failover', failover: chosen },
    ],
  ];
  for (const [name, part, step] of rows)
    assert.deepEqual(
      decideCluster(facts({ cluster: PAIR, instances, database, state, ...part })),
      step,
      name,
    );
});

test('a table of statuses', () => {
  const { told: _, ...fresh } = INSTANCE;
  const state = (part: Partial<DatabaseState>) => ({ state: { ...SERVING, ...part } });
  const rows: [string, Partial<ClusterFacts>, cluster: string, instance: string][] = [
    ['it serves', {}, 'available', 'available'],
    ['nothing was done yet', { state: undefined }, 'creating', 'creating'],
    [
      'no database yet',
      { database: undefined, cluster: { ...CLUSTER, wish: { password: 'x' } } },
      'creating',
      'creating',
    ],
    [
      'the first start',
      { state: { phase: 'creating', atMs: 2 }, instances: [fresh] },
      'available',
      'creating',
    ],
    [
      'the first start fails',
      { state: { phase: 'failed', atMs: 2 }, instances: [fresh] },
      'failed',
      'failed',
    ],
    [
      'a new instance on old data',
      { ...state({ phase: 'starting' }), instances: [fresh] },
      'available',
      'creating',
    ],
    ['its head was lost', state({ phase: 'starting' }), 'starting', 'starting'],
    ['it shall restart', { database: { ...DATABASE, generation: 1 } }, 'rebooting', 'rebooting'],
    [
      'it restarts',
      { database: { ...DATABASE, generation: 1 }, ...state({ phase: 'starting' }) },
      'rebooting',
      'rebooting',
    ],
    [
      'a new password',
      { database: { ...DATABASE, passwordVersion: 1 } },
      'resetting-master-credentials',
      'resetting-master-credentials',
    ],
    [
      'a class not told yet',
      { instances: [{ ...INSTANCE, instanceClass: 'db.r8g.xlarge' }] },
      'modifying',
      'modifying',
    ],
    ['it shall stop', { cluster: { ...CLUSTER, stopped: true } }, 'stopping', 'stopping'],
    [
      'it is stopped',
      { cluster: { ...CLUSTER, stopped: true }, ...state({ phase: 'stopped' }) },
      'stopped',
      'stopped',
    ],
    ['it shall start', state({ phase: 'stopped' }), 'starting', 'starting'],
    [
      'its instance goes',
      { instances: [{ ...INSTANCE, deleting: { sinceMs: 1 } }] },
      'available',
      'deleting',
    ],
    ['it goes', { cluster: { ...CLUSTER, deleting: { sinceMs: 1 } } }, 'deleting', 'deleting'],
    [
      'somebody deletes its database',
      { database: { ...DATABASE, desired: 'deleted' } },
      'deleting',
      'deleting',
    ],
    ['somebody has deleted its database', { database: undefined }, 'deleting', 'deleting'],
  ];
  const pair = { cluster: PAIR, instances: [STANDBY, INSTANCE] };
  const { told: __, ...never } = STANDBY;
  const failover = { sinceMs: 5, generation: 1 };
  const behind = { ...DATABASE, generation: 1 };
  rows.push(
    ['a standby waits', { ...pair, ...state({ standbys: 1 }) }, 'available', 'available'],
    ['a standby does not wait any more', pair, 'available', 'starting'],
    ['a standby has never waited', { ...pair, instances: [never, INSTANCE] }, 'available', 'creating'],
    [
      'a standby of what stands still',
      { ...pair, cluster: { ...PAIR, stopped: true }, ...state({ phase: 'stopped' }) },
      'stopped',
      'stopped',
    ],
    [
      'a failover is decided',
      { cluster: { ...CLUSTER, failover: { sinceMs: 5 } } },
      'failing-over',
      'rebooting',
    ],
    ['a failover, and its start', { cluster: { ...CLUSTER, failover } }, 'failing-over', 'rebooting'],
    [
      'who was the writer waits for that',
      { ...pair, cluster: { ...PAIR, failover }, database: behind, ...state({ standbys: 1 }) },
      'failing-over',
      'starting',
    ],
    [
      'a failover ends',
      { cluster: { ...CLUSTER, failover }, database: behind, ...state({ generation: 1 }) },
      'failing-over',
      'available',
    ],
    [
      'a failover to one that does not start',
      { cluster: { ...CLUSTER, failover }, database: behind, ...state({ phase: 'failed' }) },
      'failed',
      'failed',
    ],
  );
  for (const [name, part, cluster, instance] of rows) {
    const now = facts(part);
    const [known = INSTANCE] = now.instances;
    assert.deepEqual([clusterStatus(now), instanceStatus(now, known)], [cluster, instance], name);
  }
});
