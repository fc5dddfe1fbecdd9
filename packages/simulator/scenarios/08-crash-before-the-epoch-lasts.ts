import type { Scenario } from '../src/stage.ts';

export const scenario: Scenario = {
  title: 'a node loses power when it has taken in a fence, before the epoch is on its disk',
  source: 'etcd 3.5: data and index persisted apart',
  async play(stage) {
    const w1 = await stage.open();
    await stage.commit(w1, 'first');
    stage.note(
      'n0, n1 and n2 lose power at the sync that would make the epoch of w2 last; they have answered nothing',
    );
    for (const place of [0, 1, 2])
      stage.node(place).disk.cutAfter = { operations: 1, run: () => stage.crash(place) };
    const w2 = stage.begin();
    await stage.until('all three down', () => [0, 1, 2].every((place) => !stage.node(place).isUp));
    stage.note(
      'they come back at the old epoch, and w1 may try them: n3, n4 and n5 obey w2, so nothing of it lasts',
    );
    const { durable } = await stage.write(w1, 'too late');
    durable.catch(() => {});
    stage.start(0, 1, 2);
    await stage.until('w2 open', () => w2.state === 'open');
    await stage.until('w1 ended', () => w1.state === 'dead');
    await stage.look(w2);
    await stage.commit(w2, 'second');
  },
};
