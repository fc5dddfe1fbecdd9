import type { Scenario } from '../src/stage.ts';

export const scenario: Scenario = {
  title:
    'a zone is down and writes go on; one node more, and they stop until somebody takes its place; so it is for whoever opens then',
  source: 'P17 §2.1: AZ+1',
  knobs: { spares: 3, healing: { awayMs: 60_000, behindMs: 60_000, returnedMs: 100, blockedMs: 2_000 } },
  async play(stage) {
    const w1 = await stage.open();
    await stage.commit(w1, 'all six');
    stage.note('zone c is down: four of six are left');
    stage.crash(4, 5, 8);
    await stage.commit(w1, 'four of six');
    stage.note('n3 is down as well: a read quorum is left, no write quorum');
    stage.crash(3);
    const { durable } = await stage.write(w1, 'three of six');
    await stage.pass(1_000);
    await stage.read(w1);
    stage.note('the healer forces n3 out: n7 fills itself from those who are left, and the write lasts');
    await stage.run(durable);
    await stage.until('n7 a member', () => stage.isMember(7));
    stage.note('everybody is back; n3 is not needed any more');
    stage.start(3, 4, 5, 8);
    await stage.pass(3_000);
    await stage.look(w1);
    stage.note(
      'zone a and n2 are down, and w1 dies with a write that three nodes have: w2 opens with those three',
    );
    stage.crash(0, 1, 6, 2);
    await stage.write(w1, 'never told');
    await stage.pass(10);
    w1.kill();
    const w2 = await stage.open();
    await stage.look(w2);
    await stage.commit(w2, 'three and a newcomer');
    stage.note('those who were away come back: n2 is not needed, and the others have everything');
    stage.start(0, 1, 6, 2);
    await stage.pass(10_000);
    await stage.look(w2);
  },
};
