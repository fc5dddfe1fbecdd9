import assert from 'node:assert/strict';
import { test } from 'node:test';
import { must, type Lsn, type PgIndex } from '@rokka/kernel';
import { PageWriter, pageWrite } from './testing/page-writer.ts';
import { nodeId, NODES, SixNodes, VOLUME_ID, zoneOf, type Writer } from './testing/six-nodes.ts';
import type { VolumeRecord } from './volume-record.ts';

const spanning = (text: string) => [5, 70, 6, 130, 200, 71].map((page) => pageWrite(page, text));
const missingOf = async (six: SixNodes) =>
  must(await six.registry.get<VolumeRecord>(`volumes/${VOLUME_ID}`)).value.groups.map(
    ({ missing }) => missing,
  );

test('mini-transactions that span protection groups survive as a whole', async () => {
  await using six = await SixNodes.start();
  const writer = await six.writer();
  assert.equal(writer.volume.mappedPages, 64, 'the first group comes with the first opening');
  const pages = new PageWriter(writer.volume);
  for (let i = 0; i < 20; i++) await six.run(pages.apply(spanning(`text ${i} `)));
  assert.equal(writer.volume.mappedPages, 256);
  await six.run(writer.volume.whenDurable(writer.volume.applied));
  six.kill(writer);
  const next = await six.writer();
  assert.equal(next.volume.mappedPages, 256);
  const again = new PageWriter(next.volume);
  for (const { page } of spanning('')) assert.equal(await six.run(again.text(page, 7)), 'text 19');
  const kinds = next.volume.status().groups.map(({ members }) => members.map(({ kind }) => kind[0]).join(''));
  assert.deepEqual(kinds, ['ftftft', 'tftftf', 'ftftft', 'tftftf']);
});

test('growth goes on with a node down, which gets its segment when it comes', async () => {
  await using six = await SixNodes.start();
  const writer = await six.writer();
  const pages = new PageWriter(writer.volume);
  await six.run(pages.apply([pageWrite(5, 'before')]));
  six.crash(3);
  six.crash(4);
  await six.run(pages.apply(spanning('grown')), 10_000);
  await six.run(writer.volume.whenDurable(writer.volume.applied));
  assert.deepEqual(await missingOf(six), [[], ['n3', 'n4'], ['n3', 'n4'], ['n3', 'n4']]);
  await six.up(3);
  await six.pass(3_000);
  assert.deepEqual(await missingOf(six), [[], ['n4'], ['n4'], ['n4']]);
  const status = writer.volume.status();
  for (const { members } of status.groups)
    assert.deepEqual([must(members[3]).fenced, must(members[3]).lagLsn], [true, 0]);
  six.kill(writer);
  for (const i of [0, 1]) six.crash(i);
  await six.up(4);
  const next = await six.writer();
  assert.deepEqual(await missingOf(six), [[], [], [], []], 'a recovery makes them, too');
  assert.equal(await six.run(new PageWriter(next.volume).text(130, 5)), 'grown');
});

test('a silent node does not hold growth up for longer than a straggler may', async () => {
  await using six = await SixNodes.start();
  const writer = await six.writer();
  six.hold(writer, 1);
  await six.run(writer.volume.grow(128), 1_200);
  six.heal(writer, 1);
  await six.pass(5_000);
  const [, grown] = writer.volume.status().groups;
  assert.ok(grown?.members.every(({ fenced }) => fenced));
  assert.deepEqual(await missingOf(six), [[], []]);
});

test('a segment that was made before its node went away does not count', async () => {
  await using six = await SixNodes.start();
  const writer = await six.writer();
  for (const i of [4, 5]) six.crash(i);
  await six.pass(100);
  const growing = six.run(writer.volume.grow(128), 20_000);
  await six.pass(500);
  assert.equal(writer.volume.mappedPages, 64, 'stragglers are waited for');
  six.crash(3);
  await six.pass(3_000);
  assert.equal(writer.volume.mappedPages, 64, 'three are no write quorum');
  await six.up(5);
  await growing;
  assert.deepEqual(await missingOf(six), [[], ['n3', 'n4']]);
});

test('growth waits for four nodes, then says which group lacks them; nothing is mapped', async () => {
  await using six = await SixNodes.start();
  const writer = await six.writer();
  for (const i of [0, 1, 2]) six.crash(i);
  await assert.rejects(six.run(writer.volume.grow(65)), { code: 'VOLUME_NO_QUORUM' });
  assert.equal(writer.volume.mappedPages, 64);
  const again = writer.volume.grow(65);
  const beside = writer.volume.grow(65);
  await six.up(0);
  await six.run(Promise.all([again, beside]));
  assert.equal(writer.volume.mappedPages, 128, 'two calls make one group');
});

test('a group that lacks members is placed on those who came for them meanwhile', async () => {
  await using six = await SixNodes.start({ spares: 3 });
  const writer = await six.writer();
  const gone = [1, 3, 5];
  for (const i of gone) six.crash(i);
  await six.pass(100);
  const growing = writer.volume.grow(65);
  growing.catch(() => {});
  await six.pass(2_000);
  const made = [0, 2, 4].map((i) => six.store(i).segments.count);
  assert.deepEqual(made, [2, 2, 2], 'three are no write quorum');
  await six.run(growing, 28_000);
  const members = must(writer.volume.status().groups[1]).members.map(({ node }) => node);
  assert.ok(
    gone.some((i) => !members.includes(nodeId(i))),
    `it is placed on ${members.join(' ')}`,
  );
  await six.run(new PageWriter(writer.volume).commit(64, 'in the second group'));
  await six.pass(60_000);
  const [, grown] = writer.volume.status().groups;
  assert.deepEqual(
    must(grown).members.map(({ fenced, lagLsn }) => [fenced, lagLsn]),
    NODES.map(() => [true, 0]),
  );
});

