/** A machine with a role, as programs on it see that: the official client with the machine's keys, against a gateway that asks IAM. */
import assert from 'node:assert/strict';
import * as path from 'node:path';
import { test } from 'node:test';
import {
  AssociateIamInstanceProfileCommand,
  CreateSnapshotsCommand,
  DescribeIamInstanceProfileAssociationsCommand,
  DescribeInstancesCommand,
  DescribeVolumesCommand,
  DisassociateIamInstanceProfileCommand,
  EC2Client,
  ReplaceIamInstanceProfileAssociationCommand,
} from '@aws-sdk/client-ec2';
import {
  AddRoleToInstanceProfileCommand,
  CreateAccessKeyCommand,
  CreateInstanceProfileCommand,
  CreateRoleCommand,
  CreateUserCommand,
  IAMClient,
  PutRolePolicyCommand,
  PutUserPolicyCommand,
} from '@aws-sdk/client-iam';
import { GetCallerIdentityCommand, STSClient } from '@aws-sdk/client-sts';
import { openGateway } from '@rokka/gateway';
import { must, systemClock, systemRandom } from '@rokka/kernel';
import { lookupEvents } from '../cloudtrail/lookup-events.ts';
import { openTrail } from '../cloudtrail/trail.ts';
import { ensureAdministrator } from '../iam/administrator.ts';
import { IdentityAuthorizer } from '../iam/identity-authorizer.ts';
import { IdentityCredentials } from '../iam/identity-credentials.ts';
import { IdentityStore } from '../iam/identity-store.ts';
import { PolicyCache } from '../iam/policy-cache.ts';
import { identityServices } from '../identity-services.ts';
import { Ec2Bench } from '../testing/ec2-bench.ts';
import { REGION } from '../testing/service-bench.ts';
import { ec2Service } from './ec2-service.ts';
import { instanceCredentials } from './instance-credentials.ts';

const timeout = 600_000;
const document = (...Statement: object[]) => JSON.stringify({ Version: '2012-10-17', Statement });
const allow = (Action: string, Resource = '*') => ({ Effect: 'Allow', Action, Resource });

