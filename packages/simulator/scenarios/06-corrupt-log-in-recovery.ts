import type { Scenario } from '../src/stage.ts';

export const scenario: Scenario = {
  title: 'the log of one member is corrupt when the volume is recovered',
  source: 'BookKeeper #2908: a damaged member counted as one that had nothing',
  async play(stage) {
    const w1 = await stage.open();
    stage.note('the last writes are on n0, n1, n2 and n3 only');
    for (const place of [4, 5]) stage.cut(w1, place);
    for (const peer of [0, 1, 2, 3]) for (const place of [4, 5]) stage.cut(place, peer);
    for (const text of ['one', 'two', 'three', 'four']) await stage.commit(w1, text);
    stage.note('bits flip in the log of n3; n0 and n1 are away; w1 is gone');
    w1.kill();
    await stage.pass(10);
    const { disk } = stage.node(3);
    stage.crash(0, 1, 3);
    const [log = ''] = disk.filesLike('.log');
    disk.rot(log, Buffer.from(disk.peek(log, 0, disk.sizeOf(log))).indexOf('two'), 3);
    stage.start(3);
    stage.note(
      'n3 says that it does not know; n2, n4 and n5 are a read quorum without it, and n2 has everything',
    );
    for (const peer of [0, 1, 2, 3]) for (const place of [4, 5]) stage.mend(place, peer);
    const w2 = stage.begin();
    await stage.pass(2_000);
    stage.start(0, 1);
    await stage.until('w2 open', () => w2.state === 'open');
    await stage.look(w2);
  },
};
