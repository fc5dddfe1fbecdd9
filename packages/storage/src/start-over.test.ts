/**
 * A member whose log lost what no later manifest states: it is unknown, says so, and begins anew when the writer tells it how
 * far anything can have been acknowledged.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { must, type Epoch, type Lsn, type NodeId, type PgIndex } from '@rokka/kernel';
import { alignUp } from './log-format.ts';
import type { CreateSegment } from './messages.ts';
import type { Segment } from './segment.ts';
import { Group, PAGES } from './testing/group.ts';
import { RecordMaker } from './testing/records.ts';
import { rotLog } from './testing/rot.ts';
import { createMessage, head, TestStore } from './testing/stores.ts';

const kindOf = (i: number) => (i % 2 === 0 ? 'full' : 'tail');

async function rotten(i: number): Promise<Group> {
  const group = await Group.start();
  for (let n = 0; n < 20; n++) await group.write(40);
  await group.coalesce([0, 2, 4]);
  for (let n = 0; n < 3; n++) await group.write(40);
  await comeBackRotten(group, i);
  return group;
}

async function comeBackRotten({ cluster }: Group, i: number, part?: number): Promise<void> {
  await cluster.crash(i);
  rotLog(cluster.disks[i], part);
  await cluster.start(i);
  cluster.writers[i] = await cluster.writer(i);
}

const startOver = ({ cluster, pageCount, maker }: Group, i: number, required = maker.lastLsn) =>
  cluster.writers[i].startOver(kindOf(i), { pageCount, required });

async function assertWhole(group: Group, i: number): Promise<void> {
  const { damaged, hydrating, scl } = await group.cluster.writers[i].fence({});
  assert.deepEqual([damaged, hydrating, scl], [false, false, group.maker.lastLsn]);
  if (kindOf(i) === 'full') group.demandTruth(i);
}

for (const i of [2, 3]) {
  test(`a ${kindOf(i)} member is unknown until it is told to start over; then its peers make it whole`, async () => {
    await using group = await rotten(i);
    const { cluster } = group;
    await cluster.pass(5_000);
    const before = await cluster.writers[i].fence({});
    assert.deepEqual([before.damaged, before.unknown, before.hydrating], [true, true, false]);
    await startOver(group, i);
    const begun = await cluster.writers[i].fence({});
    assert.deepEqual([begun.damaged, begun.hydrating, begun.scl], [false, true, 0]);
    await group.write(40);
    await group.whole(i);
    await cluster.pass(2_000);
    await assertWhole(group, i);
    // The damage is still in its files.
    await cluster.crash(i);
    await cluster.start(i);
    cluster.writers[i] = await cluster.writer(i);
    await assertWhole(group, i);
  });
}

test('power fails at any moment on the way', async () => {
  for (const i of [2, 3]) {
    for (const ms of [0, 1, 2, 3, 5, 8, 13, 21, 34]) {
      await using group = await rotten(i);
      const { cluster, maker } = group;
      const { pageCount } = group;
      cluster.writers[i].startOver(kindOf(i), { pageCount, required: maker.lastLsn }).catch(() => {});
      await cluster.pass(ms);
      await cluster.crash(i);
      await cluster.start(i);
      cluster.writers[i] = await cluster.writer(i);
      if ((await cluster.writers[i].fence({})).unknown) await startOver(group, i);
      await group.whole(i);
      await assertWhole(group, i);
    }
  }
});

test('it does not count before it holds all that it may have acknowledged', async () => {
  await using group = await rotten(3);
  const { cluster } = group;
  // One other member has it, and cannot be asked.
  await group.write(5, [1]);
  for (const other of [0, 2, 3, 4, 5]) cluster.network.cut('n1', `n${other}`);
  await startOver(group, 3);
  await cluster.pass(10_000);
  assert.deepEqual([cluster.segment(3).hydrating, cluster.segment(3).durableScl], [true, 920]);
  for (const other of [0, 2, 3, 4, 5]) cluster.network.heal('n1', `n${other}`);
  await group.whole(3);
  await cluster.pass(100);
  await assertWhole(group, 3);
});

test('what it must reach may be annulled; then the next writer says how far it must come', async () => {
  await using group = await rotten(3);
  const { cluster, maker } = group;
  await group.write(5, [1]);
  await cluster.crash(1);
  await startOver(group, 3);
  await cluster.pass(100);
  const volumeEpoch = 2 as Epoch;
  const ranges = [{ volumeEpoch, after: 920 as Lsn, through: 2_000 as Lsn }];
  for (const i of [0, 2, 3, 4, 5]) await cluster.writers[i].fence({ volumeEpoch, ranges });
  maker.truncate({ after: 920, through: 2_000, epoch: 2 });
  assert.equal((await cluster.writers[3].fence({ volumeEpoch })).unknown, true);
  await assert.rejects(startOver(group, 3), { code: 'STORAGE_STALE_EPOCH' });
  const { pageCount } = group;
  await cluster.writers[3].startOver('tail', { volumeEpoch, pageCount, required: 920 as Lsn });
  await group.whole(3);
  const { damaged, scl } = await cluster.writers[3].fence({ volumeEpoch });
  assert.deepEqual([damaged, scl], [false, 920]);
  await cluster.start(1);
});

test('what lay on its way, while the writer connected anew, does not send a member back', async () => {
  await using group = await rotten(3);
  const { cluster, maker } = group;
  const former = must(cluster.writers[3]);
  const earlier = maker.lastLsn;
  cluster.writers[3] = await cluster.writer(3);
  assert.equal((await cluster.writers[3].fence({})).unknown, true);
  await startOver(group, 3);
  await group.whole(3);
  await group.write(40);
  await cluster.pass(100);
  await assertWhole(group, 3);
  // It finds a record damaged, and its peers are out of reach for now.
  for (const other of [0, 1, 2, 4, 5]) cluster.network.cut('n3', `n${other}`);
  cluster.segment(3).wounds.add(maker.lastLsn);
  const late = former.startOver('tail', { pageCount: group.pageCount, required: earlier });
  await assert.rejects(late, { code: 'STORAGE_FENCED_ELSEWHERE' });
  const { damaged, hydrating, scl } = await cluster.writers[3].fence({});
  assert.deepEqual([damaged, hydrating, scl], [true, false, maker.lastLsn]);
  await startOver(group, 3);
  assert.equal((await cluster.writers[3].fence({})).hydrating, true, 'who has fenced it may');
});

test('a node that forgot that it had the segment makes it again', async () => {
  await using group = await Group.start();
  const { cluster } = group;
  await group.write(40);
  await comeBackRotten(group, 3, 0);
  await assert.rejects(cluster.writers[3].fence({}), { code: 'STORAGE_SEGMENT_UNKNOWN' });
  await assert.rejects(cluster.writers[3].create('tail', 0, { pageCount: PAGES }), {
    code: 'STORAGE_SEGMENT_UNKNOWN',
  });
  await startOver(group, 3);
  await group.whole(3);
  await assertWhole(group, 3);
});

test('a member that is whole is left alone, and one that never was is not made', async () => {
  await using group = await Group.start({ nodes: 7 });
  await group.write(40);
  await startOver(group, 3);
  await assertWhole(group, 3);
  await assert.rejects(startOver(group, 6), { code: 'STORAGE_NO_SEGMENT' });
});

for (const i of [2, 3]) {
  test(`a sound ${kindOf(i)} member begins anew where no other has the log that it lacks`, async () => {
    await using group = await Group.start();
    const { cluster, maker, pageCount } = group;
    await group.write(40);
    await group.coalesce([0, 2, 4]);
    const had = maker.lastLsn;
    const others = [0, 1, 2, 3, 4, 5].filter((other) => other !== i);
    for (const other of others) cluster.network.cut(`n${i}`, `n${other}`);
    await group.write(40, others);
    const short = (dropped: number) =>
      cluster.writers[i].startOver(kindOf(i), {
        pageCount,
        required: maker.lastLsn,
        dropped: dropped as Lsn,
      });
    await short(had);
    const before = await cluster.writers[i].fence({});
    assert.deepEqual([before.hydrating, before.scl], [false, had], 'others can fill it');
    await short(had + 1);
    const begun = await cluster.writers[i].fence({});
    assert.deepEqual([begun.damaged, begun.hydrating, begun.scl], [false, true, 0]);
    const { life } = cluster.segment(i);
    await short(had + 1);
    assert.equal(cluster.segment(i).life, life, 'told once more, it goes on');
    for (const other of others) cluster.network.heal(`n${i}`, `n${other}`);
    await group.whole(i);
    await cluster.pass(100);
    await assertWhole(group, i);
  });
}

test('a table that rots while it hydrates is begun anew', async () => {
  await using group = await Group.start({ pages: 1_500 });
  const { cluster } = group;
  for (let n = 0; n < 40; n++) await group.write(60);
  await group.coalesce([0, 2, 4]);
  await comeBackRotten(group, 2);
  await startOver(group, 2);
  while ((cluster.segment(2).hydration?.nextPage ?? 0) < 200) await cluster.pass(1);
  await cluster.crash(2);
  const table = must(cluster.disks[2].files.get('node/pages/1.table'));
  table.bytes[70] = table.synced[70] = must(table.bytes[70]) ^ 1;
  await cluster.start(2);
  cluster.writers[2] = await cluster.writer(2);
  await group.whole(2);
  await assertWhole(group, 2);
});

test('a disk on which pages cannot be begun anew ends the node, in one coded line', async () => {
  await using group = await rotten(2);
  const { cluster } = group;
  cluster.disks[2].onAccess = (kind, path) => {
    if (kind === 'write' && path.endsWith('.table')) throw Object.assign(new Error('EIO'), { code: 'EIO' });
  };
  let code = '';
  void must(cluster.nodes[2]).failed.then((error) => (code = error.code));
  await startOver(group, 2);
  await cluster.pass(2_000);
  assert.equal(code, 'STORAGE_DISK_FAILED');
});

test('it is asked again while pages are on their way to its disk', async () => {
  await using group = await rotten(2);
  const { pageFile, generation } = group.cluster.segment(2);
  const onItsWay = must(pageFile).begin(generation.number + 1);
  await assert.rejects(startOver(group, 2), { code: 'STORAGE_SEGMENT_BUSY' });
  onItsWay.abandon();
  await startOver(group, 2);
  await group.whole(2);
  await assertWhole(group, 2);
});

test('one that nothing came to begins anew where it is: at no moment it is not there', () => {
  const node = new TestStore();
  node.create({ kind: 'full' });
  const segment = node.store.segments.get(head());
  const { hydrate: _, ...facts } = createMessage({ kind: 'full' });
  const message = { ...facts, required: 40 as Lsn, dropped: 10 as Lsn };
  const begun = must(node.wait<Segment>((done) => node.store.startOver(message, done)));
  assert.equal(begun, segment);
  const again = node.reopened().store.segments.get(head());
  assert.deepEqual([again.hydrating, again.hydration?.target], [true, 40]);
});

test('pages that were to be made of its log are not made of what it begins with', () => {
  const node = new TestStore();
  node.create({ kind: 'full' });
  const maker = new RecordMaker();
  node.ship(maker.many(6_000, { pages: 8 }));
  const segment = node.store.segments.get(head());
  segment.learnPoints({ vdl: maker.lastLsn, pgmrpl: maker.lastLsn });
  node.store.coalescer.demand(segment);
  const { hydrate: _, ...facts } = createMessage({ kind: 'full' });
  const message = { ...facts, required: maker.lastLsn, dropped: (maker.lastLsn + 1) as Lsn };
  // It is counted out what goes into them, and none is begun yet.
  assert.equal(must(segment.pageFile).busy, false);
  const { number } = segment.generation;
  node.store.startOver(message, () => {});
  node.run(2_000);
  assert.deepEqual([segment.hydrating, segment.generation.number], [true, number + 1]);
  assert.equal(must(segment.pageFile).busy, false);
});

test('what a dead writer left there of another kind does not begin anew as what it was', () => {
  const node = new TestStore();
  const pg = 1 as PgIndex;
  node.create({ kind: 'tail', pg });
  const message = { ...createMessage({ kind: 'full', pg }), required: 40 as Lsn, dropped: 0 as Lsn };
  const begun = must(node.wait<Segment>((done) => node.store.startOver(message, done)));
  assert.deepEqual([begun.kind, begun.hydrating, begun.hydration?.target], ['full', true, 40]);
});

test('a number that the log knows of a forgotten segment is not given to another', () => {
  const node = new TestStore();
  const create = (pg: number) => node.create({ kind: 'tail', pg: pg as PgIndex });
  create(0);
  const maker = new RecordMaker();
  const write = () => node.ship([maker.make({ page: 0, content: Buffer.from('keeps the file') })]);
  write();
  const { bytes, synced } = must(node.disk.files.get('node/log/000000000001.log'));
  const end = () => alignUp(bytes.findLastIndex((byte) => byte !== 0));
  const creations = [1, 2].map((pg) => {
    const at = end();
    create(pg);
    return at;
  });
  const member = {
    ...must(createMessage().members[0]),
    node: node.store.identity.node,
    kind: 'tail' as const,
  };
  node.fence({ pg: 1 as PgIndex, membershipEpoch: 4 as Epoch, members: [member] });
  write();
  node.store[Symbol.dispose]();
  for (const at of creations) bytes[at + 40] = synced[at + 40] = must(bytes[at + 40]) ^ 1;
  let again = new TestStore({ disk: node.disk });
  for (const pg of [2, 1]) {
    const { hydrate: _, ...facts } = createMessage({ kind: 'tail', pg: pg as PgIndex });
    again.store.startOver({ ...facts, required: 0 as Lsn, dropped: 0 as Lsn }, () => {});
    again.run();
  }
  again.store.log.rotate();
  again = again.reopened();
  const epochs = [...again.store.segments.all].map(
    ({ pg, membershipEpoch }) => `${pg} at ${membershipEpoch}`,
  );
  assert.deepEqual(epochs.toSorted(), ['0 at 1', '1 at 1', '2 at 1']);
});

test('what a writer left of a group that never was gives way to a newcomer, unless something is in it', () => {
  const node = new TestStore();
  node.create({ kind: 'tail' });
  node.create({ kind: 'full', hydrate: true });
  const states = () => [...node.store.segments.all].map(({ kind, hydrating }) => [kind, hydrating]);
  assert.deepEqual(states(), [['full', true]]);
  const other = new TestStore();
  other.create({ kind: 'tail' });
  other.ship([new RecordMaker().make({ page: 0, content: Buffer.from('something') })]);
  assert.throws(() => other.create({ kind: 'full', hydrate: true }), { code: 'STORAGE_BAD_MESSAGE' });
});

test('a newcomer that nothing was written to yet is not made once more by what lay on its way since an older membership', () => {
  const node = new TestStore();
  const self = must(createMessage({ kind: 'full' }).members[0]);
  const members = [{ ...self, node: node.store.identity.node, kind: 'full' as const }];
  const order = { kind: 'full' as const, hydrate: true, members, membershipEpoch: 2 as Epoch };
  node.create({ ...order, hydrate: false });
  node.fence({ membershipEpoch: 3 as Epoch, members });
  node.create(order);
  const [segment] = node.store.segments.all;
  assert.deepEqual([segment?.membershipEpoch, segment?.hydrating], [3, false]);
  node.create({ ...order, membershipEpoch: 3 as Epoch });
  assert.equal([...node.store.segments.all][0]?.hydrating, true, 'one of its own membership makes it');
});

test('a segment that nobody ever counted with is made anew, if its writer says so and no record is in it', () => {
  const node = new TestStore();
  const membersWith = (peer: string) =>
    [node.store.identity.node, peer].map((name) => ({
      ...must(createMessage().members[0]),
      node: name as NodeId,
      kind: 'tail' as const,
    }));
  const volumeEpoch = 3 as Epoch;
  const stateOf = (of: TestStore) => {
    const { id, members, damaged, hydrating } = must(of.store.segments.find(createMessage()));
    return [id, members[1]?.node, damaged, hydrating];
  };
  const make = (options: Partial<CreateSegment>) =>
    node.create({ kind: 'tail', volumeEpoch, members: membersWith('o'), ...options });
  make({});
  make({ members: membersWith('p') });
  assert.deepEqual(stateOf(node), [1, 'o', false, false], 'whoever does not say so changes nothing');
  make({ anew: true });
  assert.deepEqual(stateOf(node), [1, 'o', false, false], 'a sound one of the same members stays');
  const older = { anew: true, members: membersWith('p'), volumeEpoch: 2 as Epoch };
  assert.throws(() => make(older), { code: 'STORAGE_STALE_EPOCH' });
  make({ anew: true, members: membersWith('p') });
  assert.deepEqual(stateOf(node), [2, 'p', false, false]);
  must(node.store.segments.byId(2)).requiredScl = Number.MAX_SAFE_INTEGER as Lsn;
  make({ anew: true, members: membersWith('p') });
  const reopened = node.reopened();
  assert.deepEqual(stateOf(reopened), [3, 'p', false, false]);
  reopened.fence({ volumeEpoch, membershipEpoch: 2 as Epoch, members: membersWith('q') });
  const ofOld = { kind: 'tail' as const, volumeEpoch, anew: true, members: membersWith('p') };
  assert.throws(() => reopened.create(ofOld), { code: 'STORAGE_STALE_MEMBERSHIP' });
  const membershipEpoch = 2 as Epoch;
  reopened.ship([new RecordMaker().make({ page: 0, content: Buffer.from('it counts') })], {
    volumeEpoch,
    membershipEpoch,
  });
  reopened.create({ ...ofOld, membershipEpoch });
  assert.deepEqual(stateOf(reopened), [3, 'q', false, false]);
});
