/** Clients that people have, over a socket: the SDK for JavaScript and the AWS CLI. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { CloudWatchClient, PutMetricDataCommand } from '@aws-sdk/client-cloudwatch';
import { CreateSnapshotCommand, EC2Client } from '@aws-sdk/client-ec2';
import { PollyClient, SynthesizeSpeechCommand } from '@aws-sdk/client-polly';
import {
  CreateDBClusterCommand,
  DBClusterAlreadyExistsFault,
  DeleteDBClusterCommand,
  DescribeDBClustersCommand,
  RDSClient,
} from '@aws-sdk/client-rds';
import { GetParameterCommand, ParameterNotFound, SSMClient } from '@aws-sdk/client-ssm';
import { GetCallerIdentityCommand, STSClient } from '@aws-sdk/client-sts';
import { ALICE, SESSION } from './testing/identity.ts';
import { serve, type Served } from './testing/served.ts';

test('the SDK is answered in every protocol, with values, errors and streams', async () => {
  await using served = await serve();
  const { client } = served;
  const rds = new RDSClient(client);
  const { DBClusters } = await rds.send(new DescribeDBClustersCommand({}));
  assert.equal(DBClusters?.length, 10);
  assert.equal(DBClusters[9].TagList?.[0].Value, 'shop & <co>');
  assert.equal(DBClusters[0].DBClusterArn, 'arn:aws:rds:eu-north-1:123456789012:cluster:cluster-0');
  assert.deepEqual(DBClusters[0].ClusterCreateTime, new Date(1_700_000_000_000));
  const create = (DBClusterIdentifier: string) =>
    rds.send(new CreateDBClusterCommand({ DBClusterIdentifier, Engine: 'aurora-postgresql' }));
  assert.equal((await create('orders')).DBCluster?.Status, 'creating');
  await assert.rejects(create('dup'), DBClusterAlreadyExistsFault);
  await assert.rejects(create('bug'), { name: 'InternalFailure' });

  const identity = await new STSClient(client).send(new GetCallerIdentityCommand({}));
  assert.equal(identity.Arn, ALICE.principal.arn);
  const ssm = new SSMClient(client);
  const { Parameter } = await ssm.send(new GetParameterCommand({ Name: '/a' }));
  assert.deepEqual(Parameter?.LastModifiedDate, new Date(1_700_000_000_500));
  await assert.rejects(ssm.send(new GetParameterCommand({ Name: '/none' })), ParameterNotFound);
  const tags = [{ Key: 'ü', Value: '<&>' }];
  const snapshot = await new EC2Client(client).send(
    new CreateSnapshotCommand({
      VolumeId: 'vol-1',
      TagSpecifications: [{ ResourceType: 'snapshot', Tags: tags }],
    }),
  );
  assert.deepEqual(snapshot.Tags, tags);
  await new CloudWatchClient(client).send(
    new PutMetricDataCommand({
      Namespace: 'n',
      MetricData: [{ MetricName: 'm', Value: 1.5, Timestamp: new Date(5000) }],
    }),
  );
  assert.deepEqual(served.stage.seen.at(-1), {
    Namespace: 'n',
    MetricData: [{ MetricName: 'm', Value: 1.5, Timestamp: new Date(5000) }],
  });
});

test('a client that speaks HTTP/2 with prior knowledge is answered on the same port, with a stream', async () => {
  await using served = await serve();
  const polly = new PollyClient(served.client);
  const speak = () =>
    polly.send(new SynthesizeSpeechCommand({ Text: 'hé', OutputFormat: 'pcm', VoiceId: 'Amy' }));
  const answers = await Promise.all(Array.from({ length: 20 }, speak));
  for (const answer of answers) assert.equal(await answer.AudioStream?.transformToString(), 'RIFF hé');
  assert.equal(answers[0].ContentType, 'audio/wav');
  polly.destroy();
});

test('keys, sessions and permissions are checked', async () => {
  await using served = await serve();
  const whoIs = (credentials: object) =>
    new STSClient({ ...served.client, credentials: credentials as never }).send(
      new GetCallerIdentityCommand({}),
    );
  assert.match((await whoIs(SESSION)).Arn ?? '', /assumed-role\/deployer\/night/);
  await assert.rejects(whoIs({ ...SESSION, sessionToken: 'x' }), { name: 'InvalidClientTokenId' });
  await assert.rejects(whoIs({ ...ALICE, secretAccessKey: 'x' }), { name: 'SignatureDoesNotMatch' });
  served.authorizer.deny.set('rds:DescribeDBClusters', 'implicitDeny');
  const rds = new RDSClient(served.client);
  await assert.rejects(rds.send(new DescribeDBClustersCommand({})), (error: Error) => {
    assert.equal(error.name, 'AccessDenied');
    assert.match(error.message, /no identity-based policy allows the rds:DescribeDBClusters action/);
    return true;
  });
  await assert.rejects(rds.send(new DeleteDBClusterCommand({ DBClusterIdentifier: 'a' })), {
    name: 'NotImplemented',
  });
});

test("the SDK's retries and its calls that are the same within a second are all heard", async () => {
  await using served = await serve();
  const rds = new RDSClient({ ...served.client, maxAttempts: 3 });
  const command = () => new CreateDBClusterCommand({ DBClusterIdentifier: 'same', Engine: 'e' });
  await Promise.all(Array.from({ length: 10 }, () => rds.send(command())));
  assert.equal(served.stage.seen.length, 10);
  served.stage.seen.length = 0;
  await assert.rejects(rds.send(new CreateDBClusterCommand({ DBClusterIdentifier: 'bug', Engine: 'e' })));
  assert.equal(served.stage.seen.length, 3, 'each attempt reaches the handler');
});

const run = promisify(execFile);
const cli = await run('aws', ['--version']).then(
  ({ stdout, stderr }) => `${stdout}${stderr}`.trim(),
  () => undefined,
);

test('the AWS CLI is answered', { skip: cli === undefined ? 'no `aws` on the path' : false }, async (t) => {
  t.diagnostic(cli ?? '');
  await using served = await serve();
  assert.deepEqual(JSON.parse((await aws(served, 'sts get-caller-identity')).stdout), {
    UserId: ALICE.principal.userId,
    Account: ALICE.principal.account,
    Arn: ALICE.principal.arn,
  });
  const described = JSON.parse((await aws(served, 'rds describe-db-clusters')).stdout) as {
    DBClusters: object[];
  };
  assert.equal(described.DBClusters.length, 10);
  await aws(
    served,
    'rds create-db-cluster --db-cluster-identifier cli --engine aurora-postgresql --master-user-password geheim --availability-zones a b --tags Key=ü,Value=<&>',
  );
  assert.deepEqual(served.stage.seen.at(-1), {
    DBClusterIdentifier: 'cli',
    Engine: 'aurora-postgresql',
    MasterUserPassword: 'geheim',
    AvailabilityZones: ['a', 'b'],
    Tags: [{ Key: 'ü', Value: '<&>' }],
  });
  assert.doesNotMatch(JSON.stringify(served.audit.records), /geheim/);
  await aws(served, 'ec2 create-snapshot --volume-id vol-1');
  await aws(served, 'ssm get-parameter --name /a');
  await aws(
    served,
    'cloudwatch put-metric-data --namespace n --metric-name m --value 2 --timestamp 2026-01-31T12:00:00Z',
  );
  const [datum] = (served.stage.seen.at(-1) as { MetricData: { Value: number; Timestamp: Date }[] })
    .MetricData;
  assert.equal(datum.Value, 2);
  assert.deepEqual(datum.Timestamp, new Date('2026-01-31T12:00:00Z'));
  const refused = await aws(served, 'ec2 create-snapshot --volume-id vol-none').catch(
    (error: unknown) => error,
  );
  assert.match(
    (refused as { stderr: string }).stderr,
    /\(InvalidVolume.NotFound\) when calling the CreateSnapshot/,
  );
  const missing = await aws(served, 'rds delete-db-cluster --db-cluster-identifier a').catch(
    (error: unknown) => error,
  );
  assert.match(
    (missing as { stderr: string }).stderr,
    /\(NotImplemented\).*rds:DeleteDBCluster is not implemented here/,
  );
});

/** `command` has its arguments between single spaces. */
async function aws(served: Served, command: string): Promise<{ stdout: string; stderr: string }> {
  return await run('aws', ['--endpoint-url', served.gateway.url, '--output', 'json', ...command.split(' ')], {
    timeout: 240_000,
    env: {
      PATH: process.env['PATH'],
      HOME: '/nonexistent',
      AWS_ACCESS_KEY_ID: ALICE.accessKeyId,
      AWS_SECRET_ACCESS_KEY: ALICE.secretAccessKey,
      AWS_DEFAULT_REGION: 'eu-north-1',
      AWS_EC2_METADATA_DISABLED: 'true',
      AWS_MAX_ATTEMPTS: '1',
    },
  });
}
