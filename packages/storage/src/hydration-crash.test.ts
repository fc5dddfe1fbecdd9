/** The power fails at every write, sync and removal of a newcomer's node, and of one whose pages or log are mended. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isCoded, MemoryDisk, type Lsn, type PageNumber } from '@rokka/kernel';
import type { SegmentState } from './messages.ts';
import { Group, JOINT } from './testing/group.ts';
import { copyOf, CRASH_FATES, CrashImage, head } from './testing/stores.ts';

const NEWCOMERS = { full: 6, tail: 7 } as const;

/** A process of the node begins on that disk; what was there before is gone without a word. */
async function restart(group: Group, i: number, disk: MemoryDisk): Promise<void> {
  const { cluster } = group;
  cluster.network.kill(`n${i}`);
  await cluster.run(cluster.nodes[i][Symbol.asyncDispose]());
  cluster.disks[i] = disk;
  await cluster.start(i);
  cluster.writers[i] = await cluster.writer(i);
}

/** Whatever the node says or serves now is true. */
async function demandNoLie(group: Group, i: number): Promise<SegmentState> {
  const { cluster, maker } = group;
  const epochs = { membershipEpoch: group.membershipEpoch };
  const state = await cluster.writers[i].fence(epochs);
  if (state.hydrating) assert.deepEqual([state.scl, state.tail.length], [0, 0]);
  const { chain } = cluster.segment(i);
  assert.ok(state.scl <= maker.lastLsn);
  if (!state.hydrating && !state.damaged) assert.equal(state.scl, chain.scl);
  const lsn = chain.scl;
  if (state.kind === 'tail') return state;
  for (let page = 0; page < group.pages; page += 7) {
    try {
      const read = { ...head(epochs), pages: [page as PageNumber], readPoint: lsn, requiredScl: lsn };
      const [answer] = cluster.nodes[i].store.read(read);
      const expected = maker.page(page, lsn);
      assert.equal(answer.pageLsn, expected.lsn);
      if (expected.lsn > 0) assert.ok(Buffer.from(expected.content).equals(answer.content), `page ${page}`);
    } catch (error) {
      if (!isCoded(error)) throw error;
      assert.match(
        error.code,
        /HYDRATING|PAGES_DAMAGED|PAGE_UNKNOWN|LOG_DAMAGED|SEGMENT_UNKNOWN|BELOW_READ_WINDOW/,
      );
    }
  }
  return state;
}

for (const kind of ['full', 'tail'] as const) {
  test(`the power fails at any access of a ${kind} newcomer: nothing false is told, and it gets there`, async () => {
    const i = NEWCOMERS[kind];
    await using group = await Group.start({ pages: 60 });
    const { cluster } = group;
    for (let round = 0; round < 8; round++) await group.write(30);
    await group.coalesce([0, 2, 4]);
    await group.join([i]);
    const members = cluster.membersAt(group.members);
    let accesses = 1;
    for (let nth = 1; nth <= accesses; nth++) {
      await restart(group, i, new MemoryDisk());
      const crash = new CrashImage(cluster.disks[i], nth);
      await cluster.writers[i].create(kind, 0, {
        pageCount: 2_048,
        members,
        membershipEpoch: JOINT,
        hydrate: true,
      });
      await group.write(3);
      await group.coalesce([0]);
      await group.whole(i);
      cluster.disks[i].onAccess = undefined;
      accesses = Math.max(accesses, crash.accesses);
      for (const fate of CRASH_FATES) {
        const disk = crash.crashed(fate);
        if (!disk) continue;
        await restart(group, i, disk);
        // Where its creation had not become durable the writer makes it again; else this does nothing.
        const make = { pageCount: 2_048, members, membershipEpoch: JOINT, hydrate: true };
        await cluster.writers[i].create(kind, 0, make);
        await demandNoLie(group, i);
        await group.whole(i);
        const state = await demandNoLie(group, i);
        assert.equal(state.damaged, false, `access ${nth}, ${fate}`);
        await cluster.pass(1_500);
        assert.equal(cluster.segment(i).durableScl, group.maker.lastLsn, `access ${nth}, ${fate}`);
        if (kind === 'full') group.demandTruth(i);
      }
    }
    assert.ok(accesses >= (kind === 'full' ? 20 : 8), `${accesses} accesses were tried`);
  });
}

