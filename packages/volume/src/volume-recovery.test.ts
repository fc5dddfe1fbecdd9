import assert from 'node:assert/strict';
import { test } from 'node:test';
import { must, type NodeId, type PgIndex } from '@rokka/kernel';
import { allMembers } from '@rokka/quorum';
import { PageWriter } from './testing/page-writer.ts';
import { NODES, nodeId, SixNodes, VOLUME_ID, type Writer } from './testing/six-nodes.ts';
import type { VolumeRecord } from './volume-record.ts';
import { VolumeState } from './volume-state.ts';

async function filled(six: SixNodes): Promise<Writer & { pages: PageWriter }> {
  const writer = await six.writer();
  const pages = new PageWriter(writer.volume);
  for (let i = 0; i < 10; i++) await six.run(pages.commit(i, `text ${i}`));
  return { ...writer, pages };
}

async function recordOf(six: SixNodes): Promise<VolumeRecord> {
  return must(await six.registry.get<VolumeRecord>(`volumes/${VOLUME_ID}`)).value;
}

const head = (record: VolumeRecord) => ({
  volume: VOLUME_ID,
  pg: 0 as PgIndex,
  volumeEpoch: record.volumeEpoch,
  membershipEpoch: must(record.groups[0]).membership.epoch,
});

/** Writes a page that only the nodes in `reached` ever get, and kills the writer. */
async function writeTo(six: SixNodes, writer: Writer & { pages: PageWriter }, reached: readonly number[]) {
  for (const i of NODES) if (!reached.includes(i)) six.hold(writer, i);
  await six.run(writer.pages.write(3, 'unsure'));
  await six.pass(10);
  for (const i of NODES) if (!reached.includes(i)) six.network.cut(writer.name, nodeId(i));
  six.kill(writer);
}

test('a recovery that dies after its range reached two nodes is completed, not contradicted, by the next', async () => {
  await using six = await SixNodes.start();
  const writer = await filled(six);
  // Gossip must not carry the record on meanwhile.
  for (const i of [0, 1]) for (const j of [2, 3, 4, 5]) six.network.cut(nodeId(i), nodeId(j));
  await writeTo(six, writer, [0, 1]);
  for (const i of [0, 1]) six.crash(i);
  const broken = six.begin();
  for (const i of [4, 5]) six.network.hold(broken.name, nodeId(i));
  // It hears of 2 and 3 only, and of 4, once: too little to serve, enough to decide that the record is gone.
  six.network.heal(broken.name, nodeId(4));
  for (let i = 0; i < 200 && (await recordOf(six)).truncationRanges.length === 0; i++) await six.pass(1);
  await six.pass(5);
  six.kill(broken);
  const { truncationRanges } = await recordOf(six);
  assert.equal(truncationRanges.length, 1);
  for (const i of [0, 1]) for (const j of [2, 3, 4, 5]) six.network.heal(nodeId(i), nodeId(j));
  for (const i of [2, 3]) six.crash(i);
  for (const i of [0, 1]) await six.up(i);
  const next = await six.writer();
  assert.equal(next.volume.durable, must(truncationRanges[0]).after);
  const pages = new PageWriter(next.volume);
  assert.equal(await six.run(pages.text(3, 6)), 'text 3', 'nothing annulled comes back');
  await six.run(pages.commit(3, 'third '));
  for (const i of [2, 3]) await six.up(i);
  await six.pass(3_000);
  const scls = next.volume.status().groups[0]?.members.map(({ scl }) => scl);
  assert.deepEqual(new Set(scls), new Set([next.volume.durable]));
});

test('what only one node has is kept by a recovery that hears of it, and stays for all that follow', async () => {
  await using six = await SixNodes.start();
  const writer = await filled(six);
  for (const j of [0, 1, 3, 4, 5]) six.network.cut(nodeId(2), nodeId(j));
  await writeTo(six, writer, [2]);
  for (const i of [0, 1, 3]) six.crash(i);
  const waiting = six.begin();
  assert.ok(await six.isStuck(waiting.opened, 2_000), 'a read quorum is not enough to serve');
  await six.up(1);
  await six.run(waiting.opened);
  six.kill(waiting);
  six.crash(2);
  for (const i of [0, 3]) await six.up(i);
  const { volume } = await six.writer();
  assert.equal(await six.run(new PageWriter(volume).text(3, 6)), 'unsure');
});

test('where the only holder of what was to be kept is gone, the next opening decides from who is left', async () => {
  await using six = await SixNodes.start();
  const writer = await filled(six);
  for (const j of [0, 1, 3, 4, 5]) six.network.cut(nodeId(2), nodeId(j));
  await writeTo(six, writer, [2]);
  for (const i of [0, 1]) six.crash(i);
  const waiting = six.begin();
  for (let i = 0; i < 200 && (await recordOf(six)).truncationRanges.length === 0; i++) await six.pass(1);
  six.crash(2);
  const kept = must((await recordOf(six)).truncationRanges[0]).after;
  assert.equal(kept, 11);
  await assert.rejects(six.run(waiting.opened, 4_000), { code: 'VOLUME_RECOVERY_OUTDATED' });
  six.kill(waiting);
  for (const i of [0, 1]) await six.up(i);
  const { volume } = await six.writer();
  assert.equal(volume.durable, 10);
  assert.equal(await six.run(new PageWriter(volume).text(3, 6)), 'text 3');
});

