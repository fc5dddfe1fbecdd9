import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { $SchemaRef, StaticStructureSchema } from '@smithy/types';
import { Failure } from '../failures.ts';
import { readDocument } from './document-reader.ts';
import { DEPTH_MAX, normalized, structure } from './schema.ts';

const [TEXT, NUMBER, BOOLEAN, TIME, DOCUMENT, BIG_INTEGER, BLOB] = [0, 1, 2, 4, 15, 17, 21] as const;
const [LIST, MAP] = [64, 128];
const nested: StaticStructureSchema = structure('Nested', [
  ['inner', () => nested],
  ['text', TEXT],
]);
const union: $SchemaRef = [4, 'rokka.gateway', 'Choice', 0, ['a', 'b'], [TEXT, NUMBER]];
const everything = normalized(
  structure('Everything', [
    ['text', TEXT],
    ['number', NUMBER],
    ['flag', BOOLEAN],
    ['time', TIME],
    ['free', DOCUMENT],
    ['big', BIG_INTEGER],
    ['bytes', BLOB],
    ['texts', LIST | TEXT],
    ['counts', MAP | NUMBER],
    ['nested', nested],
    ['choice', union],
  ]),
);
const JSON_FORM = { jsonNames: false, binary: false };
const read = (value: unknown) => readDocument(everything, value, JSON_FORM);

test('values have the types of their schema', () => {
  const given = {
    text: 't',
    number: 1.5,
    flag: false,
    time: 1_700_000_000.5,
    free: { a: [null, { b: 1 }] },
    big: '-12345678901234567890',
    bytes: 'AQID',
    texts: ['a', null],
    counts: { a: 1, b: null },
    nested: { inner: { text: 'x' } },
    choice: { b: 7 },
  };
  assert.deepEqual(read(given), {
    ...given,
    time: new Date(1_700_000_000_500),
    big: -12345678901234567890n,
    bytes: Buffer.of(1, 2, 3),
  });
  assert.deepEqual(read({ time: '2026-01-31T12:00:00Z', number: 'NaN' }), {
    time: new Date(Date.UTC(2026, 0, 31, 12)),
    number: Number.NaN,
  });
});

test('what the schema does not know, and null, is not there', () => {
  assert.deepEqual(read({ other: 1, text: null, __type: 'x', nested: { more: 1, text: 'y' } }), {
    nested: { text: 'y' },
  });
});

test('a wrong type is refused by its path', () => {
  const refused: [unknown, RegExp][] = [
    [[], /^the request must be an object/],
    ['text', /^the request must be/],
    [{ text: 1 }, /^text must be a string/],
    [{ number: '1' }, /^number must be a number/],
    [{ flag: 'true' }, /^flag must be true or false/],
    [{ time: 'yesterday' }, /^time must be a timestamp/],
    [{ time: 1e18 }, /^time must be/],
    [{ big: 1.5 }, /^big must be an integer/],
    [{ bytes: 'not base64' }, /^bytes must be text in base64/],
    [{ texts: 'a' }, /^texts must be a list/],
    [{ texts: ['a', 1] }, /^texts\[1\] must be a string/],
    [{ counts: [] }, /^counts must be an object/],
    [{ counts: { a: 'x' } }, /^counts.a must be a number/],
    [{ nested: { inner: { text: [] } } }, /^nested.inner.text must be a string/],
    [{ choice: {} }, /^choice must have exactly one/],
    [{ choice: { a: 'x', b: 1 } }, /^choice must have exactly one/],
  ];
  for (const [value, message] of refused)
    assert.throws(() => read(value), { name: 'Failure', kind: 'wrongType', message });
});

test('nesting is bounded, with a schema and without', () => {
  const deep = (depth: number, name: string) =>
    Array.from({ length: depth }).reduce<unknown>((inner) => ({ [name]: inner }), {});
  read({ nested: deep(DEPTH_MAX - 3, 'inner') });
  assert.throws(() => read({ nested: deep(DEPTH_MAX + 1, 'inner') }), Failure);
  assert.throws(() => read({ free: deep(DEPTH_MAX + 1, 'any') }), Failure);
});

test('a name that is a prototype is only a name', () => {
  const { counts, free } = read(JSON.parse('{"counts":{"__proto__":1},"free":{"__proto__":{"a":1}}}')) as {
    counts: object;
    free: { a?: unknown };
  };
  assert.deepEqual(Object.keys(counts), ['__proto__']);
  assert.equal(free.a, undefined);
  assert.equal(Object.getPrototypeOf(free), Object.prototype);
  assert.deepEqual(read(JSON.parse('{"__proto__":{"text":"x"}}')), {});
});
