import type { Scenario } from '../src/stage.ts';

export const scenario: Scenario = {
  title: 'whoever had the last copy loses what it had not flushed, and then the volume is recovered from it',
  source: 'KIP-966: the last replica in sync loses its page cache',
  async play(stage) {
    const w1 = await stage.open();
    await stage.commit(w1, 'flushed');
    stage.note('the next write reaches n0 alone, which loses power at its sync: nobody was told anything');
    for (const place of [1, 2, 3, 4, 5]) stage.cut(w1, place);
    stage.node(0).disk.cutAfter = { operations: 1, run: () => stage.crash(0) };
    const { durable } = await stage.write(w1, 'in a page cache');
    durable.catch(() => {});
    await stage.until('n0 down', () => !stage.node(0).isUp);
    w1.kill();
    stage.start(0);
    stage.note('n0, n2 and n4 recover the volume: it stands where it was');
    for (const place of [1, 3, 5]) stage.crash(place);
    const w2 = stage.begin();
    await stage.pass(100);
    stage.start(1, 3, 5);
    await stage.until('w2 open', () => w2.state === 'open');
    await stage.look(w2);
    stage.note('what was acknowledged was flushed first: all six lose power, and it is there');
    await stage.commit(w2, 'told to the client');
    w2.kill();
    stage.crash(0, 1, 2, 3, 4, 5);
    stage.start(0, 1, 2, 3, 4, 5);
    const w3 = await stage.open();
    await stage.look(w3);
  },
};
