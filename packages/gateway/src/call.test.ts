import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Deferred } from '@rokka/kernel';
import { lazyService } from './service.ts';
import { ACCOUNT, ALICE, SESSION } from './testing/identity.ts';
import { form, InProcessGateway, json, rest } from './testing/in-process.ts';

const CREATE = {
  Action: 'CreateDBCluster',
  Version: '2014-10-31',
  DBClusterIdentifier: 'orders',
  Engine: 'pg',
};

test('a call is answered, authorized and written down', async () => {
  const gateway = new InProcessGateway();
  const answer = await gateway.call(
    form('rds', { ...CREATE, MasterUserPassword: 'geheim', 'Tags.Tag.1.Key': 'a' }),
  );
  assert.equal(answer.status, 200);
  assert.match(
    answer.text,
    /^<\?xml version="1.0" encoding="UTF-8"\?>\n<CreateDBClusterResponse xmlns="http:\/\/rds/,
  );
  assert.match(answer.text, /<DBClusterIdentifier>orders</);
  const [asked] = gateway.authorizer.asked;
  assert.equal(asked.action, 'rds:CreateDBCluster');
  assert.equal(asked.resource, `arn:aws:rds:us-east-1:${ACCOUNT}:cluster:orders`);
  assert.equal(asked.context['rds:DatabaseEngine'], 'pg');
  const [record] = gateway.audit.records;
  assert.deepEqual(
    { ...record, requestId: '' },
    {
      requestId: '',
      atMs: gateway.clock.wallMs(),
      eventSource: 'rds.amazonaws.com',
      eventName: 'CreateDBCluster',
      region: 'us-east-1',
      sourceAddress: '192.0.2.7',
      userAgent: 'test/1',
      principal: ALICE.principal,
      accessKeyId: ALICE.accessKeyId,
      readOnly: false,
      errorCode: undefined,
      errorMessage: undefined,
      request: {
        DBClusterIdentifier: 'orders',
        Engine: 'pg',
        MasterUserPassword: '***',
        Tags: [{ Key: 'a' }],
      },
      used: record.used,
    },
  );
});