test('a writer that dies while it grows leaves segments that the next one takes over', async () => {
  await using six = await SixNodes.start();
  for (let ms = 0; ms < 8; ms++) {
    const writer = await six.writer();
    const before = writer.volume.mappedPages;
    writer.volume.grow(before + 1).catch(() => {});
    await six.pass(ms);
    six.kill(writer);
  }
  const last = await six.writer();
  await six.run(last.volume.grow(last.volume.mappedPages + 1));
  const pages = new PageWriter(last.volume);
  await six.run(pages.commit(last.volume.mappedPages - 1, 'last page'));
  for (const i of NODES) six.crash(i);
  for (const i of NODES) await six.up(i);
  const { volume } = await six.writer();
  assert.equal(await six.run(new PageWriter(volume).text(volume.mappedPages - 1, 9)), 'last page');
});

/** A writer dies while it makes the second group: of its members the last three have their segments, and nobody else. */
async function diesGrowing(six: SixNodes): Promise<void> {
  const writer = await six.writer();
  for (const i of [0, 1, 2]) six.crash(i);
  await six.pass(100);
  writer.volume.grow(65).catch(() => {});
  await six.pass(500);
  six.kill(writer);
  for (const i of [0, 1, 2]) await six.up(i);
}

/** What the node had acknowledged in the second group it no longer knows, as after a log that rotted. */
function forget(six: SixNodes, i: number): void {
  const segment = six.store(i).segments.get({ volume: VOLUME_ID, pg: 1 as PgIndex });
  segment.requiredScl = Number.MAX_SAFE_INTEGER as Lsn;
}

/** All members of the second group but the `absent` ones take part and have everything. */
async function assertWhole({ volume }: Writer, six: SixNodes, absent: readonly number[] = []): Promise<void> {
  await six.run(new PageWriter(volume).commit(64, 'in the second group'));
  await six.pass(3_000);
  const whole = must(volume.status().groups[1]).members.filter(
    ({ fenced, hydrating, lagLsn }) => fenced && !hydrating && lagLsn === 0,
  );
  assert.equal(whole.length, NODES.length - absent.length);
  assert.deepEqual(await missingOf(six), [[], absent.map(nodeId)]);
}

test('what a dead writer left of a group and its nodes no longer know is made anew, before the group counts on it', async () => {
  await using six = await SixNodes.start();
  await diesGrowing(six);
  // All full members of the group that are there: nobody could fill them.
  for (const i of [3, 5]) forget(six, i);
  const writer = await six.writer();
  six.crash(1);
  await six.run(writer.volume.grow(65), 10_000);
  await assertWhole(writer, six, [1]);
});

test('what a dead writer left of a group is made anew for other members', async () => {
  await using six = await SixNodes.start({ spares: 3 });
  await diesGrowing(six);
  const writer = await six.writer();
  await six.pass(500);
  const steps = writer.volume.replacement(0 as PgIndex);
  const joins = { node: nodeId(6), kind: 'full' as const, zone: zoneOf(6) };
  await six.run(steps.begin({ leaves: nodeId(0), joins }));
  await six.pass(5_000);
  const [group] = must(await six.registry.get<VolumeRecord>(`volumes/${VOLUME_ID}`)).value.groups;
  assert.equal(must(group).membership.slots[0]?.member.node, nodeId(6), 'the healer has finished it');
  await six.run(writer.volume.grow(65), 10_000);
  await assertWhole(writer, six);
});

test('a member on the list of missing ones that has what a dead writer left gets its segment anew', async () => {
  await using six = await SixNodes.start();
  await diesGrowing(six);
  const writer = await six.writer();
  six.crash(3);
  await six.run(writer.volume.grow(65), 10_000);
  assert.deepEqual(await missingOf(six), [[], ['n3']]);
  await six.up(3);
  forget(six, 3);
  await assertWhole(writer, six);
  assert.doesNotMatch(six.said.join('\n'), /group 1: n3 no longer knows/);
});

test('a volume ends where it was made to end', async () => {
  await using six = await SixNodes.start({ groupsMax: 2 });
  const { volume } = await six.writer();
  await six.run(volume.grow(128));
  await assert.rejects(volume.grow(129), { code: 'VOLUME_FULL' });
  assert.equal(volume.pagesMax, 128);
});

test('all members may be full', async () => {
  await using six = await SixNodes.start({ allFull: true });
  const writer = await six.writer();
  const pages = new PageWriter(writer.volume);
  await six.run(pages.apply(spanning('all full')));
  await six.run(writer.volume.whenDurable(writer.volume.applied));
  for (const i of [0, 2]) six.crash(i);
  six.kill(writer);
  const next = await six.writer();
  assert.equal(await six.run(new PageWriter(next.volume).text(71, 8)), 'all full');
});
