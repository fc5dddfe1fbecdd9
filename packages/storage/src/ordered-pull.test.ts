import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { SeededRandom } from '@rokka/kernel';
import { OrderedPull, type Piece } from './ordered-pull.ts';

interface Numbers extends Piece {
  positions: number[];
}

/** Sources that answer out of order, cut short and fail; every third position is empty. */
async function pull(options: { seed: number; from: number; count: number; sources: number; window: number }) {
  const { seed, from, count, sources, window } = options;
  const random = new SeededRandom(seed);
  const taken: number[] = [];
  const failed: number[] = [];
  const flight = { now: 0, max: 0 };
  const one = new OrderedPull<number, Numbers>({
    from,
    to: from + count,
    sources: Array.from({ length: sources }, (_, i) => i),
    stride: 1 + random.below(10),
    strideMax: 50,
    window,
    pieceBytes: 10,
    async request(source, start, end) {
      flight.max = Math.max(flight.max, ++flight.now);
      for (let turns = random.below(5); turns > 0; turns--) await Promise.resolve();
      flight.now--;
      // The last source never fails.
      if (source > 0 && random.chance(0.1)) throw new Error(`source ${source}`);
      const next = random.chance(0.3) ? start + 1 + random.below(end - start) : end;
      const all = Array.from({ length: next - start }, (_, i) => start + i);
      const positions = all.filter((position) => position % 3 !== 0);
      return { next, bytes: positions.length, positions };
    },
    take: async ({ positions }) => {
      taken.push(...positions);
      if (random.chance(0.5)) await Promise.resolve();
    },
    goesOn: () => true,
    onFailed: (source) => failed.push(source),
  });
  const whole = await one.run();
  return { whole, taken, failed, inFlightMax: flight.max };
}

test('whatever the sources do, everything is taken once and in order', async () => {
  const arbitrary = fc.record({
    seed: fc.nat(),
    from: fc.nat(50),
    count: fc.integer({ min: 0, max: 300 }),
    sources: fc.integer({ min: 1, max: 4 }),
    window: fc.integer({ min: 1, max: 8 }),
  });
  await fc.assert(
    fc.asyncProperty(arbitrary, async (options) => {
      const { whole, taken, failed, inFlightMax } = await pull(options);
      const all = Array.from({ length: options.count }, (_, i) => options.from + i);
      assert.deepEqual(
        taken,
        all.filter((position) => position % 3 !== 0),
      );
      assert.equal(whole, true);
      assert.equal(new Set(failed).size, failed.length, 'a source is put out once');
      assert.ok(inFlightMax <= options.window);
    }),
    { numRuns: 200 },
  );
});

test('it ends with the error of the last source, or when it is told to', async () => {
  const options = {
    from: 0,
    to: 10,
    sources: ['a', 'b'],
    stride: 2,
    strideMax: 2,
    window: 2,
    pieceBytes: 1,
    take: () => {},
    goesOn: () => true,
  };
  const failing = new OrderedPull<string, Piece>({
    ...options,
    request: (source) => Promise.reject(new Error(`${source} is gone`)),
  });
  await assert.rejects(failing.run(), /is gone/);
  let taken = 0;
  const ended = new OrderedPull<string, Piece>({
    ...options,
    request: async (_, __, next) => ({ next, bytes: 1 }),
    take: () => void taken++,
    goesOn: () => taken < 2,
  });
  assert.equal(await ended.run(), false);
  assert.equal(taken, 2);
});

test('how much is asked for follows what the answers weigh', async () => {
  const asked: number[] = [];
  const sparse = new OrderedPull<string, Piece>({
    from: 0,
    to: 1_000_000,
    sources: ['a'],
    stride: 4,
    strideMax: 65_536,
    window: 4,
    pieceBytes: 1_000,
    request: async (_, from, next) => {
      asked.push(next - from);
      return { next, bytes: 10 };
    },
    take: () => {},
    goesOn: () => true,
  });
  await sparse.run();
  assert.ok(asked.length < 60, `${asked.length} requests`);
  asked.length = 0;
  const dense = new OrderedPull<string, Piece>({
    from: 0,
    to: 10_000,
    sources: ['a'],
    stride: 1_000,
    strideMax: 1_000,
    window: 2,
    pieceBytes: 100,
    request: async (_, from, to) => {
      asked.push(to - from);
      const next = Math.min(to, from + 100);
      return { next, bytes: 100 };
    },
    take: () => {},
    goesOn: () => true,
  });
  await dense.run();
  assert.ok(Math.max(...asked.slice(-20)) <= 100, 'no more than comes');
});
