import type { Scenario } from '../src/stage.ts';

export const scenario: Scenario = {
  title: 'two writers begin different replacements at the same membership epoch',
  source: 'compare-and-set as in Neon and BookKeeper',
  knobs: { spares: 6 },
  async play(stage) {
    const w1 = await stage.open();
    await stage.commit(w1, 'first');
    stage.note('w1 is paused when it is about to replace n5 by n8; w2 opens and replaces n4 by n11');
    const late = stage.steps(w1).begin(stage.inPlaceOf(5, 8));
    late.catch(() => {});
    stage.pause(w1);
    const w2 = await stage.open();
    await stage.run(
      stage
        .steps(w2)
        .begin(stage.inPlaceOf(4, 11))
        .catch(() => {}),
    );
    stage.note('w1 wakes and tries another one: the registry has moved on');
    stage.resume(w1);
    const again = stage.steps(w1).begin(stage.inPlaceOf(3, 7));
    await stage.run(again.catch(() => {}));
    await stage.until('w1 ended', () => w1.state === 'dead');
    await stage.commit(w2, 'second');
    await stage.look(w2);
  },
};
