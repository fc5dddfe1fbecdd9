import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { CodedError, Epoch, Lsn, PageNumber } from '@rokka/kernel';
import * as codec from './message-codec.ts';
import { MESSAGE, type MemberAddress } from './messages.ts';
import { TestCluster } from './testing/cluster.ts';
import { RecordMaker } from './testing/records.ts';
import { head } from './testing/stores.ts';

const epoch = (value: number) => value as Epoch;
const SIX = [0, 1, 2, 3, 4, 5];

async function sixWithSegments(count = 6): Promise<TestCluster> {
  const cluster = await TestCluster.open(count);
  for (const i of SIX) await cluster.writers[i].create(i % 2 === 0 ? 'full' : 'tail');
  return cluster;
}

const names = (members: readonly MemberAddress[]) => members.map(({ node }) => node).join(' ');

test('a fence installs the next membership, durably, and says no when it cannot be', async () => {
  await using cluster = await TestCluster.open(1);
  const [writer] = cluster.writers;
  await writer.create('full');
  const joint = cluster.membersAt([0, 1, 2, 3, 4, 5, 6]);
  const state = await writer.fence({ membershipEpoch: epoch(2), members: joint });
  assert.equal(state.membershipEpoch, 2);
  await cluster.crash(0);
  await cluster.start(0);
  assert.equal(names(cluster.segment(0).members), 'n0 n1 n2 n3 n4 n5 n6');
  assert.equal(cluster.segment(0).membershipEpoch, 2);

  const again = await cluster.writer(0);
  await again.fence({ membershipEpoch: epoch(2), members: joint });
  await again.fence({ membershipEpoch: epoch(2), members: [] });
  const refusals: [string, Parameters<typeof again.fence>[0]][] = [
    ['STORAGE_STALE_MEMBERSHIP', { membershipEpoch: epoch(1), members: cluster.membersAt(SIX) }],
    ['STORAGE_MEMBERSHIP_CONFLICT', { membershipEpoch: epoch(2), members: cluster.membersAt(SIX) }],
    ['STORAGE_NOT_A_MEMBER', { membershipEpoch: epoch(3), members: cluster.membersAt([1, 2, 3]) }],
    ['STORAGE_NOT_A_MEMBER', { membershipEpoch: epoch(3), members: [] }],
  ];
  for (const [code, fence] of refusals)
    await assert.rejects(again.fence(fence), (error: CodedError) => {
      assert.equal(error.code, code);
      const { volumeEpoch, membershipEpoch, members } = error.detail;
      assert.deepEqual(
        [volumeEpoch, membershipEpoch, members],
        [1, 2, joint],
        'the caller learns all it needs',
      );
      return true;
    });
  assert.equal(cluster.segment(0).membershipEpoch, 2, 'a refused fence changes nothing');
  await assert.rejects(
    again.fence({ membershipEpoch: epoch(2), members: cluster.membersAt([0, 1, 2, 3, 4, 5, 8]) }),
    { message: /n6 \(full, zone a\).*n8 \(full, zone b\)/ },
  );
});

test('a member that has moved is no change of the membership', async () => {
  await using cluster = await TestCluster.open(1);
  const [writer] = cluster.writers;
  await writer.create('full');
  const moved = cluster.membersAt([0]).map((member) => ({ ...member, address: 'elsewhere' }));
  await writer.fence({ members: moved });
  await cluster.crash(0);
  await cluster.start(0);
  assert.deepEqual(cluster.segment(0).members, moved);
});

test('every request under another membership is refused with the current members', async () => {
  await using cluster = await sixWithSegments();
  const [writer] = cluster.writers;
  const joint = cluster.membersAt([0, 1, 2, 3, 4, 5, 6]);
  await writer.fence({ membershipEpoch: epoch(2), members: joint });
  const old = head();
  const page = 0 as PageNumber;
  const lsn = 0 as Lsn;
  const range = { volumeEpoch: epoch(1), after: 5 as Lsn, through: 6 as Lsn };
  const requests: [number, Uint8Array][] = [
    [MESSAGE.READ, codec.encodeRead({ ...old, pages: [page], readPoint: lsn, requiredScl: lsn })],
    [MESSAGE.FETCH, codec.encodeFetch({ ...old, after: lsn, through: lsn, limitBytes: 1 })],
    [MESSAGE.PEER_STATE, codec.encodePeerState(old)],
    [MESSAGE.PAGES, codec.encodePages({ ...old, firstPage: page, endPage: page, limitBytes: 1 })],
    [MESSAGE.TRUNCATE, codec.encodeTruncate({ ...old, range })],
    [MESSAGE.FENCE, codec.encodeFence({ ...old, members: [], ranges: [] })],
  ];
  for (const [type, body] of requests)
    await assert.rejects(writer.request(type, body), (error: CodedError) => {
      assert.equal(error.code, 'STORAGE_STALE_MEMBERSHIP', `message ${type}`);
      assert.deepEqual(error.detail, { volumeEpoch: 1, membershipEpoch: 2, members: joint });
      return true;
    });
  writer.ship(new RecordMaker().many(1));
  await cluster.pass(5);
  const [refused] = writer.refusals;
  assert.deepEqual([refused.code, refused.membershipEpoch], ['STORAGE_STALE_MEMBERSHIP', 2]);
  assert.deepEqual(refused.detail['members'], joint);
});

