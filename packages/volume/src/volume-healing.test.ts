/** The healer and members that are there and of no use: they take everything and say nothing, or are always behind. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Link } from '@rokka/transport';
import {
  assertReadable,
  groupOf,
  IMPATIENT,
  names,
  statusOf,
  until,
  written,
  type Life,
} from './testing/member-work.ts';
import { nodeId, SixNodes } from './testing/six-nodes.ts';
import type { VolumeOptions } from './volume-options.ts';

const SLOW_MS = 3_000;
/** One that is only slow is never away. */
const SOON_BEHIND: Partial<VolumeOptions> = {
  healingTimes: { awayMs: 60_000, behindMs: 6_000, returnedMs: 500, blockedMs: 60_000 },
};

/** One commit after the other until it is so: who is slow falls behind only while something is written. */
async function commitUntil(six: SixNodes, { pages }: Life, what: string, is: () => Promise<boolean>) {
  let commits = 0;
  await until(six, what, async () => {
    await six.run(pages.commit(50, `again ${commits++}`));
    return is();
  });
}

/** Whatever goes to one of them takes so long that its answers come, each of them late. */
function slowNodes() {
  const slow = new Set<number>();
  const delayMs = ({ to }: Link) => ([...slow].some((i) => nodeId(i) === to) ? SLOW_MS : 1);
  return { slow, delayMs };
}

test('one that takes everything and says nothing is replaced, and lets go when it is heard again', async () => {
  await using six = await SixNodes.start({ spares: 3 });
  const writer = await written(six, { healingTimes: { ...IMPATIENT.healingTimes, behindMs: 600_000 } });
  six.hold(writer, 4);
  await six.run(writer.pages.commit(50, 'while it is silent'));
  assert.equal(statusOf(writer, 4)?.up, true, 'its connection is there, and takes what is sent');
  await until(six, 'replaced', async () => {
    const { members } = await groupOf(six);
    return members.length === 6 && members.includes(nodeId(8)) && !members.includes(nodeId(4));
  });
  await six.run(writer.pages.commit(2, 'text 2'));
  six.heal(writer, 4);
  await until(six, 'let go', async () => (await groupOf(six)).retired.length === 0);
  assert.equal(six.store(4).segments.count, 0);
  six.kill(writer);
  for (const i of [0, 1]) six.crash(i);
  await assertReadable(six);
});

test('one that takes everything, says nothing, and is heard again in time stays', async () => {
  await using six = await SixNodes.start({ spares: 3 });
  const writer = await written(six, { healingTimes: { ...IMPATIENT.healingTimes, awayMs: 8_000 } });
  six.hold(writer, 4);
  await six.run(writer.pages.commit(50, 'while it is silent'));
  await six.pass(11_000);
  assert.equal(statusOf(writer, 4)?.up, false, 'it counts as away');
  six.heal(writer, 4);
  await six.pass(15_000);
  assert.deepEqual(await groupOf(six), {
    epoch: 1,
    members: names(0, 1, 2, 3, 4, 5),
    missing: [],
    retired: [],
  });
  assert.equal(statusOf(writer, 4)?.lagLsn, 0);
});

test('one that is so slow that it is always behind is replaced, though it never was away', async () => {
  const { slow, delayMs } = slowNodes();
  await using six = await SixNodes.start({ spares: 3, delayMs });
  const writer = await written(six, SOON_BEHIND);
  slow.add(4);
  await commitUntil(six, writer, 'begun', async () => {
    assert.equal(statusOf(writer, 4)?.fenced, true);
    return (await groupOf(six)).members.includes(nodeId(8));
  });
  await commitUntil(six, writer, 'replaced', async () => !(await groupOf(six)).members.includes(nodeId(4)));
  slow.clear();
  await until(six, 'let go', async () => (await groupOf(six)).retired.length === 0);
  assert.equal(six.store(4).segments.count, 0);
  six.kill(writer);
  for (const i of [0, 1]) six.crash(i);
  await assertReadable(six);
});

test('one that was slow and keeps up again before its successor is ready stays', async () => {
  const { slow, delayMs } = slowNodes();
  await using six = await SixNodes.start({ spares: 3, delayMs });
  const writer = await written(six, SOON_BEHIND);
  slow.add(4);
  await commitUntil(six, writer, 'begun', async () => (await groupOf(six)).members.includes(nodeId(8)));
  slow.delete(4);
  slow.add(8);
  await commitUntil(six, writer, 'taken back', async () => (await groupOf(six)).members.length === 6);
  assert.deepEqual((await groupOf(six)).members, names(0, 1, 2, 3, 4, 5));
  await until(six, 'let go', async () => (await groupOf(six)).retired.length === 0);
  six.kill(writer);
  await assertReadable(six);
});

test('one that is slow stays while somebody of another zone is away', async () => {
  const { slow, delayMs } = slowNodes();
  await using six = await SixNodes.start({ spares: 3, delayMs });
  const writer = await written(six, SOON_BEHIND);
  slow.add(4);
  six.crash(1);
  const endMs = six.clock.nowMs() + 15_000;
  await commitUntil(six, writer, 'long behind', async () => six.clock.nowMs() > endMs);
  assert.deepEqual((await groupOf(six)).members, names(0, 1, 2, 3, 4, 5));
  await six.up(1);
  await commitUntil(six, writer, 'begun', async () => (await groupOf(six)).members.includes(nodeId(8)));
});