test('two openings at once: one has the volume, and the other knows that it has not', async () => {
  await using six = await SixNodes.start();
  six.kill(await filled(six));
  const begun = [six.begin(), six.begin(), six.begin()];
  await Promise.allSettled(begun.map(({ opened }) => six.run(opened)));
  await six.pass(1_000);
  const outcomes = await Promise.allSettled(begun.map(({ opened }) => opened));
  const alive = outcomes.filter((one) => one.status === 'fulfilled' && one.value.failures.length === 0);
  assert.equal(alive.length, 1);
  for (const outcome of outcomes) {
    if (outcome.status === 'rejected')
      assert.match((outcome.reason as { code: string }).code, /^VOLUME_(INTERRUPTED|FENCED)$/);
  }
});

test('a segment that was lost is left out, by the writer and by the next recovery, and is not made again', async () => {
  await using six = await SixNodes.start();
  const writer = await filled(six);
  six.crash(3);
  six.disks[3].remove('node');
  await six.up(3);
  await six.run(writer.pages.commit(1, 'goes on'));
  await six.pass(1_000);
  const member = () => must(writer.volume.status().groups[0]?.members[3]);
  assert.deepEqual([member().up, member().fenced, member().error], [true, false, 'VOLUME_SEGMENT_LOST']);
  six.kill(writer);
  const second = await six.writer();
  await six.run(new PageWriter(second.volume).commit(2, 'goes on'));
  await six.pass(1_000);
  assert.equal(second.volume.status().groups[0]?.members[3]?.fenced, false);
  assert.deepEqual(six.status(3).segments, []);
});

test('a writer that dies between making a missing segment and saying so leaves no way to amnesia', async () => {
  await using six = await SixNodes.start();
  six.crash(5);
  const first = await six.writer();
  await six.run(new PageWriter(first.volume).commit(1, 'one'));
  assert.deepEqual((await recordOf(six)).groups[0]?.missing, ['n5' as NodeId]);
  six.kill(first);
  await six.up(5);
  const record = await recordOf(six);
  const members = allMembers(must(record.groups[0]).membership).map((member) => ({
    ...member,
    address: member.node,
  }));
  six.store(5).createSegment(
    {
      ...head(record),
      kind: 'tail',
      firstPage: 0 as never,
      pageCount: record.pagesPerGroup,
      members,
      hydrate: false,
      anew: false,
    },
    () => {},
  );
  const second = await six.writer();
  await six.run(new PageWriter(second.volume).commit(1, 'two'));
  await six.pass(1_000);
  assert.equal(second.volume.status().groups[0]?.members[5]?.fenced, true);
  assert.deepEqual((await recordOf(six)).groups[0]?.missing, [], 'it may hold what was acknowledged');
  six.crash(5);
  six.disks[5].remove('node');
  await six.up(5);
  await six.pass(1_000);
  assert.equal(second.volume.status().groups[0]?.members[5]?.error, 'VOLUME_SEGMENT_LOST');
});

test('a damaged segment is left out until its peers have filled it', async () => {
  await using six = await SixNodes.start();
  const writer = await filled(six);
  // Its log claims more than it gives back: unknown, and healed by gossip.
  six.store(1).segments.get(head(await recordOf(six))).requiredScl = 12 as never;
  six.network.cut('n1', 'writer-1');
  six.network.heal('n1', 'writer-1');
  await six.pass(1_500);
  const member = () => must(writer.volume.status().groups[0]?.members[1]);
  assert.deepEqual([member().up, member().fenced, member().error], [true, false, 'damaged']);
  await six.run(writer.pages.commit(1, 'eleven'));
  await six.run(writer.pages.commit(1, 'twelve'));
  await six.pass(4_000);
  assert.deepEqual([member().fenced, member().error, member().scl], [true, undefined, 12]);
});

/** What the node had acknowledged it no longer knows, as after a log that rotted behind its last manifest. */
async function forget(six: SixNodes, i: number): Promise<void> {
  six.store(i).segments.get(head(await recordOf(six))).requiredScl = Number.MAX_SAFE_INTEGER as never;
  six.network.cut(nodeId(i), 'writer-1');
  six.network.heal(nodeId(i), 'writer-1');
}

test('a member that no longer knows what it had begins anew, and counts again when it has everything', async () => {
  await using six = await SixNodes.start();
  const writer = await filled(six);
  for (const i of [1, 4]) await forget(six, i);
  await six.run(writer.pages.commit(1, 'eleven'));
  await six.pass(5_000);
  for (const i of [1, 4]) {
    const { fenced, hydrating, scl, error } = must(writer.volume.status().groups[0]?.members[i]);
    assert.deepEqual([fenced, hydrating, scl, error], [true, false, 11, undefined]);
  }
  assert.match(six.said.join('\n'), /n1 no longer knows what it had/);
  six.kill(writer);
  for (const i of [0, 2]) six.crash(i);
  const { volume } = await six.writer();
  assert.equal(volume.durable, 11);
});