test('a retired member falls silent, keeps what it has, and is dropped when it is told so', async () => {
  await using cluster = await sixWithSegments();
  const records = new RecordMaker().many(20);
  for (const writer of cluster.writers) writer.ship(records);
  await cluster.pass(5);
  const rest = cluster.membersAt([0, 1, 2, 3, 4]);
  for (const i of [0, 1, 2, 3, 4])
    await cluster.writers[i].fence({ membershipEpoch: epoch(2), members: rest });
  await cluster.pass(4_000);
  assert.equal(cluster.segment(5).retired, true, 'it has heard so from a peer');
  const { exchangeCount } = cluster.nodes[5].gossip;
  await cluster.pass(10_000);
  assert.equal(cluster.nodes[5].gossip.exchangeCount, exchangeCount);
  assert.equal(cluster.segment(5).durableScl, 20);
  const [, , , , , retired] = cluster.writers;
  const drop = { membershipEpoch: epoch(2), members: rest };
  await assert.rejects(retired.drop({ ...drop, members: cluster.membersAt(SIX) }), {
    code: 'STORAGE_STILL_A_MEMBER',
  });
  await assert.rejects(retired.drop({ ...drop, membershipEpoch: epoch(1) }), {
    code: 'STORAGE_STALE_MEMBERSHIP',
  });
  await assert.rejects(retired.drop({ ...drop, volumeEpoch: epoch(0) }), { code: 'STORAGE_STALE_EPOCH' });
  await retired.drop(drop);
  await retired.drop(drop);
  await assert.rejects(retired.fence({}), { code: 'STORAGE_NO_SEGMENT' });
  await cluster.crash(5);
  await cluster.start(5);
  assert.equal(cluster.nodes[5].store.segments.count, 0);
});

test('a node that comes back to a later membership is not retired any more', async () => {
  await using cluster = await sixWithSegments();
  const five = cluster.membersAt([0, 1, 2, 3, 4]);
  for (const i of [0, 1, 2, 3, 4])
    await cluster.writers[i].fence({ membershipEpoch: epoch(2), members: five });
  await assert.rejects(cluster.writers[5].fence({ membershipEpoch: epoch(2), members: five }), {
    code: 'STORAGE_NOT_A_MEMBER',
  });
  assert.equal(cluster.segment(5).retired, true, 'a fence says so, too');
  const records = new RecordMaker().many(20);
  for (const i of SIX)
    await cluster.writers[i].fence({ membershipEpoch: epoch(3), members: cluster.members });
  assert.equal(cluster.segment(5).retired, false);
  for (const i of [0, 1, 2]) cluster.writers[i].ship(records, { membershipEpoch: epoch(3) });
  await cluster.pass(15_000);
  assert.equal(cluster.segment(5).durableScl, 20);
});

test('who is refused for being behind waits for its fence, and does not ask in a loop', async () => {
  await using cluster = await sixWithSegments();
  const maker = new RecordMaker();
  const records = maker.many(20);
  // A hole makes a segment eager.
  cluster.writers[5].ship(records.slice(10));
  for (const i of [0, 1, 2, 3, 4]) {
    await cluster.writers[i].fence({ volumeEpoch: epoch(2) });
    cluster.writers[i].ship(records, { volumeEpoch: epoch(2) });
  }
  await cluster.pass(1_000);
  const { exchangeCount } = cluster.nodes[5].gossip;
  await cluster.pass(10_000);
  const asked = cluster.nodes[5].gossip.exchangeCount - exchangeCount;
  assert.ok(asked <= 3, `${asked} exchanges in ten seconds`);
  await cluster.writers[5].fence({ volumeEpoch: epoch(2) });
  await cluster.pass(2_000);
  assert.equal(cluster.segment(5).durableScl, 20);
});
