/** A few operations of real services, for tests of the gateway: each typed by the SDK, and loaded when first asked for. */
import type * as cloudwatch from '@aws-sdk/client-cloudwatch';
import type * as ec2 from '@aws-sdk/client-ec2';
import type * as rds from '@aws-sdk/client-rds';
import type * as ssm from '@aws-sdk/client-ssm';
import type * as sts from '@aws-sdk/client-sts';
import { Readable } from 'node:stream';
import { AwsError } from '../failures.ts';
import type { Operation } from '../operation.ts';
import { defineService, lazyService, type LazyService } from '../service.ts';

export const getCallerIdentity: Operation<typeof sts.GetCallerIdentityCommand> = {
  resources: () => [],
  handle: (_input, { principal }) => ({
    Account: principal.account,
    Arn: principal.arn,
    UserId: principal.userId,
  }),
};

const describeDBClusters: Operation<typeof rds.DescribeDBClustersCommand> = (input, { region, account }) => ({
  DBClusters: Array.from({ length: 10 }, (_, index) => ({
    DBClusterIdentifier: input.DBClusterIdentifier ?? `cluster-${index}`,
    DBClusterArn: `arn:aws:rds:${region}:${account}:cluster:cluster-${index}`,
    Engine: 'aurora-postgresql',
    EngineVersion: '18.4',
    Status: 'available',
    AvailabilityZones: ['a', 'b', 'c'],
    ClusterCreateTime: new Date(1_700_000_000_000),
    Port: 5432,
    TagList: [{ Key: 'team', Value: 'shop & <co>' }],
  })),
});

/** What happens in these handlers, for tests to see and to steer. */
export interface Stage {
  readonly seen: unknown[];
  /** Awaited by CreateDBCluster. */
  hold?: ((signal: AbortSignal) => Promise<void>) | undefined;
}

const createDBCluster = (sdk: typeof rds, stage: Stage): Operation<typeof rds.CreateDBClusterCommand> => ({
  resources: (input, { region, account }) => [
    `arn:aws:rds:${region}:${account}:cluster:${input.DBClusterIdentifier}`,
  ],
  conditions: (input) => ({ 'rds:DatabaseEngine': input.Engine ?? '' }),
  async handle(input, { signal }) {
    stage.seen.push(input);
    await stage.hold?.(signal);
    if (input.DBClusterIdentifier === 'dup')
      throw new sdk.DBClusterAlreadyExistsFault({ message: 'DB Cluster already exists', $metadata: {} });
    if (input.DBClusterIdentifier === 'bug') throw new TypeError('secret detail');
    if (input.DBClusterIdentifier === 'unwritable')
      return { DBCluster: { ClusterCreateTime: 'today' as never } };
    return {
      DBCluster: { DBClusterIdentifier: input.DBClusterIdentifier, Engine: input.Engine, Status: 'creating' },
    };
  },
});

const createSnapshot =
  (stage: Stage): Operation<typeof ec2.CreateSnapshotCommand> =>
  (input) => {
    stage.seen.push(input);
    if (input.VolumeId === 'vol-none')
      throw new AwsError('InvalidVolume.NotFound', "The volume 'vol-none' does not exist.");
    return { SnapshotId: 'snap-1', VolumeId: input.VolumeId, Tags: input.TagSpecifications?.[0]?.Tags };
  };

const getParameter = (sdk: typeof ssm): Operation<typeof ssm.GetParameterCommand> => ({
  handle(input) {
    if (input.Name === '/none')
      throw new sdk.ParameterNotFound({ message: 'no such parameter', $metadata: {} });
    return { Parameter: { Name: input.Name, Value: 'v', LastModifiedDate: new Date(1_700_000_000_500) } };
  },
});

const putMetricData = (stage: Stage): Operation<typeof cloudwatch.PutMetricDataCommand> => ({
  handle(input) {
    stage.seen.push(input);
    return {};
  },
});

export function testServices(stage: Stage = { seen: [] }): LazyService[] {
  return [
    lazyService({
      signingName: 'sts',
      load: async () => {
        const sdk = await import('@aws-sdk/client-sts');
        return defineService({
          sdk,
          client: sdk.STSClient,
          missingParameterCode: 'ValidationError',
          operations: { GetCallerIdentity: getCallerIdentity, AssumeRole: () => ({}) },
        });
      },
    }),
    lazyService({
      signingName: 'rds',
      load: async () => {
        const sdk = await import('@aws-sdk/client-rds');
        const operations = {
          DescribeDBClusters: describeDBClusters,
          CreateDBCluster: createDBCluster(sdk, stage),
        };
        return defineService({ sdk, client: sdk.RDSClient, operations });
      },
    }),
    lazyService({
      signingName: 'ec2',
      protocol: 'aws.protocols#ec2Query',
      load: async () => {
        const sdk = await import('@aws-sdk/client-ec2');
        return defineService({
          sdk,
          client: sdk.EC2Client,
          operations: { CreateSnapshot: createSnapshot(stage) },
        });
      },
    }),
    lazyService({
      signingName: 'ssm',
      load: async () => {
        const sdk = await import('@aws-sdk/client-ssm');
        return defineService({ sdk, client: sdk.SSMClient, operations: { GetParameter: getParameter(sdk) } });
      },
    }),
    lazyService({
      signingName: 'monitoring',
      load: async () => {
        const sdk = await import('@aws-sdk/client-cloudwatch');
        const operations = { PutMetricData: putMetricData(stage) };
        return defineService({ sdk, client: sdk.CloudWatchClient, actionPrefix: 'cloudwatch', operations });
      },
    }),
    lazyService({
      signingName: 'polly',
      load: async () => {
        const sdk = await import('@aws-sdk/client-polly');
        return defineService({
          sdk,
          client: sdk.PollyClient,
          operations: {
            SynthesizeSpeech: (input) => ({
              AudioStream: Readable.from([Buffer.from(`RIFF ${input.Text}`)]) as never,
              ContentType: 'audio/wav',
            }),
          },
        });
      },
    }),
  ];
}
