/** A volume is deleted, on real nodes: with nodes away, with whoever deletes killed at any moment, with a writer alive. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Epoch, PgIndex, Zone } from '@rokka/kernel';
import { PageWriter } from './testing/page-writer.ts';
import { NODES, nodeId, SixNodes, VOLUME_ID, type Writer } from './testing/six-nodes.ts';
import { membershipsByNode } from './memberships.ts';
import { deletedVolumes } from './volume-deletion.ts';
import type { VolumeRecord } from './volume-record.ts';

async function filled(six: SixNodes): Promise<Writer & { pages: PageWriter }> {
  const writer = await six.writer();
  const pages = new PageWriter(writer.volume);
  for (let i = 0; i < 40; i++) await six.run(pages.commit(i, `text ${i}`));
  return { ...writer, pages };
}

const recordOf = (six: SixNodes) => six.registry.get<VolumeRecord>(`volumes/${VOLUME_ID}`);
const pageFiles = (six: SixNodes, i: number) =>
  six.disks[i]?.exists('node/pages') ? six.disks[i].list('node/pages') : [];

async function assertNothingLeft(six: SixNodes): Promise<void> {
  assert.equal(await recordOf(six), undefined);
  for (const i of six.numbers) {
    assert.equal(six.store(i).segments.count, 0, `node ${i}`);
    assert.deepEqual(pageFiles(six, i), [], `node ${i}`);
  }
}

test('nothing is left of it on any node, and nobody opens it any more', async () => {
  await using six = await SixNodes.start({ pagesPerGroup: 16 });
  const writer = await filled(six);
  assert.ok(writer.volume.status().groups.length > 1);
  assert.ok(NODES.some((i) => pageFiles(six, i).length > 0));
  six.kill(writer);
  assert.deepEqual((await six.run(six.beginDeletion().done)).left, []);
  await assertNothingLeft(six);
  await assert.rejects(six.writer(), { code: 'VOLUME_NONE' });
  assert.deepEqual((await six.run(six.beginDeletion().done)).left, [], 'once more is fine');
  for (const i of NODES) six.crash(i);
  for (const i of NODES) await six.up(i);
  await assertNothingLeft(six);
});

test('a writer that is alive has nothing acknowledged, and can make nothing any more', async () => {
  await using six = await SixNodes.start({ pagesPerGroup: 64 });
  const writer = await filled(six);
  assert.deepEqual((await six.run(six.beginDeletion().done)).left, []);
  const write = writer.pages.commit(3, 'late');
  write.catch(() => {});
  assert.equal(await six.isStuck(write, 5_000), true, 'no node took it');
  await assert.rejects(six.run(writer.volume.grow(writer.volume.mappedPages + 1)), {
    code: 'VOLUME_FENCED',
  });
  assert.equal(writer.failures.length, 1);
  await assert.rejects(write);
  await assertNothingLeft(six);
});

test('who is a member of what is known without a writer, and of a deleted volume nobody is', async () => {
  await using six = await SixNodes.start({ pagesPerGroup: 16 });
  const writer = await filled(six);
  const groups = writer.volume.status().groups.length;
  six.kill(writer);
  const known = await membershipsByNode(six.registry);
  assert.deepEqual([...known.keys()].sort(), NODES.map(nodeId));
  for (const of of known.values()) {
    assert.deepEqual(
      of.map(({ name, pg }) => [name, Number(pg)]),
      Array.from({ length: groups }, (_, pg) => ['test', pg]),
    );
  }
  six.crash(4);
  await six.run(six.beginDeletion().done);
  assert.equal((await membershipsByNode(six.registry)).size, 0);
});

test('who is away keeps the tombstone, and drops what it has when it is back', async () => {
  await using six = await SixNodes.start();
  six.kill(await filled(six));
  six.crash(4);
  const first = await six.run(six.beginDeletion().done);
  assert.deepEqual(first.left, [nodeId(4)]);
  assert.match(first.reasons[nodeId(4)] ?? '', /\w/);
  assert.deepEqual(await deletedVolumes(six.registry), [VOLUME_ID]);
  await assert.rejects(six.writer(), { code: 'VOLUME_DELETED' });
  await six.up(4);
  assert.ok(six.store(4).segments.count > 0);
  // Who has confirmed is not asked again.
  six.crash(0);
  assert.deepEqual((await six.run(six.beginDeletion().done)).left, []);
  await six.up(0);
  await assertNothingLeft(six);
  assert.deepEqual(await deletedVolumes(six.registry), []);
});

test('a node that is gone for good is not waited for', async () => {
  await using six = await SixNodes.start();
  six.kill(await filled(six));
  six.crash(4);
  const { done } = six.beginDeletion({ isKept: (node) => node !== nodeId(4) });
  assert.deepEqual((await six.run(done)).left, []);
  assert.equal(await recordOf(six), undefined);
});

test('killed at any moment it goes on from there', async () => {
  for (let killAfterMs = 0; killAfterMs < 12; killAfterMs++) {
    await using six = await SixNodes.start({ seed: killAfterMs });
    six.kill(await filled(six));
    const cut = six.beginDeletion();
    await six.pass(killAfterMs);
    six.kill(cut);
    // Nodes lose power in the middle of it as well.
    six.crash(killAfterMs % 6);
    await six.up(killAfterMs % 6);
    assert.deepEqual((await six.run(six.beginDeletion().done)).left, []);
    await assertNothingLeft(six);
  }
});

test('two at once do it once', async () => {
  await using six = await SixNodes.start();
  six.kill(await filled(six));
  const both = [six.beginDeletion().done, six.beginDeletion().done];
  for (const { left } of await six.run(Promise.all(both))) assert.deepEqual(left, []);
  await assertNothingLeft(six);
});

test('a group that a writer was just making goes, too', async () => {
  await using six = await SixNodes.start();
  const begun = six.begin();
  for (let i = 0; i < 200 && !NODES.some((node) => six.store(node).segments.count > 0); i++)
    await six.pass(1);
  six.kill(begun);
  assert.equal((await recordOf(six))?.value.groups.length, 0, 'the registry has not heard of it');
  assert.deepEqual((await six.run(six.beginDeletion().done)).left, []);
  await assertNothingLeft(six);
});

test('what a replaced member still holds goes, too', async () => {
  await using six = await SixNodes.start({ spares: 3 });
  const writer = await filled(six);
  six.crash(1);
  const [group] = writer.volume.status().groups;
  const left = group?.members.find(({ node }) => node === nodeId(1));
  assert.ok(left);
  const joins = { node: nodeId(6), zone: left.zone as Zone, kind: left.kind as 'full' };
  const change = writer.volume.replacement(0 as PgIndex);
  await six.run(change.begin({ leaves: nodeId(1), joins }));
  six.kill(writer);
  await six.up(1);
  assert.deepEqual((await six.run(six.beginDeletion().done)).left, []);
  await assertNothingLeft(six);
});

test('a node refuses to let go where the list has it, or the epoch is the one it knows', async () => {
  await using six = await SixNodes.start();
  six.kill(await filled(six));
  const entry = await recordOf(six);
  const membership = entry?.value.groups[0]?.membership;
  assert.ok(entry && membership);
  const segment = [...six.store(0).segments.all][0];
  const message = {
    volume: VOLUME_ID,
    pg: 0 as PgIndex,
    volumeEpoch: (entry.value.volumeEpoch + 1) as Epoch,
    membershipEpoch: (membership.epoch + 1) as Epoch,
    members: [...(segment?.members ?? [])],
  };
  assert.throws(() => six.store(0).dropSegment(message, () => {}), { code: 'STORAGE_STILL_A_MEMBER' });
  const members = message.members.filter(({ node }) => node !== nodeId(0));
  assert.throws(
    () => six.store(0).dropSegment({ ...message, members, membershipEpoch: membership.epoch }, () => {}),
    { code: 'STORAGE_STALE_MEMBERSHIP' },
  );
});
