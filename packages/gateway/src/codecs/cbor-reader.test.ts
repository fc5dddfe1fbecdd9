import assert from 'node:assert/strict';
import { test } from 'node:test';
import { cbor } from '@smithy/core/cbor';
import fc from 'fast-check';
import { Failure } from '../failures.ts';
import { readCbor } from './cbor-reader.ts';

const hex = (text: string) => readCbor(Buffer.from(text.replaceAll(' ', ''), 'hex'));

test('reads what the SDK writes', () => {
  const value = fc.letrec((tie) => ({
    leaf: fc.oneof(
      fc.string({ unit: 'grapheme' }),
      fc.integer(),
      fc.boolean(),
      fc.constant(null),
      fc.double({ noNaN: true }),
      fc.uint8Array(),
    ),
    node: fc.oneof(
      { maxDepth: 4 },
      tie('leaf'),
      fc.array(tie('node')),
      fc.dictionary(fc.string(), tie('node')),
    ),
  })).node;
  fc.assert(
    fc.property(value, (given) => {
      assert.deepEqual(plain(readCbor(Buffer.from(cbor.serialize(given)))), plain(given));
    }),
    { numRuns: 300 },
  );
});

/** Bytes as lists, and prototypes aside. */
function plain(value: unknown): unknown {
  if (value instanceof Uint8Array) return { bytes: [...value] };
  if (Array.isArray(value)) return value.map(plain);
  if (typeof value !== 'object' || value === null) return Object.is(value, -0) ? 0 : value;
  return Object.entries(value).map(([key, member]) => [key, plain(member)]);
}

test('reads the examples of RFC 8949, appendix A', () => {
  assert.equal(hex('1b000000e8d4a51000'), 1_000_000_000_000);
  assert.equal(hex('1bffffffffffffffff'), 18_446_744_073_709_551_615n);
  assert.equal(hex('c249010000000000000000'), 18_446_744_073_709_551_616n);
  assert.equal(hex('c349010000000000000000'), -18_446_744_073_709_551_617n);
  assert.equal(hex('3903e7'), -1000);
  assert.equal(hex('f93e00'), 1.5);
  assert.equal(hex('f90001'), 5.960464477539063e-8);
  assert.equal(hex('f9fc00'), -Infinity);
  assert.deepEqual(hex('c11a514b67b0'), new Date('2013-03-21T20:04:00Z'));
  assert.deepEqual(hex('bf61610161629f0203ffff'), { a: 1, b: [2, 3] });
  assert.equal(hex('7f657374726561646d696e67ff'), 'streaming');
  assert.deepEqual(hex('5f42010243030405ff'), Buffer.of(1, 2, 3, 4, 5));
});

test('what is cut, too deep, too big or not understood is refused at once', () => {
  const refused: string[] = [
    '',
    '1b00',
    '9bffffffffffffffff',
    '5affffffff',
    '7f41',
    '9f',
    'bf6161',
    'a10102',
    '81'.repeat(1000),
    'c2 5820' + '00'.repeat(31),
    `c2 5821${'ff'.repeat(33)}`,
    'c48221196ab3',
    'c6 01',
    'f818',
    '1c',
    '0000',
    'c1fbffffffffffffffff',
    '7f4161ff',
  ];
  for (const text of refused) assert.throws(() => hex(text), Failure, text);
});

test('a name that is a prototype is only a name', () => {
  const read = hex('a1695f5f70726f746f5f5fa1616101') as Record<string, unknown>;
  assert.deepEqual(Object.keys(read), ['__proto__']);
  assert.equal((read as { a?: unknown }).a, undefined);
});
