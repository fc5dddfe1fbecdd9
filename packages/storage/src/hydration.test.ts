import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Epoch, Lsn, PageNumber } from '@rokka/kernel';
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

test('while somebody waits for a newcomer it copies one piece after the other, unless a member is away', async () => {
  /** How many ships, two milliseconds apart, come until it is whole. */
  const shipsUntilWhole = async (away: readonly number[]) => {
    await using group = await Group.start({ pages: 1_500 });
    const { cluster } = group;
    for (let i = 0; i < 30; i++) await group.write(60);
    await group.coalesce([0, 2, 4]);
    for (const i of away) await cluster.crash(i);
    await group.join(
      [6],
      SIX.filter((i) => !away.includes(i)),
    );
    let ships = 0;
    for (; cluster.segment(6).hydration; ships++) {
      assert.ok(ships < 5_000, cluster.lines.join('\n'));
      await group.write(
        1,
        group.members.filter((i) => !away.includes(i)),
      );
    }
    group.demandTruth(6);
    return ships;
  };
  const [all, less] = [await shipsUntilWhole([]), await shipsUntilWhole([1])];
  assert.ok(all > 2 * less, `${all} ships with all six there, ${less} with one away`);
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
      const read = { ...head({ membershipEpoch: JOINT }), pages: [page as PageNumber] };
      const lsn = PAGES as Lsn;
      const [answer] = cluster.nodes[6].store.read({ ...read, readPoint: lsn, requiredScl: lsn });
      assert.deepEqual(answer.content, group.maker.page(page).content);
    }
  }
});

test('a source that dies midway is replaced by another one, and so is one that falls silent', async () => {
  for (const silent of [false, true]) {
    await using group = await Group.start({ pages: PAGES });
    const { cluster, maker } = group;
    for (let page = 0; page < PAGES; page++) maker.make({ page, content: Buffer.from(`page ${page}`) });
    for (const i of SIX) cluster.writers[i].ship(maker.made, { vdl: maker.lastLsn, pgmrpl: maker.lastLsn });
    await cluster.pass(20);
    await group.coalesce([0, 2, 4]);
    cluster.network.cut('n6', 'n4');
    await group.join([6]);
    while ((cluster.segment(6).hydration?.nextPage ?? 0) < PAGES / 3) await cluster.pass(1);
    const served = cluster.nodes.map(({ pages }) => pages.servedPages);
    assert.ok(served[0] > 0 && served[2] > 0, 'both give pages');
    if (silent) cluster.network.hold('n0', 'n6');
    else await cluster.crash(0);
    await group.whole(6, 60_000);
    assert.ok(cluster.nodes[2].pages.servedPages > served[2]);
    const lsn = PAGES as Lsn;
    for (const page of [0, 700, 2047]) {
      const read = { ...head({ membershipEpoch: JOINT }), pages: [page as PageNumber] };
      const [answer] = cluster.nodes[6].store.read({ ...read, readPoint: lsn, requiredScl: lsn });
      assert.deepEqual(answer.content, maker.page(page).content);
    }
    cluster.network.heal('n0', 'n6');
    if (!silent) await cluster.start(0);
  }
});

test('several newcomers at once, of both kinds', async () => {
  await using group = await Group.start({ nodes: 9 });
  const { cluster } = group;
  for (let i = 0; i < 10; i++) await group.write(40);
  await group.coalesce([0, 2, 4]);
  await group.join([6, 7, 8]);
  for (let i = 0; i < 10; i++) await group.write(20);
  for (const i of [6, 7, 8]) await group.whole(i);
  await group.write(20);
  await cluster.pass(2_000);
  for (const i of [6, 7, 8]) assert.equal(cluster.segment(i).durableScl, 620);
  for (const i of [6, 8]) group.demandTruth(i);
});

test('a newcomer is refused by, and waits for, peers that obey a later writer', async () => {
  await using group = await Group.start();
  const { cluster, maker } = group;
  for (let i = 0; i < 10; i++) await group.write(40);
  await group.coalesce([0, 2, 4]);
  const volumeEpoch = 2 as Epoch;
  for (const i of SIX) await cluster.writers[i].fence({ volumeEpoch });
  const members = cluster.membersAt([...SIX, 6]);
  await cluster.writers[6].create('full', 0, {
    pageCount: PAGES,
    members,
    membershipEpoch: JOINT,
    hydrate: true,
  });
  await cluster.pass(5_000);
  assert.equal(cluster.segment(6).hydration?.begun, false);
  assert.match(cluster.lines.join('\n'), /n6: .*STORAGE_NO_SOURCE/);
  // A recovery has annulled what came last; the newcomer hears of the range when it is fenced.
  const ranges = [{ volumeEpoch, after: 390 as Lsn, through: 1_000 as Lsn }];
  for (const i of [...SIX, 6])
    await cluster.writers[i].fence({ volumeEpoch, membershipEpoch: JOINT, members, ranges });
  maker.truncate({ after: 390, through: 1_000, epoch: 2 });
  await group.whole(6);
  assert.deepEqual(
    [cluster.segment(6).durableScl, cluster.segment(6).chain.truncation.known.length],
    [390, 1],
  );
});

