/** The AWS API of a running cluster, by the real AWS CLI as its administrator, and by the SDK as somebody with less. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { CreateAccessKeyCommand, IAMClient, ListUsersCommand } from '@aws-sdk/client-iam';
import { GetCallerIdentityCommand, STSClient } from '@aws-sdk/client-sts';
import { must } from '@rokka/kernel';
import { freePort } from '@rokka/kernel/testing';
import { CloudUnderTest, type Key } from './testing/cloud-under-test.ts';
import { RokkaCommand } from './testing/rokka-command.ts';
import { RokkaUnderTest } from './testing/rokka-under-test.ts';
import { TestPlace } from './testing/test-place.ts';
import { whySkipped } from './testing/why-skipped.ts';

const skip = whySkipped({ cli: true });
const timeout = 600_000;

/** Who the AWS CLI is in a shell that has taken over what `rokka env` says, and had keys of something else. */
async function inShell(place: TestPlace): Promise<{ Arn: string }> {
  const { out } = await RokkaCommand.run(['--data', place.data, 'env']);
  const script = 'eval "$1"; aws --endpoint-url "$AWS_ENDPOINT_URL" --output json sts get-caller-identity';
  const env = { ...process.env, AWS_ACCESS_KEY_ID: 'AKIAOTHER', AWS_SECRET_ACCESS_KEY: 'x' };
  const { stdout } = await promisify(execFile)('sh', ['-c', script, 'sh', out], { env, timeout: 180_000 });
  return JSON.parse(stdout) as { Arn: string };
}

/** The bytes of a call that makes a key, as whoever listens on the way has them; the call itself is answered. */
async function overheard(client: IAMClient, UserName: string): Promise<RequestInit> {
  let heard: RequestInit | undefined;
  client.middlewareStack.add(
    (next) => (args) => {
      const { method, headers, body } = args.request as {
        method: string;
        headers: Record<string, string>;
        body: string;
      };
      heard = { method, headers: { ...headers }, body };
      return next(args);
    },
    { step: 'deserialize', priority: 'low' },
  );
  await client.send(new CreateAccessKeyCommand({ UserName }));
  return must(heard);
}

async function iamKeys(cloud: CloudUnderTest, user: string): Promise<object[]> {
  const { AccessKeyMetadata } = await cloud.ask<{ AccessKeyMetadata: object[] }>(
    'iam',
    'list-access-keys',
    '--user-name',
    user,
  );
  return AccessKeyMetadata;
}

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
    assert.equal((await inShell(place)).Arn, me.Arn, 'by `rokka env`');
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

    // The gateway is killed, then everything: what was answered is kept, and what was heard is not heard again.
    const heard = await overheard(new IAMClient(cloud.client(cloud.administratorKey())), 'ann');
    const pid = await cloud.answers();
    rokka.kill([pid]);
    await cloud.answers(pid);
    const again = await fetch(`http://127.0.0.1:${port}/`, heard);
    assert.match(
      await again.text(),
      /<Code>Throttling<.*used already/s,
      'no second key for who only listens',
    );
    assert.equal((await iamKeys(cloud, 'ann')).length, 2);
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