test(
  'a machine calls as its role, and nobody gives it one that he may not pass on',
  { timeout },
  async () => {
    using bench = new Ec2Bench();
    const { registry } = bench;
    const [clock, random] = [systemClock, systemRandom];
    const { account, administrator } = await ensureAdministrator({ registry, clock, random });
    const identity = {
      store: new IdentityStore({ registry, clock, account }),
      policies: new PolicyCache(),
      random,
      clock,
    };
    const context = { ...bench.context, clock, random, identity };
    await using trail = openTrail({ path: path.join(bench.directory, 'trail.db'), clock, random, account });
    const log: string[] = [];
    await using gateway = await openGateway({
      services: [...identityServices({ ...identity, trail }), ec2Service(context)],
      credentials: new IdentityCredentials(identity),
      authorizer: new IdentityAuthorizer(identity),
      audit: trail,
      clock,
      random,
      log: (line) => log.push(line),
      port: 0,
    });
    const as = (credentials: { accessKeyId: string; secretAccessKey: string; sessionToken?: string }) => {
      const options = { endpoint: gateway.url, region: REGION, credentials, maxAttempts: 1 };
      return { iam: new IAMClient(options), ec2: new EC2Client(options), sts: new STSClient(options) };
    };
    const admin = as(must(administrator));

    await admin.iam.send(new CreateUserCommand({ UserName: 'ann' }));
    const { AccessKey } = await admin.iam.send(new CreateAccessKeyCommand({ UserName: 'ann' }));
    const ann = as({
      accessKeyId: must(AccessKey?.AccessKeyId),
      secretAccessKey: must(AccessKey?.SecretAccessKey),
    });
    const may = (...statements: object[]) =>
      admin.iam.send(
        new PutUserPolicyCommand({
          UserName: 'ann',
          PolicyName: 'p',
          PolicyDocument: document(...statements),
        }),
      );
    const AssumeRolePolicyDocument = document({
      Effect: 'Allow',
      Action: 'sts:AssumeRole',
      Principal: { Service: 'ec2.amazonaws.com' },
    });
    const box = { RoleName: 'box', InstanceProfileName: 'box' };
    const { Role } = await admin.iam.send(new CreateRoleCommand({ ...box, AssumeRolePolicyDocument }));
    await admin.iam.send(
      new PutRolePolicyCommand({
        ...box,
        PolicyName: 'p',
        PolicyDocument: document(allow('ec2:DescribeInstances')),
      }),
    );

    const ownProfiles = ['iam:AddRole*', 'iam:CreateInstanceProfile'].map((action) => allow(action));
    await may(allow('ec2:*'), ...ownProfiles);
    await ann.iam.send(new CreateInstanceProfileCommand(box));
    const put = new AddRoleToInstanceProfileCommand(box);
    await assert.rejects(ann.iam.send(put), { name: 'AccessDenied', message: /perform: iam:PassRole on/ });
    await admin.iam.send(new AddRoleToInstanceProfileCommand(box));

    const { Reservations } = await ann.ec2.send(
      new DescribeInstancesCommand({ Filters: [{ Name: 'private-dns-name', Values: ['one.*'] }] }),
    );
    const instanceId = must(Reservations?.[0]?.Instances?.[0]?.InstanceId);
    const IamInstanceProfile = { Name: 'box' };
    const associate = () =>
      ann.ec2.send(new AssociateIamInstanceProfileCommand({ InstanceId: instanceId, IamInstanceProfile }));
    await assert.rejects(associate(), { name: 'UnauthorizedOperation', message: /perform: iam:PassRole on/ });
    await may(allow('ec2:*'), allow('iam:PassRole', must(Role?.Arn)));
    const { IamInstanceProfileAssociation: made } = await associate();
    const { IamInstanceProfileAssociation: replaced } = await ann.ec2.send(
      new ReplaceIamInstanceProfileAssociationCommand({
        AssociationId: made?.AssociationId,
        IamInstanceProfile,
      }),
    );
    const listed = await ann.ec2.send(new DescribeIamInstanceProfileAssociationsCommand({}));
    assert.deepEqual(listed.IamInstanceProfileAssociations, [replaced]);

    const keys = await instanceCredentials({ context, scope: { account, region: REGION }, instanceId });
    if ('missing' in keys) assert.fail(keys.missing);
    const machine = as(keys);
    const self = await machine.sts.send(new GetCallerIdentityCommand({}));
    assert.equal(self.Arn, `arn:aws:sts::${account}:assumed-role/box/${instanceId}`);
    const seen = await machine.ec2.send(new DescribeInstancesCommand({ InstanceIds: [instanceId] }));
    assert.deepEqual(seen.Reservations?.[0].Instances?.[0].IamInstanceProfile, replaced?.IamInstanceProfile);
    await assert.rejects(machine.ec2.send(new DescribeVolumesCommand({})), { name: 'UnauthorizedOperation' });
    const copies = async (...statements: object[]) => {
      await admin.iam.send(
        new PutRolePolicyCommand({ ...box, PolicyName: 'p', PolicyDocument: document(...statements) }),
      );
      const InstanceSpecification = { InstanceId: instanceId };
      const trial = new CreateSnapshotsCommand({ InstanceSpecification, DryRun: true });
      return machine.ec2.send(trial).then(
        () => assert.fail('a dry run made snapshots'),
        ({ name, message }: Error) => ({ name, message }),
      );
    };
    const [all, one] = [allow('ec2:CreateSnapshots'), allow('ec2:CreateSnapshot')];
    assert.equal((await copies(one)).name, 'DryRunOperation');
    assert.equal((await copies(all)).name, 'DryRunOperation');
    assert.match(
      (await copies(allow('ec2:DescribeInstances'))).message,
      /allows the ec2:CreateSnapshots or ec2:CreateSnapshot action$/,
    );
    assert.match(
      (await copies(all, { ...one, Effect: 'Deny' })).message,
      /perform: ec2:CreateSnapshot on resource: .* with an explicit deny/,
    );
    await ann.ec2.send(new DisassociateIamInstanceProfileCommand({ AssociationId: replaced?.AssociationId }));

    const LookupAttributes = [{ AttributeKey: 'Username' as const, AttributeValue: instanceId }];
    const { Events = [] } = await lookupEvents({ LookupAttributes }, { trail } as never);
    const told = Events.map(({ EventName, CloudTrailEvent = '' }) => {
      const { userIdentity, errorCode } = JSON.parse(CloudTrailEvent);
      return [EventName, userIdentity.type, userIdentity.sessionContext.sessionIssuer.userName, errorCode];
    });
    assert.deepEqual(told.reverse(), [
      ['GetCallerIdentity', 'AssumedRole', 'box', undefined],
      ['DescribeInstances', 'AssumedRole', 'box', undefined],
      ['DescribeVolumes', 'AssumedRole', 'box', 'UnauthorizedOperation'],
      ['CreateSnapshots', 'AssumedRole', 'box', 'DryRunOperation'],
      ['CreateSnapshots', 'AssumedRole', 'box', 'DryRunOperation'],
      ['CreateSnapshots', 'AssumedRole', 'box', 'UnauthorizedOperation'],
      ['CreateSnapshots', 'AssumedRole', 'box', 'UnauthorizedOperation'],
    ]);
    assert.deepEqual(log, []);
  },
);