test('what a newcomer is to reach may be annulled while it is filled', async () => {
  await using group = await Group.start();
  const { cluster } = group;
  for (let i = 0; i < 5; i++) await group.write(40);
  await group.coalesce([0, 2, 4]);
  // One member has more than the others: that is the target, and will be annulled.
  await group.write(10, [1]);
  for (const i of [0, 2, 3, 4, 5]) cluster.network.cut('n1', `n${i}`);
  await group.join([7]);
  await cluster.pass(300);
  const before = cluster.segment(7);
  cluster.network.cut('n7', 'n1');
  const waits = before.hydration;
  const ranges = [{ volumeEpoch: 2 as Epoch, after: 200 as Lsn, through: 1_000 as Lsn }];
  const members = cluster.membersAt(group.members);
  for (const i of [0, 2, 3, 4, 5, 7])
    await cluster.writers[i].fence({ volumeEpoch: 2 as Epoch, membershipEpoch: JOINT, members, ranges });
  await group.whole(7);
  assert.equal(cluster.segment(7).durableScl, 200);
  assert.ok(waits === undefined || waits.target >= 200);
});

test('no read below what a copied page may contain', async () => {
  await using group = await Group.start({ pages: 40 });
  const { cluster } = group;
  for (let i = 0; i < 5; i++) await group.write(40);
  await group.coalesce([0, 2, 4]);
  const base = cluster.segment(0).coalesced;
  // The slowest of the three sets the base, the others are ahead of it.
  for (let i = 0; i < 5; i++) await group.write(40);
  await group.coalesce([0, 2]);
  await group.write(10);
  await group.join([6]);
  await group.whole(6);
  const segment = cluster.segment(6);
  assert.deepEqual([segment.coalesced, segment.pgmrpl], [base, 0]);
  assert.equal(segment.readFloor, cluster.segment(0).coalesced);
  const read = (readPoint: number) =>
    cluster.nodes[6].store.read({
      ...head({ membershipEpoch: JOINT }),
      pages: [3 as PageNumber],
      readPoint: readPoint as Lsn,
      requiredScl: 0 as Lsn,
    });
  assert.throws(() => read(segment.readFloor - 1), { code: 'STORAGE_BELOW_READ_WINDOW' });
  assert.deepEqual(read(segment.readFloor)[0].content, group.maker.page(3, segment.readFloor).content);
  await cluster.crash(6);
  await cluster.start(6);
  assert.throws(() => read(segment.readFloor - 1), { code: 'STORAGE_BELOW_READ_WINDOW' });
  group.demandTruth(6);
});

test('what a source was given by a peer itself may be newer than what it has coalesced', async () => {
  await using group = await Group.start({ pages: 40, nodes: 9 });
  const { cluster } = group;
  for (let i = 0; i < 5; i++) await group.write(40);
  await group.coalesce([0, 2, 4]);
  for (let i = 0; i < 5; i++) await group.write(40);
  await group.coalesce([0, 2]);
  // The second newcomer has no other source than the first, when that is whole.
  for (const node of ['n0', 'n2', 'n4']) cluster.network.cut('n8', node);
  await group.join([6, 8]);
  await group.whole(6);
  await group.whole(8);
  const [first, second] = [cluster.segment(6), cluster.segment(8)];
  assert.ok(first.coalesced < first.readFloor);
  assert.deepEqual([second.coalesced, second.readFloor], [first.coalesced, first.readFloor]);
  const read = (readPoint: number) => ({
    ...head({ membershipEpoch: JOINT }),
    pages: [3 as PageNumber],
    readPoint: readPoint as Lsn,
    requiredScl: 0 as Lsn,
  });
  const below = read(first.readFloor - 1);
  assert.throws(() => cluster.nodes[8].store.read(below), { code: 'STORAGE_BELOW_READ_WINDOW' });
  group.demandTruth(8);
});

test('a newcomer whose base is gone everywhere begins anew and says so', async () => {
  await using group = await Group.start({ pages: 40 });
  const { cluster, maker } = group;
  for (let i = 0; i < 10; i++) await group.write(40);
  await group.coalesce([0, 2, 4]);
  await group.write(40);
  await group.join([6]);
  while (!cluster.segment(6).hydration?.begun) await cluster.pass(1);
  await cluster.pass(1);
  await cluster.crash(6);
  assert.ok(cluster.segment(0).chain.base < 400);
  // Nobody has told the writer that there is a newcomer: it lets the others drop what that one needs.
  const all = SIX.filter((i) => i !== 6);
  for (let i = 0; i < 30; i++) await group.write(40, all);
  await group.coalesce([0, 2, 4]);
  const floor = maker.lastLsn - 80;
  for (const i of all) {
    const points = {
      vdl: maker.lastLsn,
      pgmrpl: maker.lastLsn,
      logFloor: floor as Lsn,
      membershipEpoch: JOINT,
    };
    cluster.writers[i].ship([], points);
  }
  await cluster.pass(5);
  await group.coalesce([0, 2, 4]);
  for (const i of all) cluster.nodes[i].store.log.rotate();
  assert.ok(all.every((i) => cluster.segment(i).chain.base > 1_000));
  await cluster.start(6);
  await group.whole(6);
  assert.match(cluster.lines.join('\n'), /n6: .*hydration begins anew/);
  group.demandTruth(6);
});

