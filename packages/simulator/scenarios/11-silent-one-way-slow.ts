import type { Scenario } from '../src/stage.ts';

export const scenario: Scenario = {
  title:
    'one node takes everything and says nothing, one is cut off in one direction, one has a slow disk; spares take their places',
  source: 'Neon #2569; DRBD one-way partitions; gray failure',
  knobs: { spares: 3, healing: { awayMs: 5_000, behindMs: 4_000, returnedMs: 500, blockedMs: 60_000 } },
  async play(stage) {
    const w1 = await stage.open();
    await stage.commit(w1, 'all well');
    stage.note('n0 is silent, n1 does not hear w1; four are left');
    stage.cut(0, w1);
    stage.cut(w1, 1);
    await stage.commit(w1, 'four answer');
    stage.note('and n2 takes up to two seconds for a sync: writes are slow, and last');
    stage.node(2).disk.syncMsMax = 2_000;
    await stage.commit(w1, 'slowly');
    stage.note('the silent one is taken for dead; when it speaks again it obeys, and has everything');
    await stage.pass(20_000);
    stage.node(2).disk.syncMsMax = 0;
    stage.mend(0, w1);
    stage.mend(w1, 1);
    await stage.pass(5_000);
    await stage.commit(w1, 'all well again');
    await stage.look(w1);
  },
};
