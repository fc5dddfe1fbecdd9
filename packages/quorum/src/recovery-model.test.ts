/**
 * Recovery under everything that its fault model allows (testing/model-volume.ts): what a client was promised survives
 * every later recovery, mini-transactions are whole or absent, nothing that was annulled comes back, a replaced writer
 * never gets further.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { ModelVolume } from './testing/model-volume.ts';

const GENERATIONS = 5;

function run(seed: number): ModelVolume {
  const volume = new ModelVolume(seed);
  for (let i = 0; i < GENERATIONS; i++) volume.generation();
  return volume;
}

test('nothing promised is lost and nothing annulled returns, over random lives and recoveries', () => {
  const total = { records: 0, recoveries: 0, abandoned: 0, annulled: 0, blocked: 0, promised: 0 };
  fc.assert(
    fc.property(fc.integer(), (seed) => {
      const { counts } = run(seed);
      for (const key of Object.keys(total) as (keyof typeof total)[]) total[key] += counts[key];
    }),
    { numRuns: 150 },
  );
  // A run in which nothing happens proves nothing.
  for (const [what, count] of Object.entries(total)) assert.ok(count > 0, `no ${what}`);
});