test('a newcomer whose only source is gone begins anew from pages that reach less far', async () => {
  await using group = await Group.start({ pages: 40 });
  const { cluster } = group;
  for (let i = 0; i < 5; i++) await group.write(40);
  await group.coalesce([0, 2, 4]);
  for (let i = 0; i < 5; i++) await group.write(40);
  await group.coalesce([0]);
  // It hears of that one alone, whose pages are ahead of the others', and which then is gone with its disk.
  for (const node of ['n1', 'n2', 'n3', 'n4', 'n5']) cluster.network.cut('n6', node);
  await group.join([6]);
  while (!cluster.segment(6).hydration?.begun) await cluster.pass(1);
  const base = cluster.segment(6).generation.lsn;
  assert.ok(base > cluster.segment(2).coalesced && base > cluster.segment(4).coalesced);
  await cluster.crash(0);
  for (const node of ['n1', 'n2', 'n3', 'n4', 'n5']) cluster.network.heal('n6', node);
  assert.ok((cluster.segment(6).hydration?.nextPage ?? 0) < 40, 'the copy was cut off');
  await group.whole(6, 60_000);
  assert.match(cluster.lines.join('\n'), /nobody has pages up to LSN .* hydration begins anew/);
  assert.ok(cluster.segment(2).coalesced < base, 'no log has come that would have made others pages');
  group.demandTruth(6);
});

test('a newcomer that is dropped on the way leaves nothing', async () => {
  for (const ms of [0, 3, 8, 15, 25]) {
    await using group = await Group.start();
    const { cluster } = group;
    for (let i = 0; i < 10; i++) await group.write(40);
    await group.coalesce([0, 2, 4]);
    await group.join([6]);
    await cluster.pass(ms);
    await cluster.writers[6].drop({ membershipEpoch: 3 as Epoch, members: cluster.members });
    await cluster.pass(2_000);
    assert.deepEqual(cluster.disks[6].list('node/pages'), []);
    assert.equal(cluster.nodes[6].store.segments.count, 0);
    await cluster.crash(6);
    await cluster.start(6);
    assert.equal(cluster.nodes[6].store.segments.count, 0);
  }
});

test('a disk that is full for a while delays a newcomer and does no more', async () => {
  await using group = await Group.start();
  const { cluster } = group;
  for (let i = 0; i < 10; i++) await group.write(40);
  await group.coalesce([0, 2, 4]);
  let writes = 0;
  await group.join([6]);
  cluster.disks[6].onAccess = (kind) => {
    if (kind === 'write' && ++writes % 3 === 0) throw Object.assign(new Error('ENOSPC'), { code: 'ENOSPC' });
  };
  await group.whole(6, 120_000);
  assert.ok(writes > 6);
  cluster.disks[6].onAccess = undefined;
  await cluster.pass(2_000);
  assert.equal(cluster.segment(6).durableScl, 400);
  group.demandTruth(6);
});

test('a sparse segment is crossed in long steps', async () => {
  await using group = await Group.start({ pageCount: 1_310_720 });
  const { cluster, maker } = group;
  for (const page of [0, 5, 700_000, 1_310_719]) maker.make({ page, content: Buffer.from(`page ${page}`) });
  for (const i of SIX) cluster.writers[i].ship(maker.made, { vdl: 4 as Lsn, pgmrpl: 4 as Lsn });
  await cluster.pass(5);
  await group.coalesce([0, 2, 4]);
  await group.join([6]);
  await group.whole(6, 2_000);
  assert.equal(cluster.segment(6).pageFile?.livePages, 4);
});

test('the status tells how far a newcomer is', async () => {
  await using group = await Group.start({ pages: PAGES });
  const { cluster, maker } = group;
  for (let page = 0; page < PAGES; page++) maker.make({ page });
  for (const i of SIX) cluster.writers[i].ship(maker.made, { vdl: maker.lastLsn, pgmrpl: maker.lastLsn });
  await cluster.pass(20);
  await group.coalesce([0, 2, 4]);
  await group.join([6]);
  while ((cluster.segment(6).hydration?.nextPage ?? 0) < PAGES / 2) await cluster.pass(1);
  const [segment] = cluster.nodes[6].status().segments;
  assert.ok(segment.hydration);
  const { reason, begun, nextPage, pageCount, pagesCopied, logGap, waitsFor } = segment.hydration;
  assert.deepEqual([reason, begun, pageCount, waitsFor, segment.scl], ['newcomer', true, PAGES, null, 0]);
  assert.ok(
    nextPage >= PAGES / 2 && nextPage < PAGES && pagesCopied > 0 && pagesCopied <= nextPage && logGap >= 0,
  );
  await group.whole(6);
  assert.equal(cluster.nodes[6].status().segments[0].hydration, null);
  assert.equal(cluster.nodes[6].status().hydration.completed, 1);
});
