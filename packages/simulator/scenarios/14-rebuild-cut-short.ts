import type { Scenario } from '../src/stage.ts';

export const scenario: Scenario = {
  title: 'a newcomer loses power when it has copied a part of the pages, and goes on from there',
  source: 'Harvester #3347: rebuilds that begin again',
  knobs: {
    spares: 3,
    healing: { awayMs: 60_000, behindMs: 60_000, returnedMs: 100, blockedMs: 60_000 },
    pagesPerGroup: 400,
    cacheFrames: 512,
    outstandingBytesMax: 16 * 1024 * 1024,
    allocationLimit: 4_000,
  },
  async play(stage) {
    const w1 = await stage.open();
    for (let page = 0; page < 400; page += 1) await stage.write(w1, `page ${page}`, page);
    await stage.pass(3_000);
    stage.lines.length = 0;
    stage.note(
      '400 pages are written; n4 is to be emptied, and n8 loses power when 160 pages were sent to it',
    );
    let sent = 0;
    stage.world.events.add({ 'gave-pages': ({ from, next }) => void (sent += next - from) });
    stage.node(4).leaving = true;
    await stage.until('160 pages', () => sent >= 160);
    stage.crash(8);
    stage.note(`it starts again when ${sent} were sent: what is on its disk is not asked for once more`);
    stage.start(8);
    await stage.until('n8 stays', () => stage.isMember(8));
    stage.note(`in all ${sent} pages were sent`);
    await stage.until('n4 empty', () => stage.world.oracles.history.volume?.groups[0]?.retired.length === 0);
    await stage.read(w1, 399);
  },
};
