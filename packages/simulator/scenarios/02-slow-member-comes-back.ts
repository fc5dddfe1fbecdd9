import type { Scenario } from '../src/stage.ts';

export const scenario: Scenario = {
  title: 'a member that was only slow is replaced and taken back while the volume is written',
  source: 'P18 §4.1, Fig 5: e1, e2, e1',
  knobs: { spares: 3 },
  async play(stage) {
    const w1 = await stage.open();
    await stage.commit(w1, 'before');
    stage.note('nothing reaches n5; n8 is to take its place, and no write waits');
    stage.cut(w1, 5);
    await stage.commit(w1, 'n5 is slow');
    await stage.run(stage.steps(w1).begin(stage.inPlaceOf(5, 8)));
    await stage.commit(w1, 'both sets agree to this');
    stage.note('n5 hears again, and has everything that it missed');
    stage.mend(w1, 5);
    await stage.pass(100);
    await stage.run(stage.steps(w1).revert(stage.node(8).id));
    await stage.commit(w1, 'n5 stays');
    await stage.pass(2_000);
    await stage.look(w1);
  },
};
