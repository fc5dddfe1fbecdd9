import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { ByteRing } from './byte-ring.ts';

test('bytes come out in their order, whatever the steps, also where positions wrap', () => {
  const steps = fc.array(
    fc.record({ put: fc.uint8Array({ maxLength: 40 }), take: fc.integer({ min: 0, max: 40 }) }),
  );
  fc.assert(
    fc.property(steps, fc.integer({ min: 0, max: 100 }), (all, before) => {
      const memory = ByteRing.memory(32);
      // Totals just below 2^32, which wrap on the way.
      new Int32Array(memory, 0, 2).fill(-before);
      const writer = new ByteRing(memory);
      const reader = new ByteRing(memory);
      const written: number[] = [];
      const read: number[] = [];
      for (const { put, take } of all) {
        const count = writer.put(put);
        assert.equal(count, Math.min(put.length, 32 - (written.length - read.length)));
        written.push(...put.subarray(0, count));
        const into = new Uint8Array(take);
        read.push(...into.subarray(0, reader.take(into)));
        assert.equal(writer.usedBytes, written.length - read.length);
        assert.equal(writer.roomBytes, 32 - writer.usedBytes);
      }
      assert.deepEqual(read, written.slice(0, read.length));
    }),
    { numRuns: 200 },
  );
});
