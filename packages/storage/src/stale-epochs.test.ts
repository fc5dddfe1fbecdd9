/**
 * What it costs a node that its peers obey a later membership or a later writer than it does yet: they refuse it, with what they obey in
 * the answer, and it asks again when its own fence has come, at once. Frames and virtual time are counted; a frame takes a
 * millisecond.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { must, type Epoch } from '@rokka/kernel';
import * as codec from './message-codec.ts';
import { MESSAGE } from './messages.ts';
import { Group, JOINT, SIX } from './testing/group.ts';

const LATER = 3 as Epoch;
/** Where a node has no connection yet to the peer that it asks: it connects and greets. */
const CONNECT_MS = 4;
/** There and back. */
const TRIP_MS = 2;

interface Seen {
  readonly type: number;
  readonly from: string;
  readonly to: string;
  readonly atMs: number;
  readonly refusal: string;
}

/** What goes between nodes from now on. */
function watched({ cluster }: Group): Seen[] {
  const seen: Seen[] = [];
  cluster.observe = ({ from, to }, { type, body }) => {
    const refusal = type === MESSAGE.ERROR ? codec.decodeError(body).code : '';
    if (![from, to].includes('writer')) seen.push({ type, from, to, atMs: cluster.clock.nowMs(), refusal });
  };
  return seen;
}

const asked = (seen: readonly Seen[], who: string, type: number) =>
  seen.filter((one) => one.from === who && one.type === type);
const staleAmong = (seen: readonly Seen[]) =>
  seen
    .filter(({ refusal }) => refusal === 'STORAGE_STALE_MEMBERSHIP')
    .map(({ from }) => from)
    .sort();
const refused = (seen: readonly Seen[], who: string) =>
  seen.filter(({ to, type }) => to === who && type === MESSAGE.ERROR);

for (const [what, { nodes, ...epochs }] of [
  ['membership', { membershipEpoch: JOINT, nodes: [...SIX, 6] }],
  ['volume epoch', { volumeEpoch: 2 as Epoch, nodes: SIX }],
] as const)
  test(`gossip of a node that is behind by a ${what} is refused once, and goes on when the node is fenced`, async () => {
    await using group = await Group.start();
    const { cluster } = group;
    await group.write(10);
    await group.write(50, [0, 1, 2, 3, 4]);
    const members = cluster.membersAt(nodes);
    for (const i of [0, 1, 2, 3, 4]) await cluster.writers[i].fence({ members, ...epochs });
    const seen = watched(group);
    await cluster.pass(4_000);
    const code = what === 'membership' ? 'STORAGE_STALE_MEMBERSHIP' : 'STORAGE_STALE_EPOCH';
    assert.deepEqual(
      refused(seen, 'n5').map(({ refusal }) => refusal),
      [code],
    );
    assert.equal(cluster.segment(5).durableScl, 10);

    seen.length = 0;
    await cluster.writers[5].fence({ members, ...epochs });
    const answeredMs = cluster.clock.nowMs();
    for (let ms = 0; cluster.segment(5).durableScl < 60 && ms < 5_000; ms++) await cluster.pass(1);
    const none: number[] = [MESSAGE.ERROR, MESSAGE.OK, MESSAGE.HELLO];
    const questions = seen.filter(({ from, type }) => from === 'n5' && !none.includes(type));
    assert.deepEqual(
      questions.map(({ type }) => type),
      [MESSAGE.PEER_STATE, MESSAGE.FETCH],
    );
    assert.equal(refused(seen, 'n5').length, 0);
    assert.ok(must(questions[0]).atMs <= answeredMs + CONNECT_MS, 'it asks as soon as it obeys');
    assert.equal(must(questions[1]).atMs - must(questions[0]).atMs, TRIP_MS);
  });

test('hydration of a node that is behind by a membership is refused by each source once, and goes on when it is fenced', async () => {
  await using group = await Group.start({ pages: 1_500 });
  const { cluster } = group;
  for (let i = 0; i < 20; i++) await group.write(100);
  await group.coalesce([0, 2, 4]);
  await group.write(10);
  await group.coalesce([0, 2, 4]);
  await group.join([6]);
  const segment = cluster.segment(6);
  while ((segment.hydration?.nextPage ?? 0) < 200) await cluster.pass(1);
  const members = cluster.membersAt([...SIX, 6, 7]);
  const seen = watched(group);
  for (const i of SIX) await cluster.writers[i].fence({ members, membershipEpoch: LATER });
  await cluster.pass(100);
  const copiedPages = must(segment.hydration).nextPage;
  assert.ok(copiedPages < segment.pageCount);
  assert.deepEqual(staleAmong(refused(seen, 'n6')), ['n0', 'n2', 'n4']);

  seen.length = 0;
  const startMs = cluster.clock.nowMs();
  await cluster.writers[6].fence({ members, membershipEpoch: LATER });
  for (let ms = 0; must(segment.hydration).nextPage === copiedPages && ms < 5_000; ms++)
    await cluster.pass(1);
  const [question] = asked(seen, 'n6', MESSAGE.PAGES);
  const waitedMs = must(question).atMs - startMs;
  assert.deepEqual(staleAmong(refused(seen, 'n6')), []);
  // The fence comes; its peers are asked how far they are, all at once; then it goes on.
  assert.ok(waitedMs <= 1 + CONNECT_MS + TRIP_MS, `${waitedMs} ms until the next question`);
  group.membershipEpoch = LATER;
  await group.whole(6);
  group.demandTruth(6);
});
