import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { AssertionError, SeededRandom } from '@rokka/kernel';
import { SharedRing } from './shared-ring.ts';

/** A ring whose positions begin at `start`, so that they may wrap at 2^32 soon. */
function ring(capacity: number, start = 0): SharedRing {
  const words = new Int32Array(new SharedArrayBuffer(8)).fill(start);
  return new SharedRing(new SharedArrayBuffer(capacity), { words, head: 0, tail: 1 });
}

function shift(from: SharedRing): { bytes: number[]; records: number } | undefined {
  const entry = from.peek();
  if (!entry) return undefined;
  const into = new Uint8Array(entry.bytes);
  from.shift(into);
  return { bytes: [...into], records: entry.records };
}

test('what goes in comes out, in order, over every kind of wrap', () => {
  const scenario = fc.record({
    seed: fc.nat(),
    capacity: fc.constantFrom(64, 128, 256),
    start: fc.constantFrom(0, -48, 0x7fffffe0),
  });
  fc.assert(
    fc.property(scenario, ({ seed, capacity, start }) => {
      const random = new SeededRandom(seed);
      const tested = ring(capacity, start);
      const twin: { bytes: number[]; records: number }[] = [];
      for (let step = 0; step < 200; step++) {
        const bytes = Array.from({ length: random.below(capacity - 8) }, () => random.below(256));
        const used = twin.reduce((sum, entry) => sum + 8 + Math.ceil(entry.bytes.length / 8) * 8, 0);
        const fits = used + 8 + Math.ceil(bytes.length / 8) * 8 <= capacity;
        assert.equal(tested.hasRoom(bytes.length), fits);
        if (fits && random.chance(0.6)) {
          tested.push(Uint8Array.from(bytes), step);
          twin.push({ bytes, records: step });
        } else assert.deepEqual(shift(tested), twin.shift());
      }
    }),
    { numRuns: 100 },
  );
});

test('an entry that can never fit, and a push without room, are our own mistakes', () => {
  const tested = ring(64);
  assert.throws(() => tested.hasRoom(57), AssertionError);
  tested.push(new Uint8Array(56), 1);
  assert.throws(() => tested.push(new Uint8Array(0), 1), AssertionError);
  assert.throws(() => ring(96), AssertionError);
});
