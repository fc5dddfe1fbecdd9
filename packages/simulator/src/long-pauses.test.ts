import assert from 'node:assert/strict';
import { test } from 'node:test';
import { must } from '@rokka/kernel';
import { HEALING_TIMES } from '@rokka/quorum';
import { generate } from './generate.ts';
import { hasLongPauses, withLongPauses } from './long-pauses.ts';
import { runSchedule } from './run.ts';
import { stream } from './seeds.ts';

const SEEDS = Array.from({ length: 100 }, (_, index) => index + 1);

const short = (seed: number) =>
  generate(must(SEEDS.slice(seed).find((one) => !hasLongPauses(generate(one)))));

test('a quarter of the histories have them, and each of the others is as if there were none', () => {
  const long = SEEDS.map(generate).filter(hasLongPauses);
  assert.ok(long.length > 10 && long.length < 40, `${long.length} of ${SEEDS.length}`);
  for (const { knobs } of long)
    assert.equal(knobs.healing, knobs.spares === undefined ? undefined : HEALING_TIMES);
});

test('what is close stays close, what is longer lasts longer, and the order is the same', () => {
  for (const seed of [1, 20, 40]) {
    const before = short(seed);
    const after = withLongPauses(stream(seed, 'test'), before);
    assert.deepEqual(
      after.steps.map(({ kind }) => kind),
      before.steps.map(({ kind }) => kind),
    );
    const ends = [...before.steps, { atMs: before.endMs }].map((step, index) => {
      const own = [...after.steps, { atMs: after.endMs }];
      return { was: step, is: must(own[index]) };
    });
    let last = { was: 0, is: 0 };
    for (const { was, is } of ends) {
      const [gap, newGap] = [was.atMs - last.was, is.atMs - last.is];
      if (gap <= 19) assert.ok(Math.abs(newGap - gap) < 0.02, `${gap} became ${newGap}`);
      else assert.ok(newGap > gap - 0.02, `${gap} became ${newGap}`);
      if ('forMs' in was && 'forMs' in is)
        assert.ok(was.forMs <= 20 ? is.forMs - was.forMs < 0.01 : is.forMs > was.forMs);
      last = { was: was.atMs, is: is.atMs };
    }
    assert.ok(after.endMs > 2 * before.endMs);
  }
});

test('such a history comes to rest, and lasts', async () => {
  const schedule = withLongPauses(stream(3, 'test'), short(3));
  const { broken, virtualMs } = await runSchedule(schedule);
  assert.equal(broken?.message, undefined);
  assert.ok(virtualMs >= schedule.endMs);
});
