import assert from 'node:assert/strict';
import test from 'node:test';
import * as fc from 'fast-check';
import { Bitmap } from './bitmap.ts';

const BITS = 200;
const bit = fc.integer({ min: 0, max: BITS - 1 });

void test('fills and searches equal those of an array', () => {
  const fill = fc.record({ from: bit, count: fc.integer({ min: 0, max: 100 }), value: fc.boolean() });
  fc.assert(
    fc.property(fc.array(fill, { maxLength: 8 }), bit, bit, (fills, from, end) => {
      const bitmap = new Bitmap();
      const twin: boolean[] = Array.from({ length: BITS + 100 }, () => false);
      for (const step of fills) {
        bitmap.fill(step.from, step.count, step.value);
        twin.fill(step.value, step.from, step.from + step.count);
      }
      for (let i = 0; i < twin.length; i++) assert.equal(bitmap.has(i), twin[i]);
      const clear = twin.findIndex((set, i) => i >= from && i < end && !set);
      assert.equal(bitmap.nextClear(from, end), clear < 0 ? Math.max(from, end) : clear);
      const set = twin.findIndex((value, i) => i >= from && i < end && value);
      const count = (set < 0 ? Math.max(from, end) : set) - from;
      assert.equal(bitmap.clearCount(from, end, BITS), count);
      assert.equal(bitmap.clearCount(from, end, 3), Math.min(3, count));
    }),
    { numRuns: 500 },
  );
});