test('a damaged member that lacks what all others have dropped begins anew, also under a writer that never had its word', async () => {
  await using six = await SixNodes.start();
  const writer = await filled(six);
  six.kill(writer);
  let isDamaged = true;
  for (const i of NODES) {
    const store = six.store(i);
    const describe = store.describe.bind(store);
    store.describe = (segment, options) => {
      const state = describe(segment, options);
      if (i !== 1) return options.withTail ? { ...state, logFloor: 5 as never } : state;
      return isDamaged ? { ...state, damaged: true, scl: 3 as never } : state;
    };
  }
  const store = six.store(1);
  const startOver = store.startOver.bind(store);
  store.startOver = (message, done) => {
    isDamaged = false;
    startOver(message, done);
  };
  const { volume } = await six.writer();
  await six.pass(8_000);
  assert.match(six.said.join('\n'), /n1 no longer knows what it had/);
  const { fenced, hydrating, scl } = must(volume.status().groups[0]?.members[1]);
  assert.deepEqual([fenced, hydrating, scl], [true, false, 10]);
});

test('it gives nothing up while too few others have what is durable', async () => {
  await using six = await SixNodes.start();
  const writer = await filled(six);
  for (const i of [0, 2, 3]) six.crash(i);
  await forget(six, 1);
  await six.pass(5_000);
  const segment = six.store(1).segments.get(head(await recordOf(six)));
  assert.deepEqual([segment.unknown, segment.hydrating], [true, false]);
  for (const i of [0, 2, 3]) await six.up(i);
  await six.pass(5_000);
  assert.deepEqual([segment.unknown, segment.damaged, segment.hydrating], [false, false, false]);
  assert.equal(must(writer.volume.status().groups[0]?.members[1]).scl, 10);
});

test('a writer that was replaced without knowing it tells nobody to begin anew', async () => {
  await using six = await SixNodes.start();
  const writer = await filled(six);
  await VolumeState.takeOver(six.registry, VOLUME_ID, { clock: six.clock, opening: 'another' });
  await forget(six, 1);
  await six.pass(5_000);
  const segment = six.store(1).segments.get(head(await recordOf(six)));
  assert.deepEqual([segment.unknown, segment.hydrating], [true, false]);
  assert.deepEqual(
    writer.failures.map(({ code }) => code),
    ['VOLUME_FENCED'],
  );
});

test('a recovery asks damaged members again, for gossip may heal them', async () => {
  await using six = await SixNodes.start();
  const writer = await filled(six);
  await six.run(writer.pages.commit(1, 'eleven'));
  six.kill(writer);
  for (const i of [0, 4, 5]) six.crash(i);
  const segment = six.store(1).segments.get(head(await recordOf(six)));
  segment.requiredScl = 12 as never;
  const opening = six.begin();
  assert.ok(await six.isStuck(opening.opened, 2_000));
  await six.up(5);
  assert.ok(await six.isStuck(opening.opened, 2_000));
  segment.requiredScl = 11 as never;
  await six.run(opening.opened, 3_000);
});

test('a recovery completes a member that lacks more than a send buffer takes', async () => {
  // A ship of a few records fills the buffer, so that the fence behind it does not fit.
  await using six = await SixNodes.start({ sendLimitBytes: 900 });
  const writer = await filled(six);
  for (const i of [2, 3]) for (const j of [0, 1, 4, 5]) six.network.cut(nodeId(i), nodeId(j));
  for (const i of [2, 3]) six.hold(writer, i);
  for (let i = 0; i < 10; i++) await six.run(writer.pages.commit(i, `more ${i}`.repeat(9)));
  for (const i of [2, 3]) six.network.cut(writer.name, nodeId(i));
  six.kill(writer);
  for (const i of [4, 5]) six.crash(i);
  const { volume } = await six.writer();
  assert.equal(volume.durable, 20);
});

test('an opening does not wait for a node that takes everything and says nothing', async () => {
  await using six = await SixNodes.start();
  six.kill(await filled(six));
  const opening = six.begin();
  // Long enough to be greeted by all six, too short to be fenced by one.
  await six.pass(6);
  for (const i of [2, 3]) six.hold(opening, i);
  const startedMs = six.clock.nowMs();
  await six.run(opening.opened);
  assert.ok(six.clock.nowMs() - startedMs < 500);
});

test('an opening can be given up', async () => {
  await using six = await SixNodes.start();
  six.kill(await filled(six));
  for (const i of [0, 1, 2, 3]) six.crash(i);
  const given = new AbortController();
  const opening = six.begin({ signal: given.signal });
  assert.ok(await six.isStuck(opening.opened, 500));
  given.abort(new Error('given up'));
  await assert.rejects(six.run(opening.opened), /given up/);
});
