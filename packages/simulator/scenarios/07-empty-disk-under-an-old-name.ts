import type { Scenario } from '../src/stage.ts';

export const scenario: Scenario = {
  title: 'a member comes back with an empty disk under its old name',
  source: 'BookKeeper cookies, KIP-853 directory ids, TigerBeetle `recover`',
  knobs: { spares: 3, healing: { awayMs: 60_000, behindMs: 60_000, returnedMs: 100, blockedMs: 60_000 } },
  async play(stage) {
    const w1 = await stage.open();
    await stage.commit(w1, 'on all six');
    stage.note('n2 gets an empty disk and starts: it is another store, whatever it says');
    stage.crash(2);
    stage.node(2).disk.wipe();
    stage.start(2);
    await stage.pass(100);
    await stage.commit(w1, 'without n2');
    stage.note('it does not count, and n7 takes its place at once');
    await stage.until('n7 a member', () => stage.isMember(7));
    await stage.pass(1_000);
    w1.kill();
    stage.note('with n0 and n1 away, the next writer relies on n7');
    stage.crash(0, 1);
    const w2 = await stage.open();
    await stage.look(w2);
  },
};
