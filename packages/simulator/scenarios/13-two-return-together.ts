import type { Scenario } from '../src/stage.ts';

export const scenario: Scenario = {
  title: 'two nodes that were down for an hour come back together, when two others go',
  source: 'Mayastor #1713',
  knobs: { gossipIntervalMs: 60_000 },
  async play(stage) {
    const w1 = await stage.open();
    await stage.commit(w1, 'all six');
    stage.note('n2 and n5 are down for an hour, and miss two writes');
    stage.crash(2, 5);
    await stage.commit(w1, 'four of six');
    await stage.pass(60 * 60_000);
    await stage.commit(w1, 'an hour later');
    stage.note('they come back as n0 and n4 go: they obey, and count only for what they have');
    stage.crash(0, 4);
    stage.start(2, 5);
    const { durable } = await stage.write(w1, 'needs them complete');
    await stage.run(durable);
    w1.kill();
    const w2 = await stage.open();
    await stage.look(w2);
  },
};
