import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { clearBytes, copyBytes } from './shared-bytes.ts';

const BYTES = 40_000;

function memory(shared: boolean, fill: number): Uint8Array {
  return new Uint8Array(shared ? new SharedArrayBuffer(BYTES) : new ArrayBuffer(BYTES)).fill(fill);
}

test('what is copied is what `set` copies, however both ends stand, shared or not', () => {
  const small = fc.integer({ min: 0, max: 20 });
  const lengths = fc.oneof(fc.integer({ min: 0, max: 1_100 }), fc.integer({ min: 8_000, max: 20_000 }));
  fc.assert(
    fc.property(
      fc.record({ from: small, view: small, at: small, length: lengths, a: fc.boolean(), b: fc.boolean() }),
      ({ from, view, at, length, a, b }) => {
        const source = memory(a, 0).subarray(from, from + length);
        for (let i = 0; i < length; i++) source[i] = (i * 7 + (i >> 8)) & 0xff;
        const [target, expected] = [memory(b, 0xee), memory(false, 0xee)];
        copyBytes(target.subarray(view), source, at);
        expected.subarray(view).set(source, at);
        assert.equal(Buffer.compare(target, expected), 0);
      },
    ),
    { numRuns: 300 },
  );
});

test('what has no room is refused, as by `set`', () => {
  for (const shared of [true, false]) {
    const target = memory(shared, 1).subarray(0, 1_000);
    for (const [bytes, at] of [
      [1_001, 0],
      [1_000, 1],
      [600, 401],
    ])
      assert.throws(() => copyBytes(target, new Uint8Array(bytes), at), RangeError);
  }
});

test('what is cleared is zero, and nothing beside it', () => {
  for (const shared of [true, false])
    for (const [from, length] of [
      [0, 8_192],
      [3, 0],
      [5, 100],
      [8, 8_191],
      [1, 20_000],
    ]) {
      const all = memory(shared, 9);
      clearBytes(all.subarray(from, from + length));
      const expected = memory(false, 9).fill(0, from, from + length);
      assert.equal(Buffer.compare(all, expected), 0);
    }
});
