import type { Scenario } from '../src/stage.ts';

export const scenario: Scenario = {
  title: 'a paused writer is replaced, and wakes to acknowledgements that waited for it',
  source: 'P18 §2.4; BookKeeper BP-46, scenario 1',
  async play(stage) {
    const w1 = await stage.open();
    await stage.commit(w1, 'first');
    stage.note('w1 ships a write and is paused before it hears the answers');
    const { durable } = await stage.write(w1, 'on all six');
    await stage.pass(0.5);
    stage.pause(w1);
    await stage.pass(100);
    stage.note('w2 opens, and keeps the write: three of those who answer show it');
    const w2 = await stage.open();
    await stage.look(w2);
    await stage.commit(w2, 'second writer');
    stage.note('w1 wakes: what it was told of the write is true, and it is the last thing that it may say');
    stage.resume(w1);
    await stage.run(durable.catch(() => {}));
    await stage.until('w1 ended', () => w1.state === 'dead');
    await stage.look(w2);
  },
};
