/** The AWS API of a running cluster, by the real AWS CLI as its administrator, and by the SDK as somebody with less. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { IAMClient, ListUsersCommand } from '@aws-sdk/client-iam';
import { GetCallerIdentityCommand, STSClient } from '@aws-sdk/client-sts';
import { freePort } from '@rokka/kernel/testing';
import { CloudUnderTest, type Key } from './testing/cloud-under-test.ts';
import { RokkaUnderTest } from './testing/rokka-under-test.ts';
import { TestPlace } from './testing/test-place.ts';
import { whySkipped } from './testing/why-skipped.ts';

const skip = whySkipped({ cli: true });
const timeout = 300_000;

test(
  'users, keys and policies by the AWS CLI; what is denied is denied, and all of it is written down',
  { skip, timeout },
  async () => {
    await using place = await TestPlace.make();
    const port = await freePort();
    await using rokka = await RokkaUnderTest.start(place, { env: { ROKKA_AWS_PORT: String(port) } });
    const cloud = await CloudUnderTest.start(rokka, port);
    const me = await cloud.ask<{ Account: string; Arn: string }>('sts', 'get-caller-identity');
    assert.equal(me.Arn, `arn:aws:iam::${me.Account}:user/administrator`);
    await cloud.ask('iam', 'create-user', '--user-name', 'ann');
    const { AccessKey } = await cloud.ask<{ AccessKey: Key }>(
      'iam',
      'create-access-key',
      '--user-name',
      'ann',
    );

    const ann = cloud.client(AccessKey);
    const sts = new STSClient(ann);
    assert.equal(
      (await sts.send(new GetCallerIdentityCommand({}))).Arn,
      `arn:aws:iam::${me.Account}:user/ann`,
    );
    const iam = new IAMClient(ann);
    const denied = /not authorized to perform: iam:ListUsers .* because no identity-based policy allows/;
    await assert.rejects(iam.send(new ListUsersCommand({})), denied);
    const policy = JSON.stringify({
      Version: '2012-10-17',
      Statement: [{ Effect: 'Allow', Action: 'iam:ListUsers', Resource: '*' }],
    });
    const put = [
      'put-user-policy',
      '--user-name',
      'ann',
      '--policy-name',
      'lists',
      '--policy-document',
      policy,
    ];
    await cloud.ask('iam', ...put);
    const { Users = [] } = await iam.send(new ListUsersCommand({}));
    assert.deepEqual(new Set(Users.map(({ UserName }) => UserName)), new Set(['administrator', 'ann']));
    const forged = new STSClient(cloud.client({ ...AccessKey, SecretAccessKey: 'x'.repeat(40) }));
    await assert.rejects(forged.send(new GetCallerIdentityCommand({})), { name: 'SignatureDoesNotMatch' });

    // The gateway is killed, then everything: what was answered is kept.
    const pid = await cloud.answers();
    rokka.kill([pid]);
    await cloud.answers(pid);
    assert.equal((await iam.send(new ListUsersCommand({}))).Users?.length, 2);
    rokka.kill([rokka.up.pid]);
    await rokka.up.ended();
    await rokka.again();
    await cloud.answers();
    assert.equal((await iam.send(new ListUsersCommand({}))).Users?.length, 2);

    interface Events {
      Events: { EventName: string; Username?: string; CloudTrailEvent: string }[];
    }
    const { Events } = await cloud.ask<Events>('cloudtrail', 'lookup-events');
    const told = Events.map(({ EventName, Username, CloudTrailEvent }) => {
      const { errorCode } = JSON.parse(CloudTrailEvent) as { errorCode?: string };
      return [EventName, Username, errorCode].filter(Boolean).join(' ');
    });
    for (const line of ['CreateUser administrator', 'ListUsers ann', 'ListUsers ann AccessDenied'])
      assert.ok(told.includes(line), `${line} among ${told.join(', ')}`);
    assert.ok(!JSON.stringify(Events).includes(AccessKey.SecretAccessKey), 'no secret is written down');

    const missing = await cloud.run('rds', 'describe-global-clusters');
    assert.match(missing.err, /NotImplemented/);
  },
);