/** One history for all attempts: each takes copies of the disks from here. */
async function rotten(damage: (disk: MemoryDisk, group: Group) => void): Promise<Group> {
  const group = await Group.start({ nodes: 6, pages: 30 });
  for (let round = 0; round < 6; round++) await group.write(30);
  await group.write(0);
  await group.coalesce([0, 2, 4]);
  await group.write(30);
  await group.write(0);
  const [disk] = group.cluster.disks;
  group.cluster.network.kill('n0');
  await group.cluster.run(group.cluster.nodes[0][Symbol.asyncDispose]());
  damage(disk, group);
  return group;
}

function flip(disk: MemoryDisk, path: string, at: number): void {
  const file = disk.files.get(path);
  assert.ok(file);
  file.bytes[at] ^= 0x10;
  file.synced[at] ^= 0x10;
}

const DAMAGES: Record<string, (disk: MemoryDisk, group: Group) => void> = {
  'a page': (disk) => flip(disk, 'node/pages/1.pages', 3 * 8192 + 5),
  'a page table': (disk) => flip(disk, 'node/pages/1.table', 70),
};

for (const [what, damage] of Object.entries(DAMAGES)) {
  test(`the power fails at any access while ${what} is mended`, async () => {
    await using group = await rotten(damage);
    const { cluster } = group;
    const origin = copyOf(cluster.disks[0]);
    const isMended = () => {
      const { lostPages, damaged } = cluster.segment(0);
      return lostPages.size === 0 && !damaged;
    };
    const mend = async () => {
      await cluster.run(cluster.nodes[0].scrubber.scrubNow());
      for (let waited = 0; !isMended() && waited < 5_000; waited += 10) await cluster.pass(10);
      assert.ok(isMended(), cluster.lines.join('\n'));
    };
    let accesses = 1;
    for (let nth = 1; nth <= accesses; nth++) {
      const disk = copyOf(origin);
      const crash = new CrashImage(disk, nth);
      await restart(group, 0, disk);
      await mend();
      disk.onAccess = undefined;
      accesses = Math.max(accesses, crash.accesses);
      for (const fate of CRASH_FATES) {
        const image = crash.crashed(fate);
        if (!image) continue;
        await restart(group, 0, image);
        await demandNoLie(group, 0);
        await mend();
        const state = await demandNoLie(group, 0);
        assert.deepEqual([state.damaged, state.scl], [false, 210], `access ${nth}, ${fate}`);
        group.demandTruth(0);
      }
    }
    assert.ok(accesses >= 6, `${accesses} accesses were tried`);
  });
}

test('the power fails at any access while a record is mended: whole again, or known to be unknown', async () => {
  await using group = await rotten(() => {});
  const { cluster } = group;
  const origin = copyOf(cluster.disks[0]);
  let whole = 0;
  let accesses = 1;
  for (let nth = 1; nth <= accesses; nth++) {
    const disk = copyOf(origin);
    await restart(group, 0, disk);
    const { index } = cluster.segment(0).chain;
    const place = { lsn: 0 as Lsn, page: 0, file: 0, offset: 0, length: 0, flags: 0 };
    index.read(index.find(70 as Lsn) ?? -1, place);
    flip(disk, `node/log/${String(place.file).padStart(12, '0')}.log`, place.offset + 57);
    const crash = new CrashImage(disk, nth);
    await cluster.run(cluster.nodes[0].scrubber.scrubNow());
    disk.onAccess = undefined;
    assert.equal(cluster.segment(0).damaged, false);
    accesses = Math.max(accesses, crash.accesses);
    for (const fate of CRASH_FATES) {
      const image = crash.crashed(fate);
      if (!image) continue;
      await restart(group, 0, image);
      const state = await demandNoLie(group, 0);
      if (state.damaged) continue;
      whole++;
      assert.equal(state.scl, 210);
      group.demandTruth(0);
    }
    // What was found is told apart from what was never there, also by the process that comes after.
    await restart(group, 0, disk);
    const state = await demandNoLie(group, 0);
    assert.deepEqual([state.damaged, state.scl, cluster.nodes[0].store.damages.length], [false, 210, 1]);
    group.demandTruth(0);
  }
  assert.ok(accesses >= 4 && whole > 0, `${accesses} accesses were tried, ${whole} were whole`);
});
