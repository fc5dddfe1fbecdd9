/**
 * Runs the fuzzers on a model. ROKKA_SEED=n runs that seed alone, ROKKA_RUNS=n more seeds than the usual few.
 */
import assert from 'node:assert/strict';
import test from 'node:test';
import { checkEveryPrefix, fuzzCrashes, fuzzDifferential } from './filesystem.fuzz.ts';
import { ModelActor } from './fuzz/model-actor.ts';

const twin = () => new ModelActor();
const runs = Number(process.env['ROKKA_RUNS'] ?? 4);
const seeds = process.env['ROKKA_SEED']
  ? [Number(process.env['ROKKA_SEED'])]
  : Array.from({ length: runs }, (_, i) => i + 1);

for (const seed of seeds) {
  void test(`random operations equal the model, whole and after crashes (seed ${seed})`, () => {
    const result = fuzzDifferential({ seed, steps: 2000, twin });
    assert.ok(result.store.history.length > 300, 'the steps changed too little to prove anything');
    fuzzCrashes(result);
  });

  void test(`the same with a store that makes every operation wait (seed ${seed})`, () => {
    fuzzCrashes(fuzzDifferential({ seed: seed + 1000, steps: 1200, twin, refusals: 0.3 }));
  });
}

void test('after every single mini-transaction there is a sound filesystem', () => {
  const { store } = fuzzDifferential({ seed: 77, steps: 1000, twin });
  assert.ok(checkEveryPrefix(store.history) > 150);
});
