/** Groups that were begun for some members and are made for others: what the first ones have of them never counts for what it is not. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { must, type PgIndex } from '@rokka/kernel';
import { PageWriter } from './testing/page-writer.ts';
import { nodeId, SixNodes, VOLUME_ID, type Writer } from './testing/six-nodes.ts';
import type { VolumeRecord } from './volume-record.ts';

const G1 = 1 as PgIndex;
const LOOKS_MAX = 1_200;
const LOOK_MS = 250;

const recordOf = async (six: SixNodes) =>
  must(await six.registry.get<VolumeRecord>(`volumes/${VOLUME_ID}`)).value;
const placesOf = async (six: SixNodes) => (await recordOf(six)).nodes.map(({ node }) => node).join(' ');
const segmentOn = (six: SixNodes, i: number) =>
  must(six.store(i).segments.find({ volume: VOLUME_ID, pg: G1 }));
const memberOf = ({ volume }: Writer, i: number) =>
  volume.status().groups[G1]?.members.find(({ node }) => node === nodeId(i));
const isWhole = (writer: Writer, i: number) => {
  const member = memberOf(writer, i);
  return member?.fenced === true && !member.hydrating && member.lagLsn === 0;
};

async function until(six: SixNodes, what: string, is: () => Promise<boolean> | boolean): Promise<void> {
  for (let look = 0; look < LOOKS_MAX; look++) {
    if (await is()) return;
    await six.pass(LOOK_MS);
  }
  assert.fail(`never: ${what}; told: ${six.said.join('; ')}`);
}

/** A second group was begun on the first six; n0, n2 and n4 have a segment of it. Then n6 came for n0. */
async function placedAnew(six: SixNodes): Promise<Writer> {
  const writer = await six.writer();
  for (const i of [1, 3, 5, 6, 7, 8]) six.crash(i);
  await six.pass(100);
  await assert.rejects(six.run(writer.volume.grow(65)), { code: 'VOLUME_NO_QUORUM' });
  for (const i of [1, 3, 5]) await six.up(i);
  await six.pass(2_000);
  six.crash(0);
  await six.up(6);
  await until(six, 'n6 for n0', async () => (await placesOf(six)).startsWith('n6 n1'));
  return writer;
}

async function commitMany(six: SixNodes, { volume }: Writer, count: number): Promise<void> {
  const pages = new PageWriter(volume);
  for (let i = 0; i < count; i++) await six.run(pages.commit(64 + (i % 60), `x${i}`));
}

test('what a node has of a group that never was does not count as the other kind', async () => {
  await using six = await SixNodes.start({ spares: 3 });
  const writer = await placedAnew(six);
  await six.up(0);
  await until(six, 'n0 is let go', async () => must((await recordOf(six)).groups[0]).retired.length === 0);
  six.crash(1);
  // From the place of a tail to that of a full one.
  await until(six, 'n0 for n1', async () => (await placesOf(six)).startsWith('n6 n0'));
  await six.pass(3_000);
  for (const i of [0, 3, 5]) six.crash(i);
  await six.pass(100);
  const growing = writer.volume.grow(65);
  growing.catch(() => {});
  await six.pass(1_000);
  await six.up(8);
  await six.run(growing, 60_000);
  await six.up(0);
  const isMade = async () => !must((await recordOf(six)).groups[G1]).missing.includes(nodeId(0));
  await until(six, 'n0 has its segment', isMade);
  assert.equal(segmentOn(six, 0).kind, 'full');
  for (const i of [3, 5]) await six.up(i);
  await six.pass(5_000);
  await commitMany(six, writer, 400);
  await six.pass(20_000);
  six.kill(writer);
  for (const i of [3, 8]) six.crash(i);
  const next = await six.run(six.begin({ fleet: () => [] }).opened, 60_000);
  assert.match(await six.run(new PageWriter(next.volume).text(64, 2), 120_000), /^x/);
});

test('whoever lost its place before the group was made gets nothing of it, and may come as a newcomer', async () => {
  await using six = await SixNodes.start({ spares: 3 });
  const writer = await placedAnew(six);
  await six.run(writer.volume.grow(65));
  await six.up(0);
  await commitMany(six, writer, 5);
  await six.pass(20_000);
  assert.equal(segmentOn(six, 0).durableScl, 0, 'no peer gives it anything');
  six.crash(0);
  await commitMany(six, writer, 400);
  await six.pass(10_000);
  await six.up(0);
  await six.pass(5_000);
  six.crash(6);
  await until(six, 'n0 is a whole member', () => isWhole(writer, 0));
});

test('a member of both lists that was away while the group was made takes part', async () => {
  await using six = await SixNodes.start({ spares: 3 });
  const writer = await placedAnew(six);
  six.hold(writer, 2);
  await six.run(writer.volume.grow(65));
  await commitMany(six, writer, 5);
  await six.pass(10_000);
  six.heal(writer, 2);
  await until(six, 'n2 is a whole member', () => isWhole(writer, 2));
});

test('a writer that dies as soon as somebody has come leaves the next one another epoch', async () => {
  await using six = await SixNodes.start({ spares: 3 });
  const writer = await six.writer();
  for (const i of [1, 3, 5]) six.crash(i);
  await six.pass(100);
  writer.volume.grow(65).catch(() => {});
  const before = await placesOf(six);
  for (let ms = 0; (await placesOf(six)) === before; ms++) {
    assert.ok(ms < 60_000);
    await six.pass(1);
  }
  six.kill(writer);
  for (const i of [1, 3, 5]) await six.up(i);
  const next = await six.writer();
  await six.run(next.volume.grow(65));
  assert.ok(must((await recordOf(six)).groups[G1]).membership.epoch > 1);
});

test('what a writer that died has left on a node that lost its place goes when the next one has made the group elsewhere', async () => {
  await using six = await SixNodes.start({ spares: 3 });
  const writer = await placedAnew(six);
  six.kill(writer);
  await six.up(0);
  const next = await six.writer();
  assert.ok(segmentOn(six, 0).isUntouched);
  await six.run(next.volume.grow(65));
  assert.equal(memberOf(next, 0), undefined);
  await commitMany(six, next, 5);
  await until(
    six,
    'n0 has nothing',
    () => six.store(0).segments.find({ volume: VOLUME_ID, pg: G1 }) === undefined,
  );
  assert.deepEqual(next.failures, []);
  // What the others have stays.
  for (const i of [6, 1, 2, 3, 4, 5]) assert.equal(segmentOn(six, i).retired, false);
});
