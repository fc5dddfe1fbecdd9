import type { Scenario } from '../src/stage.ts';

export const scenario: Scenario = {
  title: 'n5 dies, then n4 while its successor fills itself: every write takes all four who are left',
  source: 'P18 §4.1: four sets in force, and ABCD satisfies them all',
  knobs: { spares: 6 },
  async play(stage) {
    const w1 = await stage.open();
    await stage.commit(w1, 'all six');
    stage.note('n8 and n11 come for n5 and n4, and get nothing from their peers yet');
    for (const peer of [0, 1, 2, 3, 4, 5]) for (const newcomer of [8, 11]) stage.cut(peer, newcomer);
    stage.crash(5);
    await stage.run(stage.steps(w1).begin(stage.inPlaceOf(5, 8)));
    stage.crash(4);
    await stage.run(stage.steps(w1).begin(stage.inPlaceOf(4, 11)));
    await stage.commit(w1, 'n0 n1 n2 n3');
    stage.note('without n3 nothing lasts; with it everything does');
    stage.crash(3);
    const { durable } = await stage.write(w1, 'three are not enough');
    await stage.pass(500);
    stage.start(3);
    await stage.run(durable);
    stage.note('the newcomers hear from their peers, and stay, in the other order');
    for (const peer of [0, 1, 2, 3, 4, 5]) for (const newcomer of [8, 11]) stage.mend(peer, newcomer);
    await stage.until('both stay', () => stage.isMember(8) && stage.isMember(11));
    w1.kill();
    stage.note('n0 and n1 are away: what the newcomers hold is needed to recover');
    stage.crash(0, 1);
    const w2 = await stage.open();
    await stage.look(w2);
  },
};
