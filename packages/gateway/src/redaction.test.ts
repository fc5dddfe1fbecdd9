import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as iam from '@aws-sdk/client-iam';
import * as rds from '@aws-sdk/client-rds';
import { normalized } from './codecs/schema.ts';
import { redact } from './redaction.ts';

const createCluster = normalized(rds.CreateDBCluster$[4]);

test('what the schema calls sensitive is hidden, wherever it stands', () => {
  const kept = redact(createCluster, {
    DBClusterIdentifier: 'orders',
    MasterUsername: 'admin',
    MasterUserPassword: 'geheim',
    PreSignedUrl: 'https://…',
    Tags: [{ Key: 'team', Value: 'shop' }],
  });
  assert.deepEqual(kept, {
    DBClusterIdentifier: 'orders',
    MasterUsername: 'admin',
    MasterUserPassword: '***',
    PreSignedUrl: '***',
    Tags: [{ Key: 'team', Value: 'shop' }],
  });
});

test('where the schema says nothing the name does, but not for what only refers to a secret', () => {
  const kept = redact(normalized(iam.ListAccessKeys$[4]), {
    SecretAccessKey: 'x',
    nested: {
      SessionToken: ['y', 'z'],
      MasterUserSecretKmsKeyId: 'key',
      SecretArn: 'arn',
      Password: { a: 'b' },
    },
    ManageMasterUserPassword: true,
    Marker: 'm',
  });
  assert.deepEqual(kept, {
    SecretAccessKey: '***',
    nested: { SessionToken: '***', MasterUserSecretKmsKeyId: 'key', SecretArn: 'arn', Password: '***' },
    ManageMasterUserPassword: true,
    Marker: 'm',
  });
});

test('a record is bounded, whatever is sent', () => {
  const long = 'x'.repeat(1_000_000);
  const deep = Array.from({ length: 100 }).reduce<unknown>((inner) => ({ inner }), 'end');
  const inputs = [
    { DBClusterIdentifier: long },
    { AvailabilityZones: Array.from({ length: 10_000 }, () => long) },
    Object.fromEntries(Array.from({ length: 100_000 }, (_, index) => [`name${index}`, index])),
    { [long]: 1 },
    deep,
  ];
  for (const input of inputs) assert.ok(JSON.stringify(redact(createCluster, input)).length < 100_000);
});
