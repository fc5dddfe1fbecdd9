/** Lists: filters, pages, tags, events, and what there is to choose from. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DBClusterNotFoundFault } from '@aws-sdk/client-rds';
import { readFileSync } from 'node:fs';
import { CLUSTER, RdsBench } from '../testing/rds-bench.ts';
import { ENGINE_VERSION } from './engine-versions.ts';

test('pages cover everything once, and a marker counts for its list alone', async () => {
  using bench = new RdsBench();
  const names = Array.from({ length: 45 }, (_, index) => `c${String(index).padStart(2, '0')}`);
  for (const DBClusterIdentifier of names)
    await bench.call('CreateDBCluster', { ...CLUSTER, DBClusterIdentifier });
  const seen: (string | undefined)[] = [];
  let Marker: string | undefined;
  do {
    const page = await bench.call('DescribeDBClusters', { MaxRecords: 20, ...(Marker && { Marker }) });
    seen.push(...(page.DBClusters ?? []).map(({ DBClusterIdentifier }) => DBClusterIdentifier));
    ({ Marker } = page);
  } while (Marker !== undefined);
  assert.deepEqual(seen, names);
  const refused = { code: 'InvalidParameterValue' };
  const first = await bench.call('DescribeDBClusters', { MaxRecords: 20 });
  await assert.rejects(bench.call('DescribeDBInstances', { Marker: first.Marker }), refused);
  await assert.rejects(bench.call('DescribeDBClusters', { Marker: 'made-up' }), refused);
  for (const MaxRecords of [19, 101, 20.5])
    await assert.rejects(bench.call('DescribeDBClusters', { MaxRecords }), refused);
});

test('filters', async () => {
  using bench = new RdsBench();
  await bench.cluster('a');
  await bench.cluster('b');
  const instances = async (Name: string, ...Values: string[]) => {
    const { DBInstances } = await bench.call('DescribeDBInstances', { Filters: [{ Name, Values }] });
    return DBInstances?.map(({ DBInstanceIdentifier }) => DBInstanceIdentifier);
  };
  assert.deepEqual(await instances('db-cluster-id', 'b'), ['b-1']);
  assert.deepEqual(await instances('db-cluster-id', 'arn:aws:rds:eu-north-1:123456789012:cluster:a', 'b'), [
    'a-1',
    'b-1',
  ]);
  assert.deepEqual(await instances('engine', 'mysql'), []);
  const clusters = async (Name: string, ...Values: string[]) => {
    const { DBClusters } = await bench.call('DescribeDBClusters', { Filters: [{ Name, Values }] });
    return DBClusters?.map(({ DBClusterIdentifier }) => DBClusterIdentifier);
  };
  assert.deepEqual(await clusters('db-cluster-id', 'a', 'none'), ['a']);
  assert.deepEqual(await clusters('domain', 'd'), []);
  await assert.rejects(clusters('colour', 'red'), { code: 'InvalidParameterValue' });
  await assert.rejects(clusters('toString', 'red'), { code: 'InvalidParameterValue' });
  await assert.rejects(clusters('engine'), { code: 'InvalidParameterValue' });
});

test('tags of all three kinds, by ARN', async () => {
  using bench = new RdsBench();
  await bench.cluster('shop', { Tags: [{ Key: 'team', Value: 'a' }], CopyTagsToSnapshot: true });
  await bench.call('CreateDBClusterSnapshot', {
    DBClusterIdentifier: 'shop',
    DBClusterSnapshotIdentifier: 'one',
    Tags: [{ Key: 'own', Value: '1' }],
  });
  const arn = (resource: string) => `arn:aws:rds:eu-north-1:123456789012:${resource}`;
  const tags = async (resource: string) =>
    (await bench.call('ListTagsForResource', { ResourceName: arn(resource) })).TagList;
  assert.deepEqual(await tags('cluster-snapshot:one'), [
    { Key: 'team', Value: 'a' },
    { Key: 'own', Value: '1' },
  ]);
  for (const resource of ['cluster:shop', 'db:shop-1', 'cluster-snapshot:one']) {
    const ResourceName = arn(resource);
    await bench.call('AddTagsToResource', {
      ResourceName,
      Tags: [{ Key: 'team', Value: 'b' }, { Key: 'x' }],
    });
    await bench.call('RemoveTagsFromResource', { ResourceName, TagKeys: ['x', 'none', 'own'] });
    assert.deepEqual(await tags(resource), [{ Key: 'team', Value: 'b' }]);
  }
  await assert.rejects(tags('cluster:none'), DBClusterNotFoundFault);
  for (const resource of ['og:none', 'cluster:', 'cluster:a/b'])
    await assert.rejects(tags(resource), { code: 'InvalidParameterValue' });
  const many = Array.from({ length: 50 }, (_, index) => ({ Key: `k${index}`, Value: '' }));
  await assert.rejects(bench.call('AddTagsToResource', { ResourceName: arn('cluster:shop'), Tags: many }), {
    code: 'InvalidParameterValue',
  });
  assert.equal((await tags('cluster:shop'))?.length, 1);
});

test('events are found by source, time and category, and the last ones are kept', async () => {
  using bench = new RdsBench();
  await bench.cluster('shop');
  const events = (input: Parameters<typeof bench.call<'DescribeEvents'>>[1]) =>
    bench.call('DescribeEvents', input).then(({ Events }) => Events ?? []);
  assert.equal((await events({})).length, 2);
  const [one, ...more] = await events({ SourceIdentifier: 'SHOP-1', SourceType: 'db-instance' });
  assert.deepEqual(more, []);
  assert.deepEqual(one.EventCategories, ['creation']);
  assert.equal(one.SourceArn, 'arn:aws:rds:eu-north-1:123456789012:db:shop-1');
  assert.deepEqual(await events({ EventCategories: ['failure'] }), []);
  await assert.rejects(events({ SourceIdentifier: 'shop' }), { code: 'InvalidParameterCombination' });
  await assert.rejects(events({ Duration: 0 }), { code: 'InvalidParameterValue' });
  bench.clock.advanceTo(2 * 3_600_000);
  assert.deepEqual(await events({}), []);
  assert.equal((await events({ Duration: 180 })).length, 2);
  assert.equal((await events({ StartTime: one.Date })).length, 1);
  // After 14 days they go with the next one.
  bench.clock.advanceTo(15 * 86_400_000);
  await bench.cluster('other');
  assert.equal(
    (await bench.events()).some((event) => event.startsWith('shop')),
    false,
  );
});

test('there is one engine version, the one that is bundled', async () => {
  using bench = new RdsBench();
  const manifest = JSON.parse(
    readFileSync(new URL('../../../databases/package.json', import.meta.url), 'utf8'),
  ) as { optionalDependencies: Record<string, string> };
  for (const version of Object.values(manifest.optionalDependencies))
    assert.ok(version.startsWith(`${ENGINE_VERSION}.`), version);
  const versions = async (input: object) =>
    (await bench.call('DescribeDBEngineVersions', input)).DBEngineVersions?.map((each) => each.EngineVersion);
  assert.deepEqual(await versions({}), [ENGINE_VERSION]);
  assert.deepEqual(await versions({ Engine: 'mysql' }), []);
  assert.deepEqual(await versions({ Filters: [{ Name: 'engine', Values: ['aurora-postgresql'] }] }), [
    ENGINE_VERSION,
  ]);
  const options = await bench.call('DescribeOrderableDBInstanceOptions', { Engine: 'aurora-postgresql' });
  assert.ok((options.OrderableDBInstanceOptions?.length ?? 0) >= 4);
  const none = await bench.call('DescribeOrderableDBInstanceOptions', { Engine: 'mysql' });
  assert.deepEqual(none.OrderableDBInstanceOptions, []);
});