test('each family has its own codes and statuses', async () => {
  const gateway = new InProcessGateway();
  const wrong = { credential: { ...ALICE, secretAccessKey: 'wrong' } };
  const unknown = { credential: { ...ALICE, accessKeyId: 'AKIANOBODY' } };
  const query = form('rds', CREATE);
  const ec2 = form('ec2', { Action: 'CreateSnapshot', Version: '2016-11-15', VolumeId: 'vol-1' });
  const rpc = json('ssm', 'AmazonSSM.GetParameter', { Name: '/a' });
  const speech = rest('polly', '/v1/speech', '{}');
  const cases: [object, number, RegExp][] = [
    [{ ...query, ...wrong }, 403, /<Code>SignatureDoesNotMatch</],
    [{ ...ec2, ...wrong }, 401, /<Response><Errors><Error><Code>AuthFailure</],
    [{ ...rpc, ...wrong }, 400, /"__type":"InvalidSignatureException"/],
    [{ ...speech, ...wrong }, 403, /"message":"The request signature/],
    [{ ...query, ...unknown }, 403, /<Type>Sender<\/Type><Code>InvalidClientTokenId</],
    [{ ...rpc, ...unknown }, 400, /UnrecognizedClientException/],
    [{ ...query, atMs: 0 }, 403, /<Code>SignatureDoesNotMatch<.*Signature expired/s],
    [{ ...ec2, atMs: 0 }, 400, /<Code>RequestExpired</],
    [form('rds', { Action: 'NoSuchThing' }), 400, /<Code>InvalidAction</],
    [form('rds', {}), 400, /<Code>InvalidAction<.*\(none\)/s],
    [form('rds', { ...CREATE, Version: '1999-01-01' }), 400, /<Code>InvalidAction<.*version 1999-01-01/s],
    [json('ssm', 'AmazonSSM.NoSuchThing', {}), 400, /UnknownOperationException/],
    [json('ssm', 'AmazonECS.GetParameter', { Name: '/a' }), 400, /UnknownOperationException/],
    [rest('polly', '/v9/nothing', ''), 404, /not valid/],
    [
      form('rds', { Action: 'DeleteDBCluster', DBClusterIdentifier: 'a' }),
      501,
      /<Code>NotImplemented<.*rds:DeleteDBCluster/s,
    ],
    [json('ssm', 'AmazonSSM.PutParameter', {}), 501, /NotImplemented/],
    [json('lambda', 'X.Y', {}), 501, /lambda is not implemented/],
    [
      form('rds', { Action: 'CreateDBCluster' }),
      400,
      /<Code>MissingParameter<.*DBClusterIdentifier, Engine/s,
    ],
    [
      form('rds', { Action: 'DescribeDBClusters', 'Filters.Filter.1.Name': 'a' }),
      400,
      /must contain the parameter Filters.1.Values\./,
    ],
    [form('sts', { Action: 'AssumeRole', RoleArn: 'a' }), 400, /<Code>ValidationError<.*RoleSessionName/s],
    [json('ssm', 'AmazonSSM.GetParameter', {}), 400, /ValidationException.*Name/],
    [
      json('ssm', 'AmazonSSM.GetParameter', { Name: 7 }),
      400,
      /SerializationException.*Name must be a string/,
    ],
    [json('ssm', 'AmazonSSM.GetParameter', '{"Name":'), 400, /SerializationException.*not JSON/],
    [json('ssm', 'AmazonSSM.GetParameter', '[]'), 400, /SerializationException.*an object/],
    [form('rds', { ...CREATE, Port: 'x' }), 400, /<Code>InvalidParameterValue<.*\(x\) for parameter Port/s],
    [form('ec2', { Action: 'CreateSnapshot', VolumeId: 'a', DryRun: 'maybe' }), 400, /InvalidParameterValue/],
  ];
  for (const [of, status, text] of cases) {
    const answer = await gateway.call(of);
    assert.match(answer.text, text);
    assert.equal(answer.status, status, answer.text);
  }
  assert.equal(gateway.audit.records.length, cases.length, 'whatever came of it, it is written down');
  assert.deepEqual(gateway.log, []);
  assert.deepEqual(gateway.stage.seen, []);
});

test('what a form says beside the model is refused by EC2, and left out by the others, as AWS does', async () => {
  const gateway = new InProcessGateway();
  const ec2 = { Action: 'CreateSnapshot', Version: '2016-11-15', VolumeId: 'vol-1' };
  const unknown: [Record<string, string>, string][] = [
    [{ Encryptd: 'true' }, 'Encryptd'],
    [{ 'TagSpecification.1.Tag.1.Kay': 'a' }, 'TagSpecification.1.Tag.1.Kay'],
    [{ 'TagSpecification.first.Tag.1.Key': 'a' }, 'TagSpecification.first'],
    [{ 'VolumeId.1': 'vol-2' }, 'VolumeId.1'],
  ];
  for (const [more, name] of unknown) {
    const answer = await gateway.call(form('ec2', { ...ec2, ...more }));
    assert.equal(answer.status, 400, name);
    assert.ok(answer.text.includes('<Code>UnknownParameter<'), answer.text);
    assert.ok(answer.text.includes(`The parameter ${name} is not recognized`), answer.text);
  }
  const shapes: [object, RegExp][] = [
    [form('rds', { ...CREATE, 'EngineVersion.1': 'a' }), /for parameter EngineVersion .* a single value/],
    [form('rds', { ...CREATE, 'Tags.Tag.1': 'a' }), /\(a\) for parameter Tags.1 .* a structure/],
  ];
  for (const [of, text] of shapes) {
    const answer = await gateway.call(of);
    assert.equal(answer.status, 400, answer.text);
    assert.match(answer.text, /<Code>InvalidParameterValue</);
    assert.match(answer.text, text);
  }
  assert.deepEqual(gateway.stage.seen, []);
  assert.equal((await gateway.call(form('rds', { ...CREATE, Encryptd: 'true' }))).status, 200);
  assert.deepEqual(gateway.stage.seen, [{ DBClusterIdentifier: 'orders', Engine: 'pg' }]);
});

test("errors of a model carry the model's code and members", async () => {
  const gateway = new InProcessGateway();
  const dup = await gateway.call(form('rds', { ...CREATE, DBClusterIdentifier: 'dup' }));
  assert.equal(dup.status, 400);
  assert.match(dup.text, /<Code>DBClusterAlreadyExistsFault<\/Code><Message>DB Cluster already exists</);
  const none = await gateway.call(json('ssm', 'AmazonSSM.GetParameter', { Name: '/none' }));
  assert.deepEqual(JSON.parse(none.text), { __type: 'ParameterNotFound', message: 'no such parameter' });
  const volume = await gateway.call(form('ec2', { Action: 'CreateSnapshot', VolumeId: 'vol-none' }));
  assert.match(volume.text, /<Code>InvalidVolume.NotFound</);
  assert.deepEqual(
    gateway.audit.records.map((record) => record.errorCode),
    ['DBClusterAlreadyExistsFault', 'ParameterNotFound', 'InvalidVolume.NotFound'],
  );
});

test('what nobody foresaw is told as such, and only the log knows more', async () => {
  const gateway = new InProcessGateway();
  for (const [index, id] of ['bug', 'unwritable'].entries()) {
    const answer = await gateway.call(form('rds', { ...CREATE, DBClusterIdentifier: id }));
    assert.equal(answer.status, 500);
    assert.match(answer.text, /<Type>Receiver<\/Type><Code>InternalFailure</);
    assert.doesNotMatch(answer.text, /secret|TypeError|\.ts/);
    assert.match(
      gateway.log[index],
      new RegExp(`^call ${gateway.audit.records[index].requestId}, rds:CreateDBCluster, failed`),
    );
    assert.doesNotMatch(gateway.log[index], /\n/);
  }
  assert.match(gateway.log[0], /TypeError: secret detail/);
});

test('who may not is told so in the words of AWS', async () => {
  const gateway = new InProcessGateway();
  const { deny } = gateway.authorizer;
  deny
    .set('rds:CreateDBCluster', 'implicitDeny')
    .set('ec2:CreateSnapshot', 'explicitDeny')
    .set('ssm:GetParameter', 'implicitDeny');
  const query = await gateway.call(form('rds', CREATE));
  assert.equal(query.status, 403);
  assert.match(
    query.text,
    /<Code>AccessDenied<\/Code><Message>User: arn:aws:iam::123456789012:user\/team\/alice is not authorized to perform: rds:CreateDBCluster on resource: arn:aws:rds:us-east-1:123456789012:cluster:orders because no identity-based policy allows the rds:CreateDBCluster action</,
  );
  const ec2 = await gateway.call(form('ec2', { Action: 'CreateSnapshot', VolumeId: 'a' }));
  assert.equal(ec2.status, 403);
  assert.match(ec2.text, /UnauthorizedOperation.*with an explicit deny in an identity-based policy/);
  const rpc = await gateway.call(json('ssm', 'AmazonSSM.GetParameter', { Name: '/a' }));
  assert.match(rpc.text, /"__type":"AccessDeniedException".* on resource: \* because/);
  assert.deepEqual(gateway.stage.seen, []);
  assert.deepEqual(
    gateway.audit.records.map((record) => record.errorCode),
    ['AccessDenied', 'UnauthorizedOperation', 'AccessDeniedException'],
  );
});

test('a dry run of EC2 is authorized and not carried out', async () => {
  const gateway = new InProcessGateway();
  const dry = form('ec2', { Action: 'CreateSnapshot', VolumeId: 'vol-1', DryRun: 'true' });
  const allowed = await gateway.call(dry);
  assert.equal(allowed.status, 412);
  assert.match(allowed.text, /<Code>DryRunOperation<.*would have succeeded/s);
  gateway.authorizer.deny.set('ec2:CreateSnapshot', 'implicitDeny');
  assert.match((await gateway.call(dry)).text, /<Code>UnauthorizedOperation</);
  assert.deepEqual(gateway.stage.seen, []);
});

test('an authorizer that fails has allowed nothing', async () => {
  const gateway = new InProcessGateway();
  gateway.authorizer.decide = async () => {
    throw new Error('the registry is away');
  };
  assert.equal((await gateway.call(form('rds', CREATE))).status, 500);
  assert.deepEqual(gateway.stage.seen, []);
});

test('what needs no permission is not asked for any', async () => {
  const gateway = new InProcessGateway();
  const answer = await gateway.call({
    ...form('sts', { Action: 'GetCallerIdentity', Version: '2011-06-15' }),
    credential: SESSION,
  });
  assert.match(answer.text, /<Arn>arn:aws:sts::123456789012:assumed-role\/deployer\/night</);
  assert.deepEqual(gateway.authorizer.asked, []);
});

test('the same bytes are heard twice where they change nothing, once where they do', async () => {
  const gateway = new InProcessGateway();
  const one = form('rds', CREATE);
  const numbered = { ...one, headers: { ...one.headers, 'amz-sdk-invocation-id': '1' } };
  const create = await gateway.sign(numbered);
  const describe = await gateway.sign(form('rds', { Action: 'DescribeDBClusters' }));
  assert.equal((await gateway.send(create)).status, 200);
  const again = await gateway.send({ ...create });
  assert.match(again.text, /<Code>Throttling<.*Sign the request again/s);
  assert.equal(gateway.stage.seen.length, 1);
  for (let i = 0; i < 2; i++) assert.equal((await gateway.send({ ...describe })).status, 200);
  gateway.clock.advanceTo(1000);
  assert.equal((await gateway.call(numbered)).status, 200, 'signed again in the next second it is heard');
});

test('a gateway that begins again remembers what was used before it', async () => {
  const before = new InProcessGateway();
  const create = await before.sign(form('rds', CREATE));
  const numbered = form('rds', CREATE);
  const unique = await before.sign({
    ...numbered,
    headers: { ...numbered.headers, 'amz-sdk-invocation-id': '1' },
  });
  const describe = await before.sign(form('rds', { Action: 'DescribeDBClusters' }));
  for (const each of [create, unique, describe]) assert.equal((await before.send(each)).status, 200);
  const { audit } = before;
  assert.deepEqual(
    audit.records.map(({ used }) => used?.key.length),
    [32, 32, undefined],
  );
  const gateway = new InProcessGateway({ audit });
  gateway.clock.advanceTo(2001);
  for (const each of [create, unique])
    assert.match((await gateway.send({ ...each })).text, /<Code>Throttling<.*Sign the request again/s);
  assert.equal((await gateway.send({ ...describe })).status, 200);
  assert.deepEqual(gateway.stage.seen, []);
  assert.equal((await gateway.call(form('rds', CREATE))).status, 200);
});

test('what a client without numbers says twice in a second is heard twice, and not later', async () => {
  const gateway = new InProcessGateway();
  const create = await gateway.sign(form('rds', CREATE));
  for (let i = 0; i < 3; i++) assert.equal((await gateway.send({ ...create })).status, 200);
  gateway.clock.advanceTo(2001);
  assert.match((await gateway.send({ ...create })).text, /<Code>Throttling</);
  assert.equal(gateway.stage.seen.length, 3);
});

test('a presigned URL is good for any number of reads, and for one change', async () => {
  const gateway = new InProcessGateway();
  const get = (query: Record<string, string>, service: string) =>
    gateway.sign({ method: 'GET', query, service, expiresIn: 3600 });
  const identity = await get({ Action: 'GetCallerIdentity', Version: '2011-06-15' }, 'sts');
  const create = await get(CREATE, 'rds');
  gateway.clock.advanceTo(3_000_000);
  for (let i = 0; i < 2; i++) assert.match((await gateway.send({ ...identity })).text, /<Arn>.*alice</);
  assert.equal((await gateway.send({ ...create })).status, 200);
  gateway.clock.advanceTo(3_003_000);
  assert.match((await gateway.send({ ...create })).text, /<Code>Throttling</);
  gateway.clock.advanceTo(3_600_001);
  assert.match((await gateway.send({ ...identity })).text, /<Code>RequestExpired</);
});

test('a call that is refused does not use its signature up', async () => {
  const gateway = new InProcessGateway();
  gateway.authorizer.deny.set('rds:CreateDBCluster', 'implicitDeny');
  const create = await gateway.sign(form('rds', CREATE));
  assert.equal((await gateway.send(create)).status, 403);
  gateway.authorizer.deny.clear();
  assert.equal((await gateway.send({ ...create })).status, 200);
});

test('a handler that does not end is given up, and told so', async () => {
  const gateway = new InProcessGateway({ limits: { callMs: 100 } });
  const aborted = new Deferred<void>();
  const begun = new Deferred<void>();
  gateway.stage.hold = (signal) => {
    begun.resolve();
    signal.addEventListener('abort', () => aborted.resolve());
    return new Deferred<void>().promise;
  };
  const answering = gateway.call(form('rds', CREATE));
  await begun.promise;
  gateway.clock.advanceTo(100);
  const answer = await answering;
  await aborted.promise;
  assert.equal(answer.status, 503);
  assert.match(answer.text, /whether it has happened is not known/);
  assert.match(gateway.log[0], /had not ended after 100 ms/);
});

test('a call that nobody waits for is not begun, and stops where it can', async () => {
  const gateway = new InProcessGateway();
  const abort = new AbortController();
  const { decide } = gateway.authorizer;
  gateway.authorizer.decide = async () => {
    abort.abort(new Error('gone'));
    return 'allowed';
  };
  assert.equal((await gateway.send(await gateway.sign(form('rds', CREATE)), abort)).status, 503);
  assert.deepEqual(gateway.stage.seen, []);
  gateway.authorizer.decide = decide;
  gateway.stage.hold = async (signal) => {
    later.abort(new Error('gone'));
    signal.throwIfAborted();
  };
  const later = new AbortController();
  assert.equal((await gateway.send(await gateway.sign(form('rds', CREATE)), later)).status, 503);
  assert.deepEqual(gateway.log, []);
  assert.equal(gateway.audit.records.length, 2);
});

test('an audit that fails or hangs is logged, and the answer leaves', async () => {
  const gateway = new InProcessGateway({ limits: { auditMs: 50 } });
  gateway.audit.fails = async () => {
    throw new Error('disk full');
  };
  assert.equal((await gateway.call(form('rds', CREATE))).status, 200);
  assert.match(
    gateway.log[0],
    /rds.amazonaws.com CreateDBCluster, is not in the audit: .*disk full; it was carried out/,
  );
  const begun = new Deferred<void>();
  gateway.audit.fails = () => {
    begun.resolve();
    return new Deferred<void>().promise;
  };
  const answering = gateway.call(form('rds', { Action: 'DescribeDBClusters' }));
  await begun.promise;
  gateway.clock.advanceTo(50);
  assert.equal((await answering).status, 200);
  assert.equal(gateway.log.length, 2);
});

test('a service that cannot be loaded is an error of that call, and tried again by the next', async () => {
  let loads = 0;
  const failing = lazyService({
    signingName: 'sts',
    load: async () => {
      loads++;
      throw new Error('no such file');
    },
  });
  const gateway = new InProcessGateway({ services: [failing] });
  const call = () => gateway.call(form('sts', { Action: 'GetCallerIdentity' }));
  for (const answer of await Promise.all([call(), call()])) {
    assert.equal(answer.status, 503);
    assert.doesNotMatch(answer.text, /no such file/);
  }
  assert.equal(loads, 1);
  await call();
  assert.equal(loads, 2);
});

test('nothing is loaded for a stranger', async () => {
  const gateway = new InProcessGateway({
    services: [lazyService({ signingName: 'rds', load: () => assert.fail('loaded') })],
  });
  const unsigned = await gateway.sign(form('rds', CREATE));
  const { authorization: _, ...headers } = unsigned.headers;
  const answer = await gateway.send({ ...unsigned, headers });
  assert.equal(answer.status, 403);
  assert.match(answer.text, /<Code>MissingAuthenticationToken</);
  const [record] = gateway.audit.records;
  assert.equal(record.principal, undefined);
  assert.equal(record.accessKeyId, undefined);
  assert.equal(record.eventName, 'unknown');
});
