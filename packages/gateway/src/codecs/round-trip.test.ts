/**
 * Every operation of every service, with random values: the official client writes and we read; we write and the official client
 * reads. This is the gate for a new version of the SDK, whose schemas and serializers promise nothing about their insides.
 * ROKKA_ROUND_TRIPS=20 goes round more often, ROKKA_SEED elsewhere.
 */
import assert from 'node:assert/strict';
import * as fs from 'node:fs';
import * as path from 'node:path';
import { test } from 'node:test';
import { SeededRandom } from '@rokka/kernel';
import { CODECS } from './choose.ts';
import { defineService, type Service } from '../service.ts';
import { OfficialClient } from '../testing/official-client.ts';
import { comparable, randomValue } from '../testing/random-values.ts';
import { normalized } from './schema.ts';

const ROUNDS = Number(process.env['ROKKA_ROUND_TRIPS'] ?? 2);
const SEED = Number(process.env['ROKKA_SEED'] ?? 1);

const SERVICES = {
  cloudtrail: 'CloudTrailClient',
  dlm: 'DLMClient',
  cloudwatch: 'CloudWatchClient',
  polly: 'PollyClient',
  sts: 'STSClient',
  iam: 'IAMClient',
  rds: 'RDSClient',
  ssm: 'SSMClient',
  ec2: 'EC2Client',
} as const;

test('every service that is served is among them', () => {
  const file = path.join(import.meta.dirname, '../../../services/package.json');
  const { dependencies } = JSON.parse(fs.readFileSync(file, 'utf8')) as { dependencies: object };
  const served = Object.keys(dependencies).flatMap((name) => /^@aws-sdk\/client-(.*)$/.exec(name)?.[1] ?? []);
  assert.deepEqual(
    served.filter((name) => !Object.hasOwn(SERVICES, name)),
    [],
  );
});

for (const [name, clientName] of Object.entries(SERVICES)) {
  test(`${name}: every operation there and back, as the official client has it`, async () => {
    const sdk = (await import(`@aws-sdk/client-${name}`)) as Record<string, never>;
    const service = defineService({ sdk, client: sdk[clientName], operations: {} });
    const client = new OfficialClient(sdk[clientName]);
    const random = new SeededRandom(SEED);
    let tried = 0;
    for (let round = 0; round < ROUNDS; round++) {
      for (const operation of service.operations.values()) {
        if (isEventStream(operation[4]) || isEventStream(operation[5])) continue;
        tried++;
        await there({ service, client, random, name: operation[2] });
        await back({ service, client, random, name: operation[2] });
      }
    }
    // Streams of events have no codec here: one operation of Polly.
    assert.ok(tried >= service.operations.size * ROUNDS - 2 * ROUNDS, 'nearly every operation is tried');
  });
}

interface Trip {
  service: Service;
  client: OfficialClient;
  random: SeededRandom;
  name: string;
}

async function there({ service, client, random, name }: Trip): Promise<void> {
  const operation = service.operations.get(name)!;
  const codec = CODECS[service.protocol];
  const schema = normalized(operation[4]);
  const input = schema.isUnitSchema() ? {} : randomValue(random, schema);
  const request = await client.write(operation, input);
  assert.equal(codec.route(service, request), name);
  const read = codec.decode(service, operation, request);
  assert.deepEqual(comparable(read), comparable(input), `${name}, input`);
}

async function back({ service, client, random, name }: Trip): Promise<void> {
  const operation = service.operations.get(name)!;
  const schema = normalized(operation[5]);
  const output = (schema.isUnitSchema() ? {} : randomValue(random, schema)) as Record<string, unknown>;
  const response = CODECS[service.protocol].encode({ service, operation, output, requestId: 'id' });
  const read = await client.read(operation, response);
  assert.deepEqual(comparable(read), comparable(output), `${name}, output`);
}

function isEventStream(ref: Parameters<typeof normalized>[0]): boolean {
  const schema = normalized(ref);
  return schema.isStructSchema() && schema.getEventStreamMember() !== '';
}
