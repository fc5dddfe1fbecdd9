import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Lsn, PageNumber } from '@rokka/kernel';
import { Group, JOINT, PAGES, SIX } from './testing/group.ts';
import { head } from './testing/stores.ts';

test('a tail newcomer takes the log that anybody may still need, and says nothing of an SCL before', async () => {
  await using group = await Group.start();
  const { cluster } = group;
  for (let i = 0; i < 10; i++) await group.write(40);
  cluster.network.cut('n7', 'n0');
  for (const i of [1, 2, 3, 4, 5]) cluster.network.cut('n7', `n${i}`);
  await group.join([7]);
  await group.write(5);
  const state = await cluster.writers[7].fence({ membershipEpoch: JOINT });
  assert.deepEqual([state.hydrating, state.scl, state.coalesced, state.tail.length], [true, 0, 0, 0]);
  assert.deepEqual(
    cluster.writers[7].acks.map(({ scl }) => scl),
    [0],
  );
  for (const i of SIX) cluster.network.heal('n7', `n${i}`);
  await group.whole(7);
  assert.equal(cluster.writers[7].acks.at(-1)?.scl, 405, 'the writer hears of it without asking');
  const whole = await cluster.writers[7].fence({ membershipEpoch: JOINT });
  assert.deepEqual([whole.hydrating, whole.damaged, whole.scl], [false, false, 405]);
});

test('a full newcomer gets pages and log, and serves what the others serve', async () => {
  await using group = await Group.start();
  const { cluster } = group;
  for (let i = 0; i < 20; i++) await group.write(40);
  await group.coalesce([0, 2, 4]);
  await group.write(100);
  await group.join([6]);
  await group.whole(6);
  const segment = cluster.segment(6);
  assert.deepEqual([segment.durableScl, segment.damaged], [900, false]);
  assert.ok(segment.coalesced >= 760, `pages up to ${segment.coalesced}`);
  group.demandTruth(6);
  await cluster.crash(6);
  await cluster.start(6);
  cluster.writers[6] = await cluster.writer(6);
  group.demandTruth(6);
  await group.write(50);
  await group.coalesce([6]);
  await group.write(50);
  group.demandTruth(6);
});

test('its sources write and coalesce on while they are copied', async () => {
  for (let seed = 1; seed <= 4; seed++) {
    await using group = await Group.start({ seed, pages: 200 });
    const { cluster, random } = group;
    for (let i = 0; i < 12; i++) await group.write(60);
    await group.coalesce([0, 2]);
    await group.join([6]);
    for (let i = 0; i < 60 && cluster.segment(6).hydration; i++) {
      await group.write(1 + random.below(20));
      await group.coalesce([[0, 2, 4][random.below(3)]]);
    }
    await group.whole(6);
    const segment = cluster.segment(6);
    assert.ok(segment.readFloor > 0, 'some page is newer than the base');
    group.demandTruth(6);
    await group.write(30);
    await group.write(30);
    group.demandTruth(6);
    await group.coalesce([6]);
    group.demandTruth(6);
    await cluster.crash(6);
    await cluster.start(6);
    group.demandTruth(6);
  }
});

test('interrupted at any point it goes on where it was: at most a twentieth is sent again', async () => {
  for (const percent of [15, 40, 85]) {
    await using group = await Group.start({ pages: PAGES });
    const { cluster } = group;
    // Every page once, so that the pages are what hydration is about.
    for (let page = 0; page < PAGES; page++) group.maker.make({ page, content: Buffer.from(`page ${page}`) });
    for (const i of SIX)
      cluster.writers[i].ship(group.maker.made, { vdl: group.maker.lastLsn, pgmrpl: group.maker.lastLsn });
    await cluster.pass(20);
    await group.coalesce([0, 2, 4]);
    await group.join([6]);
    const served = () => cluster.nodes.reduce((sum, node) => sum + node.pages.servedPages, 0);
    while ((cluster.segment(6).hydration?.nextPage ?? PAGES) < (PAGES * percent) / 100) await cluster.pass(1);
    await cluster.crash(6);
    const copied = served();
    assert.ok(copied < PAGES, `${copied} pages when the power failed`);
    await cluster.start(6);
    await group.whole(6);
    assert.ok(
      served() <= PAGES * 1.05,
      `${served()} pages of ${PAGES} were sent, ${copied} before the crash`,
    );
    assert.equal(cluster.segment(6).durableScl, PAGES);
    for (const page of [0, 700, 2047]) {
      const read = { ...head({ membershipEpoch: JOINT }), page: page as PageNumber };
      const lsn = PAGES as Lsn;
      const answer = cluster.nodes[6].store.read({ ...read, readPoint: lsn, requiredScl: lsn });
      assert.deepEqual(answer.content, group.maker.page(page).content);
    }
  }
});
