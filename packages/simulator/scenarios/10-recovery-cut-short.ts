import type { Scenario } from '../src/stage.ts';

export const scenario: Scenario = {
  title: 'a recovery dies when its range has reached two nodes, and the next one meets the others',
  source: 'P17 §4.3: epoch-versioned truncation ranges',
  async play(stage) {
    const w1 = await stage.open();
    await stage.commit(w1, 'kept');
    stage.note('the next write reaches n5 alone');
    for (const place of [0, 1, 2, 3, 4]) stage.cut(w1, place);
    for (const peer of [0, 1, 2, 3, 4]) stage.cut(5, peer);
    await stage.write(w1, 'annulled');
    await stage.pass(50);
    w1.kill();
    stage.note('w2 recovers without n5, and is killed when n0 and n1 have its range');
    const w2 = stage.begin();
    stage.cut(w2, 5);
    // Its second fences leave when the registry has the range.
    stage.world.events.add({
      registry: ({ record }) => {
        if (record.truncationRanges.length === 1) for (const place of [2, 3, 4]) stage.cut(w2, place);
      },
    });
    const { oracles } = stage.world;
    await stage.until('a range', () => oracles.history.ranges.length > 0);
    await stage.pass(20);
    w2.kill();
    stage.note('w3 meets the others, and n5 with what was annulled: the range of w2 stands in the registry');
    stage.crash(0, 1);
    const w3 = await stage.open();
    await stage.look(w3);
    await stage.commit(w3, 'goes on');
    stage.start(0, 1);
    await stage.pass(2_000);
    await stage.look(w3);
  },
};
