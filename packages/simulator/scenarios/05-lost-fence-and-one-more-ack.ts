import type { Scenario } from '../src/stage.ts';

export const scenario: Scenario = {
  title: 'the fence is lost on its way to three nodes, which go on acknowledging the old writer',
  source: 'BookKeeper #2614: fenced by a read that was not a fence',
  async play(stage) {
    const w1 = await stage.open();
    await stage.commit(w1, 'durable');
    stage.note('w2 opens, and reaches only n0, n1 and n2');
    const w2 = stage.begin();
    for (const place of [3, 4, 5]) stage.cut(w2, place);
    const obey = new Set<string>();
    stage.world.events.add({ state: ({ node, of }) => void (of === 'fence' && obey.add(node)) });
    await stage.until('three obey', () => obey.size === 3);
    stage.note('w1 writes on: n3, n4 and n5 take it, those who obey w2 refuse; three are no write quorum');
    for (const place of [3, 4, 5]) stage.cut(place, w1);
    const { durable } = await stage.write(w1, 'must not last');
    durable.catch(() => {});
    await stage.until('w1 ended', () => w1.state === 'dead');
    stage.note('the fence arrives; what the three took is annulled');
    for (const place of [3, 4, 5]) stage.mend(w2, place);
    await stage.until('w2 open', () => w2.state === 'open');
    await stage.pass(1_000);
    await stage.look(w2);
  },
};
