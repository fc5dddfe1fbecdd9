/** Our writer of XML against its twin, the SDK's serializer: what one writes the other does, to the byte. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { XmlShapeSerializer } from '@aws-sdk/core/protocols';
import { isCoded, SeededRandom } from '@rokka/kernel';
import type { $SchemaRef, StaticListSchema, StaticMapSchema, StaticStructureSchema } from '@smithy/types';
import { defineService } from '../service.ts';
import { randomValue } from '../testing/random-values.ts';
import { normalized, structure } from './schema.ts';
import { TIMESTAMP } from './timestamp.ts';
import { writeXml } from './xml-writer.ts';

const ROUNDS = Number(process.env['ROKKA_ROUND_TRIPS'] ?? 2);
const SEED = Number(process.env['ROKKA_SEED'] ?? 1);
const NAMESPACE = 'http://rokka.test/doc/?a&b';

/** Those that have a protocol with XML, and CloudWatch, which old clients ask in it. */
const SERVICES = {
  cloudwatch: 'CloudWatchClient',
  sts: 'STSClient',
  iam: 'IAMClient',
  rds: 'RDSClient',
  ec2: 'EC2Client',
};

function twin(schema: StaticStructureSchema, value: Record<string, unknown>, xmlNamespace: string): string {
  const timestampFormat = { useTrait: true, default: TIMESTAMP.dateTime } as const;
  const serializer = new XmlShapeSerializer({
    timestampFormat,
    httpBindings: false,
    serviceNamespace: 'rokka.gateway',
    xmlNamespace,
  });
  serializer.write(schema, value);
  return `<?xml version="1.0" encoding="UTF-8"?>\n${String(serializer.flush())}`;
}

function same(schema: StaticStructureSchema, value: Record<string, unknown>, what: string): void {
  assert.equal(writeXml(schema, value, NAMESPACE), twin(schema, value, NAMESPACE), what);
  assert.equal(writeXml(schema, value, undefined), twin(schema, value, ''), what);
}

for (const [name, clientName] of Object.entries(SERVICES)) {
  test(`${name}: the output of every operation, as the SDK writes it`, async () => {
    const sdk = (await import(`@aws-sdk/client-${name}`)) as Record<string, never>;
    const { operations } = defineService({ sdk, client: sdk[clientName], operations: {} });
    const random = new SeededRandom(SEED);
    for (let round = 0; round < ROUNDS; round++) {
      for (const [operation, schema] of operations) {
        const output = normalized(schema[5]);
        if (output.isUnitSchema()) continue;
        const answer = structure(`${operation}Response`, [[`${operation}Result`, schema[5]]]);
        same(answer, { [`${operation}Result`]: randomValue(random, output) }, operation);
      }
    }
  });
}

const list = (item: $SchemaRef, traits: object = {}): StaticListSchema =>
  [1, 'test', 'L', traits, item] as never;
const map = (value: $SchemaRef, traits: object = {}): StaticMapSchema =>
  [2, 'test', 'M', traits, 0, value] as never;
const named = (schema: $SchemaRef, xmlName: string): $SchemaRef => [schema, { xmlName }] as never;
const INNER = structure('Inner', [
  ['Text', 0],
  ['Renamed', named(0, 'other')],
]);

test('shapes that no service of ours has, as the SDK writes them', () => {
  const schema = structure('Root', [
    ['Flat', list(0, { xmlFlattened: 1 })],
    ['FlatOfStructures', [list(INNER, { xmlFlattened: 1 }), { xmlName: 'flat' }] as never],
    ['Items', list(named(INNER, 'item'))],
    ['Lists', list(list(0))],
    ['Map', map(INNER)],
    ['FlatMap', map(1, { xmlFlattened: 1 })],
    ['Blob', 21],
    ['Big', 17],
    ['Decimal', 19],
    ['Is', 2],
    ['Http', TIMESTAMP.httpDate],
    ['Seconds', TIMESTAMP.epochSeconds],
    ['Inner', INNER],
  ]);
  const inner = { Text: 'a', Renamed: '' };
  same(
    schema,
    {
      Flat: ['a', 'b'],
      FlatOfStructures: [inner, {}],
      Items: [inner, null, {}],
      Lists: [['a'], []],
      Map: { 'k&': inner, none: undefined },
      FlatMap: { a: 1, b: Number.NaN },
      Blob: new Uint8Array([0, 255, 7]),
      Big: 12345678901234567890n,
      Decimal: '1.50',
      Is: false,
      Http: new Date(1_700_000_000_000),
      Seconds: new Date(1_700_000_000_250),
      Inner: {},
    },
    'all of them',
  );
  same(schema, { Flat: [], Items: [], Map: {}, FlatMap: {} }, 'empty ones');
  same(schema, {}, 'nothing');
});

test('texts of any characters, as the SDK writes them; what XML cannot say is replaced', () => {
  const one = (text: string) => ({ Text: text });
  for (const text of [`&<>"'`, 'a\r\n\tb', '\u0085\u2028\u2029', '&#x1;&amp;', '雪 😀', '\ud800', ']]>'])
    same(INNER, one(text), JSON.stringify(text));
  assert.match(writeXml(INNER, one('a\u0000\u001b\ufffe\uffffb'), undefined), /<Text>a\ufffd{4}b<\/Text>/);
});

test('a value that its schema cannot say is refused, by a word that does not tell it', () => {
  for (const [schema, value] of [
    [0, { secret: 1 }],
    [1, ['secret']],
    [TIMESTAMP.dateTime, 'secret'],
    [21, 'secret'],
    [list(0), 7],
  ] as [$SchemaRef, unknown][])
    assert.throws(
      () => writeXml(structure('Root', [['A', schema]]), { A: value }, undefined),
      (error: unknown) => error instanceof TypeError && !error.message.includes('secret'),
    );
});

test('a schema with more of XML than is written here is refused', () => {
  for (const traits of [{ xmlAttribute: 1 }, { xmlNamespace: ['p', 'urn:x'] }, { sparse: 1 }])
    assert.throws(
      () => writeXml(structure('Root', [['A', [0, traits] as never]]), { A: 'a' }, undefined),
      (error: unknown) => isCoded(error, 'GATEWAY_SDK_CHANGED'),
    );
});
