import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as rds from '@aws-sdk/client-rds';
import * as sts from '@aws-sdk/client-sts';
import { Deferred, isCoded } from '@rokka/kernel';
import type { Operation } from './operation.ts';
import { defineService, lazyService, type Service } from './service.ts';

const rdsService = (
  operations: Parameters<typeof defineService<typeof rds>>[0]['operations'] = {},
): Service => defineService({ sdk: rds, client: rds.RDSClient, operations });

test('what a service is, is read off its client', () => {
  const service = rdsService();
  assert.equal(service.signingName, 'rds');
  assert.equal(service.eventSource, 'rds.amazonaws.com');
  assert.equal(service.protocol, 'aws.protocols#awsQuery');
  assert.equal(service.version, '2014-10-31');
  assert.ok(service.operations.size > 150);
  assert.ok(service.errors.has('DBClusterAlreadyExistsFault'));
});

test('handlers have the official types', () => {
  const create: Operation<typeof rds.CreateDBClusterCommand> = {
    resources: (input, { region }) => [`${region}:${input.DBClusterIdentifier}`],
    // @ts-expect-error a member that the input does not have
    handle: (input) => ({ DBCluster: { Engine: input.NoSuchMember } }),
  };
  // @ts-expect-error a member of the output with another type
  const wrong: Operation<typeof rds.CreateDBClusterCommand> = () => ({ DBCluster: { Port: 'five' } });
  // @ts-expect-error an output that is none
  const other: Operation<typeof rds.CreateDBClusterCommand> = async () => 7;
  assert.ok(create && wrong && other);
  rdsService({
    CreateDBCluster: create,
    DescribeDBClusters: (input, { account }) => ({ Marker: `${input.Marker} ${account}` }),
    // @ts-expect-error the types of another operation
    DeleteDBCluster: create,
  });
});

test('a name that is no operation is refused by the compiler and at run time', () => {
  assert.throws(
    // @ts-expect-error no such operation
    () => rdsService({ CreateDBClusters: () => ({}) }),
    (error) => isCoded(error, 'GATEWAY_UNKNOWN_OPERATION'),
  );
});

test('a module that is no client of the SDK is refused', () => {
  class Odd {
    readonly config = { protocol: { getShapeId: () => 'aws.protocols#restXml' } };
  }
  assert.throws(
    () => defineService({ sdk: sts, client: Odd, operations: {} }),
    (error) => isCoded(error, 'GATEWAY_SDK_CHANGED'),
  );
});

test('whether an operation changes anything is told by its name, or by itself', () => {
  const { handlers } = rdsService({
    DescribeDBClusters: () => ({}),
    CreateDBCluster: () => ({}),
    ListTagsForResource: { readOnly: false, handle: () => ({}) },
  });
  const readOnly = Object.fromEntries([...handlers].map(([name, handler]) => [name, handler.readOnly]));
  assert.deepEqual(readOnly, {
    DescribeDBClusters: true,
    CreateDBCluster: false,
    ListTagsForResource: false,
  });
});

test('what gives out a new secret is not only read', () => {
  const handle = () => ({});
  const { handlers } = defineService({
    sdk: sts,
    client: sts.STSClient,
    operations: { GetSessionToken: handle, AssumeRole: handle, GetCallerIdentity: handle },
  });
  assert.deepEqual(
    [...handlers].filter(([, handler]) => handler.readOnly).map(([name]) => name),
    ['GetCallerIdentity'],
  );
});

test('a lazy service is loaded once for all who ask at the same time', async () => {
  let loads = 0;
  const gate = new Deferred<void>();
  const lazy = lazyService({
    signingName: 'rds',
    load: async () => {
      loads++;
      await gate.promise;
      return rdsService();
    },
  });
  assert.equal(loads, 0);
  const loading = Promise.all([lazy.load(), lazy.load()]);
  gate.resolve();
  const [first, second] = await loading;
  assert.equal(first, second);
  assert.equal(await lazy.load(), first);
  assert.equal(loads, 1);
});

test('a lazy service that turns out to be another stays refused', async () => {
  const lazy = lazyService({ signingName: 'sts', load: async () => rdsService() });
  for (let i = 0; i < 2; i++)
    await assert.rejects(lazy.load(), (error) => isCoded(error, 'GATEWAY_SERVICE_MISNAMED'));
});
