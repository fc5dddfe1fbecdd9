import type { Scenario } from '../src/stage.ts';

export const scenario: Scenario = {
  title: 'two writers begin different replacements at the same membership epoch',
  source: 'compare-and-set as in Neon and BookKeeper',
  knobs: { spares: 6 },
  async play(stage) {
    const w1 = await stage.open();
    await stage.commit(w1, 'first');
    stage.note('w1 is paused when it is about to replace n5 by n8; w2 opens, and replaces n4 by n11');
    const change = stage.inPlaceOf(5, 8);
    stage.pause(w1);
    const w2 = await stage.open();
    await stage.pass(50);
    await stage.run(stage.steps(w2).begin(stage.inPlaceOf(4, 11)));
    stage.note('w1 wakes, and goes to the registry first: what it read there is not what stands there now');
    for (const place of [0, 1, 2, 3, 4, 5]) stage.cut(place, w1);
    const late = stage.steps(w1).begin(change);
    stage.resume(w1);
    await stage.run(
      late.catch((error: { code?: string }) => stage.note(`its change is refused: ${error.code}`)),
    );
    await stage.until('w1 ended', () => w1.state === 'dead');
    await stage.commit(w2, 'second');
    await stage.look(w2);
  },
};
