/**
 * What strangers and broken clients send: it is answered with a coded error, in bounded time, and no handler sees it.
 * ROKKA_RUBBISH=20000 sends more, ROKKA_SEED other.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { cbor } from '@smithy/core/cbor';
import { SeededRandom } from '@rokka/kernel';
import { form, InProcessGateway, json, rest, type Answered } from './testing/in-process.ts';
import type { ToSign } from './testing/official-signer.ts';

const COUNT = Number(process.env['ROKKA_RUBBISH'] ?? 1500);
const SEED = Number(process.env['ROKKA_SEED'] ?? 1);

const GOOD: Partial<ToSign>[] = [
  form('rds', {
    Action: 'CreateDBCluster',
    DBClusterIdentifier: 'x',
    'AvailabilityZones.AvailabilityZone.1': 'a',
  }),
  form('ec2', { Action: 'CreateSnapshot', VolumeId: 'v', 'TagSpecification.1.Tag.1.Key': 'k' }),
  json('ssm', 'AmazonSSM.GetParameter', { Name: 'a', WithDecryption: true }),
  rest('polly', '/v1/speech', '{"Text":"a","OutputFormat":"pcm","VoiceId":"Amy","LexiconNames":["a"]}'),
  {
    service: 'monitoring',
    path: '/service/GraniteServiceVersion20100801/operation/PutMetricData',
    headers: { 'content-type': 'application/cbor', 'smithy-protocol': 'rpc-v2-cbor' },
  },
];

/** An error that its client can read; or, where rubbish happened to be sense, an answer. */
function assertAnswered(answer: Answered, what: string): void {
  assert.notEqual(answer.status, 500, `${what}: ${answer.text}`);
  if (answer.status === 200) return;
  const type = answer.headers['content-type'];
  if (type.startsWith('text/xml')) assert.match(answer.text, /<Code>\w+<\/Code><Message>/, what);
  else if (type === 'application/json') assert.ok(answer.headers['x-amzn-errortype'], what);
  else if (type === 'application/cbor') assert.match(answer.text, /__type/, what);
  else assert.match(answer.text, /"__type":"\w+"/, what);
  assert.doesNotMatch(answer.text, /\.(ts|js):\d|node_modules/, 'no stack leaves the house');
}

test('signed rubbish in every protocol', async () => {
  const gateway = new InProcessGateway();
  const random = new SeededRandom(SEED);
  for (let i = 0; i < COUNT; i++) {
    const good = random.pick(GOOD);
    const body = spoilt(random, good.service === 'monitoring' ? metric() : Buffer.from(good.body ?? ''));
    gateway.clock.advanceTo(i * 1000);
    const answer = await gateway.call({ ...good, body });
    assertAnswered(answer, `${good.service}: ${body.toString('hex')}`);
  }
  assert.deepEqual(gateway.log, []);
});

function metric(): Buffer {
  return Buffer.from(
    cbor.serialize({
      Namespace: 'n',
      MetricData: [{ MetricName: 'm', Value: 1.5, Dimensions: [{ Name: 'a', Value: 'b' }] }],
    }),
  );
}

function spoilt(random: SeededRandom, body: Buffer): Buffer {
  const at = random.below(body.length + 1);
  const noise = Buffer.from(random.hex(1 + random.below(24)), 'hex');
  return random.pick([
    () => body.subarray(0, at),
    () => Buffer.concat([body.subarray(0, at), noise, body.subarray(at)]),
    () => Buffer.concat([body.subarray(0, at), noise, body.subarray(at + noise.length)]),
    () => noise,
    () => Buffer.concat([body, body]),
    () =>
      Buffer.from(
        body
          .toString('latin1')
          .replaceAll(
            random.pick(['"', '=', '1', 'a', '.', '&']),
            random.pick(['', '[', '.', '%', '&&', '{}']),
          ),
        'latin1',
      ),
  ])();
}

test('unsigned rubbish: any method, path, header and body', async () => {
  const gateway = new InProcessGateway();
  const random = new SeededRandom(SEED);
  const text = () => Buffer.from(random.hex(random.below(40)), 'hex').toString('latin1');
  const values = [
    text,
    () => 'AWS4-HMAC-SHA256 ',
    () => 'AWS4-HMAC-SHA256 Credential=a/20260131/b/rds/aws4_request, SignedHeaders=host, Signature=',
    () => 'rpc-v2-cbor',
    () => 'application/x-amz-json-1.1',
    () => 'application/x-www-form-urlencoded',
  ];
  for (let i = 0; i < COUNT; i++) {
    const names = [
      'authorization',
      'content-type',
      'x-amz-date',
      'smithy-protocol',
      'x-amz-target',
      'host',
      text(),
    ];
    const headers = Object.fromEntries(
      names.filter(() => random.chance(0.5)).map((name) => [name, random.pick(values)()]),
    );
    const query = new URLSearchParams(
      random.chance(0.3)
        ? { 'X-Amz-Signature': text(), 'X-Amz-Credential': text(), 'X-Amz-Algorithm': 'AWS4-HMAC-SHA256' }
        : text(),
    );
    const request = {
      method: random.pick(['GET', 'POST', text()]),
      path: `/${text()}`,
      query,
      headers,
      body: Buffer.from(text()),
    };
    const answer = await gateway.send(request);
    assert.ok(answer.status >= 400 && answer.status < 500, answer.text);
    assertAnswered(answer, JSON.stringify(request));
  }
  assert.deepEqual(gateway.log, []);
  assert.equal(gateway.audit.records.length, COUNT);
  for (const record of gateway.audit.records) assert.equal(record.principal, undefined);
});

test('what is built to cost much is refused for little', async () => {
  const gateway = new InProcessGateway();
  const megabytes = (part: string) => part.repeat(Math.ceil(2_000_000 / part.length));
  const rds = (body: string) => ({ ...form('rds', {}), body: `Action=DescribeDBClusters&${body}` });
  const attacks: Partial<ToSign>[] = [
    rds(megabytes('a=&')),
    rds(megabytes('a.') + 'b=1'),
    rds(Array.from({ length: 100_000 }, (_, index) => `Filters.Filter.${index}.Name=x`).join('&')),
    rds(`Filters.Filter.1.Values.Value.1=${megabytes('%')}`),
    rds(`MaxRecords=${'9'.repeat(1_000_000)}`),
    json('ssm', 'AmazonSSM.GetParameter', megabytes('[')),
    json('ssm', 'AmazonSSM.GetParameter', megabytes('{"a":')),
    json('ssm', 'AmazonSSM.GetParameter', `{"Name":${megabytes('[')}${megabytes(']')}}`),
    json('ssm', 'AmazonSSM.GetParameter', `{"__proto__":{"Name":"x"},"constructor":1}`),
    json('ssm', 'constructor', {}),
    form('rds', { Action: '__proto__' }),
    rest('polly', `/v1/speech${'/..'.repeat(5000)}`, '{}'),
    rest('polly', `/v1/lexicons/%E0%A4%A`, ''),
  ];
  for (const attack of attacks) {
    const answer = await gateway.call(attack);
    assert.ok(answer.status >= 400 && answer.status < 500, `${answer.status} ${answer.text}`);
    assertAnswered(answer, String(attack.body).slice(0, 60));
  }
});
