import type { Scenario } from '../src/stage.ts';

export const scenario: Scenario = {
  title: 'somebody reads as of an old point: the page as it was then, or a refusal, never a newer page',
  source: 'P18 §3.4: replicas hold a read point, and may lag or die',
  async play(stage) {
    const w1 = await stage.open();
    for (const text of ['one', 'two', 'three']) await stage.commit(w1, text);
    stage.note(
      'there are no replicas; a read that waits holds its read point all the same: n0 hears no read',
    );
    for (const place of [0, 2, 4]) stage.cut(place, w1);
    const waiting = w1.volume?.read(0 as never);
    for (const text of ['four', 'five', 'six']) await stage.write(w1, text);
    await stage.pass(50);
    for (const place of [0, 2, 4]) stage.mend(place, w1);
    await stage.run(Promise.resolve(waiting));
    stage.note('nobody holds an old point any more: a late reader of one is refused');
    await stage.pass(500);
    await stage.commit(w1, 'seven');
    await stage.pass(500);
    for (const back of [0, 1, 3, 6]) await stage.peek(w1, 0, { page: 0, back });
  },
};
