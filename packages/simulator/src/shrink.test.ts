import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { generate } from './generate.ts';
import type { Schedule } from './schedule.ts';
import { shrink } from './shrink.ts';

test('what is left is exactly what it takes, whatever stands between', async () => {
  const schedule = generate(3);
  const place = fc.integer({ min: 0, max: schedule.steps.length - 1 });
  await fc.assert(
    fc.asyncProperty(fc.uniqueArray(place, { minLength: 1, maxLength: 4 }), async (places) => {
      const needed = places.map((at) => schedule.steps[at]);
      const has = (candidate: Schedule) =>
        needed.every((step) =>
          candidate.steps.some(({ atMs, kind }) => atMs === step.atMs && kind === step.kind),
        );
      const smallest = await shrink(schedule, {
        broken: async (candidate) => (has(candidate) ? 'I1' : undefined),
        runsMax: 5_000,
      });
      assert.equal(smallest.steps.length, new Set(needed.map(({ atMs, kind }) => `${atMs} ${kind}`)).size);
    }),
    { numRuns: 20 },
  );
});

test('a schedule that breaks nothing, or something else when it is smaller, stays as it is', async () => {
  const schedule = generate(4);
  assert.equal(await shrink(schedule, { broken: async () => undefined }), schedule);
  const fickle = async (candidate: Schedule) => (candidate === schedule ? 'I1' : 'I2');
  assert.equal(await shrink(schedule, { broken: fickle }), schedule);
});
