/** The hunt in small: kept schedules first, then some seeds; what is found by the thousand is `rokka simulate`'s business. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { must, withMutants } from '@rokka/kernel';
import { generate } from './generate.ts';
import { keptRegressions } from './regressions.ts';
import { runSchedule } from './run.ts';

const SEEDS = 6;

for (const { name, note, invariant, mutant, schedule } of keptRegressions()) {
  test(`kept: ${name}: ${note}`, async () => {
    const { broken } = await runSchedule(schedule);
    assert.equal(broken?.message, undefined);
    if (mutant === undefined) return;
    const again = await withMutants([mutant], () => runSchedule(schedule));
    assert.equal(again.broken?.invariant, invariant);
  });
}

test(`seeds 1 to ${SEEDS} break nothing, and meet what they are for`, async () => {
  const met = new Map<string, number>();
  for (let seed = 1; seed <= SEEDS; seed++) {
    const { broken, faults, eventCounts } = await runSchedule(generate(seed));
    assert.equal(broken?.message, undefined, `seed ${seed}`);
    for (const [kind, count] of [...faults, ...eventCounts]) met.set(kind, (met.get(kind) ?? 0) + count);
  }
  const expected = [
    'power-loss',
    'power-loss-within',
    'kill-writer',
    'isolate',
    'opened',
    'acked',
    'read-answer',
    'gave',
    'begin-change',
    'lose-zone',
    'gave-pages',
    'registry-away',
    'kill-writer-within',
  ];
  for (const kind of expected) assert.ok(met.get(kind), `no ${kind}`);
});

test('a schedule decides everything: two runs of it are the same to the last event', async () => {
  for (const seed of [5, 7]) {
    const first = await runSchedule(generate(seed));
    const second = await runSchedule(generate(seed));
    assert.deepEqual(
      [second.hash, second.events, second.virtualMs],
      [first.hash, first.events, first.virtualMs],
    );
  }
});

test('a schedule survives being kept as JSON', async () => {
  const schedule = generate(8);
  const kept = JSON.parse(JSON.stringify(schedule)) as typeof schedule;
  assert.equal((await runSchedule(kept)).hash, (await runSchedule(schedule)).hash);
});

test('leaving steps out leaves a schedule that runs', async () => {
  const schedule = generate(9);
  const steps = schedule.steps.filter((_, index) => index % 3 !== 0);
  assert.equal((await runSchedule({ ...schedule, steps })).broken?.message, undefined);
  const only = must(schedule.steps.find(({ kind }) => kind === 'open'));
  assert.equal((await runSchedule({ ...schedule, steps: [only] })).broken?.message, undefined);
});
