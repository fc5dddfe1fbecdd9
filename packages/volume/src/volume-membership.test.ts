/**
 * Members come and go while a volume serves, on real nodes: replaced and back, twice at once, with the writer killed in
 * between, and with only a read quorum left. Nothing durable is lost, and writes go on.
 */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { must, type PgIndex } from '@rokka/kernel';
import { allMembers, type PlacedMember } from '@rokka/quorum';
import {
  assertReadable,
  BY_HAND,
  groupOf,
  IMPATIENT,
  names,
  recordOf,
  statusOf,
  until,
  written,
} from './testing/member-work.ts';
import { PageWriter } from './testing/page-writer.ts';
import { nodeId, SixNodes, zoneOf, type Writer } from './testing/six-nodes.ts';
import type { VolumeOptions } from './volume-options.ts';

const P0 = 0 as PgIndex;

const spare = (i: number, kind: PlacedMember['kind']): PlacedMember => ({
  node: nodeId(i),
  kind,
  zone: zoneOf(i),
});
const isHydrated = (writer: Writer, node: number, pg = 0) => {
  const status = statusOf(writer, node, pg);
  return status?.fenced === true && !status.hydrating && status.lagLsn === 0;
};

for (const kind of ['full', 'tail'] as const) {
  const [leaves, joins] = kind === 'full' ? [4, 8] : [5, 8];
  describe(`a ${kind} member is replaced while the volume is written`, () => {
    test('the newcomer hydrates, stays, and what the old one had is dropped', async () => {
      await using six = await SixNodes.start({ spares: 3 });
      const writer = await written(six, BY_HAND);
      const steps = writer.volume.replacement(P0);
      await six.run(steps.begin({ leaves: nodeId(leaves), joins: spare(joins, kind) }));
      await six.run(writer.pages.commit(1, 'text 1'));
      await assert.rejects(six.run(steps.finish(nodeId(joins))), { code: 'QUORUM_NOT_SETTLED' });
      await until(six, 'hydrated', () => isHydrated(writer, joins));
      await six.run(writer.pages.commit(2, 'text 2'));
      await six.pass(50);
      await six.run(steps.finish(nodeId(joins)));
      await six.run(writer.pages.commit(3, 'text 3'));
      await until(six, 'dropped', async () => (await groupOf(six)).retired.length === 0);
      assert.equal(six.store(leaves).segments.count, 0, 'the old member let go of its segment');
      const after = [0, 1, 2, 3, 4, 5].map((i) => nodeId(i === leaves ? joins : i));
      assert.deepEqual((await groupOf(six)).members, after);
      assert.equal((await groupOf(six)).epoch, 3);
      six.kill(writer);
      // With any zone but the newcomer's away, what it holds is needed.
      for (const i of [0, 1]) six.crash(i);
      await assertReadable(six);
    });

    test('it is taken back when the old member keeps up', async () => {
      await using six = await SixNodes.start({ spares: 3 });
      const writer = await written(six, BY_HAND);
      const steps = writer.volume.replacement(P0);
      await six.run(steps.begin({ leaves: nodeId(leaves), joins: spare(joins, kind) }));
      await six.run(writer.pages.commit(1, 'text 1'));
      await six.run(steps.revert(nodeId(joins)));
      await until(six, 'dropped', async () => (await groupOf(six)).retired.length === 0);
      assert.equal(six.store(joins).segments.count, 0);
      six.kill(writer);
      await assertReadable(six);
    });
  });
}

test('two members of a zone are replaced at once, and the changes end in the other order', async () => {
  await using six = await SixNodes.start({ spares: 6 });
  const writer = await written(six, BY_HAND);
  const steps = writer.volume.replacement(P0);
  await six.run(steps.begin({ leaves: nodeId(4), joins: spare(8, 'full') }));
  six.crash(4);
  await six.run(steps.begin({ leaves: nodeId(5), joins: spare(11, 'tail') }));
  six.crash(5);
  await six.run(writer.pages.commit(7, 'text 7'));
  assert.equal(statusOf(writer, 11)?.up, true);
  await until(six, 'hydrated', () => isHydrated(writer, 8) && isHydrated(writer, 11));
  await six.run(steps.finish(nodeId(11)));
  await six.run(steps.finish(nodeId(8)));
  assert.deepEqual((await groupOf(six)).members, names(0, 1, 2, 3, 8, 11));
  six.kill(writer);
  six.crash(0);
  six.crash(1);
  await assertReadable(six);
});

test('the writer dies between the decision and its telling; the next one carries the change on', async () => {
  for (const dieMs of [0, 1, 2, 3, 5, 20]) {
    await using six = await SixNodes.start({ spares: 3, delayMs: () => 1 });
    const writer = await written(six, BY_HAND);
    void writer.volume
      .replacement(P0)
      .begin({ leaves: nodeId(4), joins: spare(8, 'full') })
      .catch(() => {});
    await six.pass(dieMs);
    six.kill(writer);
    const next = await assertReadable(six);
    const { epoch, members } = await groupOf(six);
    assert.deepEqual([epoch, members.length], [2, 7], `killed after ${dieMs} ms`);
    await until(six, 'hydrated', () => isHydrated(next, 8));
    await six.run(next.volume.replacement(P0).finish(nodeId(8)));
    await six.run(next.pages.commit(1, 'text 1'));
  }
});

test('a writer that was taken over changes nothing any more', async () => {
  await using six = await SixNodes.start({ spares: 3 });
  const old = await written(six, BY_HAND);
  six.pause(old);
  const next = await assertReadable(six);
  six.resume(old);
  const late = old.volume.replacement(P0).begin({ leaves: nodeId(4), joins: spare(8, 'full') });
  await assert.rejects(six.run(late), (error: { code?: string }) =>
    ['VOLUME_FENCED', 'VOLUME_INTERRUPTED'].includes(error.code ?? ''),
  );
  await six.run(next.volume.replacement(P0).begin({ leaves: nodeId(5), joins: spare(8, 'tail') }));
  assert.deepEqual((await groupOf(six)).members, names(0, 1, 2, 3, 4, 5, 8));
});

test('a change refused because somebody took the volume over ends the writer, even if nobody else will ever tell it', async () => {
  await using six = await SixNodes.start({ spares: 3 });
  const old = await written(six, BY_HAND, 2);
  // It raises the epoch in the registry, and dies before it has fenced anybody.
  const next = six.begin(BY_HAND);
  await six.pass(0);
  six.kill(next);
  assert.equal((await recordOf(six)).volumeEpoch, 2);
  await six.run(old.pages.commit(1, 'nobody knows'));
  const late = old.volume.replacement(P0).begin({ leaves: nodeId(4), joins: spare(8, 'full') });
  await assert.rejects(six.run(late), { code: 'VOLUME_FENCED' });
  assert.deepEqual(
    old.failures.map(({ code }) => code),
    ['VOLUME_FENCED'],
  );
});

test('one node that came for two others, in two groups, has one place in the groups that come after', async () => {
  await using six = await SixNodes.start({ spares: 3, pagesPerGroup: 16, groupsMax: 8 });
  const writer = await written(six, BY_HAND, 20);
  for (const [pg, leaves] of [4, 5].entries()) {
    const { slots } = must((await recordOf(six)).groups[pg]).membership;
    const { kind } = must(slots.find(({ member }) => member.node === nodeId(leaves))).member;
    const steps = writer.volume.replacement(pg as PgIndex);
    await six.run(steps.begin({ leaves: nodeId(leaves), joins: spare(8, kind) }));
    await until(six, 'hydrated', () => isHydrated(writer, 8, pg));
    await six.run(steps.finish(nodeId(8)));
  }
  assert.deepEqual(
    (await recordOf(six)).nodes.map(({ node }) => node),
    names(0, 1, 2, 3, 8, 5),
  );
  await six.run(writer.pages.commit(40, 'in a third group'));
});

test('a new group does not count on a node that lost its disk: what that one made would never count', async () => {
  await using six = await SixNodes.start({ spares: 3, pagesPerGroup: 16, groupsMax: 8 });
  const writer = await written(six, BY_HAND, 4);
  six.crash(5);
  six.disks[5].remove('node');
  await six.up(5);
  await six.run(writer.pages.commit(20, 'in the next group'));
  assert.deepEqual((await groupOf(six, 1)).missing, names(5));
});

test('what makes no sense is refused and leaves everything as it was', async () => {
  await using six = await SixNodes.start({ spares: 3 });
  const writer = await written(six, BY_HAND, 2);
  const steps = writer.volume.replacement(P0);
  const refused: [() => Promise<void>, string][] = [
    [() => steps.begin({ leaves: nodeId(4), joins: spare(6, 'full') }), 'QUORUM_WRONG_PLACE'],
    [() => steps.begin({ leaves: nodeId(4), joins: spare(8, 'tail') }), 'QUORUM_WRONG_PLACE'],
    [() => steps.begin({ leaves: nodeId(8), joins: spare(8, 'tail') }), 'QUORUM_NOT_A_MEMBER'],
    [() => steps.finish(nodeId(8)), 'QUORUM_NO_CHANGE'],
  ];
  for (const [step, code] of refused) await assert.rejects(six.run(step()), { code });
  assert.equal((await groupOf(six)).epoch, 1);
  await six.run(writer.pages.commit(1, 'on'));
});

describe('the healer', () => {
  test('a member that stays away is replaced, in every group, and the spare takes its place in new groups', async () => {
    await using six = await SixNodes.start({ spares: 3, pagesPerGroup: 16, groupsMax: 8 });
    const writer = await written(six, IMPATIENT);
    six.crash(4);
    await until(six, 'replaced', async () => {
      const { groups } = await recordOf(six);
      return groups.every(({ membership }) => {
        const members = allMembers(membership).map(({ node }) => node);
        return members.length === 6 && members.includes(nodeId(8)) && !members.includes(nodeId(4));
      });
    });
    assert.ok((await recordOf(six)).nodes.some(({ node }) => node === nodeId(8)));
    await six.up(4);
    await until(six, 'let go', () => six.store(4).segments.count === 0);
    await six.run(writer.pages.commit(100, 'grown'));
    six.kill(writer);
    await assertReadable(six, 40, IMPATIENT);
  });

  test('one that comes back before its successor is ready stays', async () => {
    await using six = await SixNodes.start({ spares: 3 });
    const writer = await written(six, IMPATIENT);
    six.crash(4);
    await until(six, 'begun', async () => (await groupOf(six)).members.length === 7);
    six.crash(8);
    await six.up(4);
    await until(six, 'reverted', async () => (await groupOf(six)).members.length === 6);
    assert.deepEqual((await groupOf(six)).members, names(0, 1, 2, 3, 4, 5));
    six.kill(writer);
    await assertReadable(six, 40, BY_HAND);
  });

  test('after a spare that failed another one takes its turn', async () => {
    await using six = await SixNodes.start({ spares: 6 });
    const writer = await written(six, IMPATIENT);
    six.crash(4);
    await until(six, 'begun', async () => (await groupOf(six)).members.includes(nodeId(8)));
    six.crash(8);
    await until(six, 'taken back', async () => !(await groupOf(six)).members.includes(nodeId(8)));
    await six.up(8);
    await until(six, 'settled', async () => {
      const { members } = await groupOf(six);
      assert.ok(!members.includes(nodeId(8)), 'the one that failed came again');
      return members.length === 6 && members.includes(nodeId(11));
    });
    six.kill(writer);
    await assertReadable(six, 40, BY_HAND);
  });

  test('one that was replaced and that the cluster has given up is not waited for', async () => {
    await using six = await SixNodes.start({ spares: 3 });
    const given = new Set<number>();
    const fleet = () =>
      six.numbers
        .filter((i) => !given.has(i))
        .map((i) => ({ node: nodeId(i), zone: zoneOf(i), leaving: false }));
    const writer = await written(six, { ...IMPATIENT, fleet });
    six.crash(4);
    await until(six, 'replaced', async () => {
      const { members } = await groupOf(six);
      return members.length === 6 && members.includes(nodeId(8));
    });
    await six.run(writer.pages.commit(1, 'text 1'));
    await six.pass(5_000);
    assert.deepEqual((await groupOf(six)).retired, names(4));
    given.add(4);
    await until(six, 'forgotten', async () => (await groupOf(six)).retired.length === 0);
    // Should it come back after all, it keeps what it has: only an empty segment that nobody names is let go of.
    given.delete(4);
    six.kill(writer);
    await six.up(4);
    await written(six, { ...IMPATIENT, fleet });
    await six.pass(5_000);
    assert.equal(six.store(4).segments.count, 1);
  });

  test('a node that has nothing left may come again on a new disk', async () => {
    await using six = await SixNodes.start({ spares: 3 });
    const writer = await written(six, BY_HAND);
    const steps = writer.volume.replacement(P0);
    const replace = async (leaves: number, joins: number) => {
      await six.run(steps.begin({ leaves: nodeId(leaves), joins: spare(joins, 'full') }));
      await until(six, 'hydrated', () => isHydrated(writer, joins));
      await six.run(steps.finish(nodeId(joins)));
      await until(six, 'dropped', async () => (await groupOf(six)).retired.length === 0);
    };
    await replace(4, 8);
    six.crash(4);
    six.disks[4].remove('node');
    await six.up(4);
    await replace(8, 4);
    six.kill(writer);
    await assertReadable(six, 40, BY_HAND);
  });

  test('one that lost its disk is replaced at once, and never believed', async () => {
    await using six = await SixNodes.start({ spares: 3 });
    const writer = await written(six, IMPATIENT);
    six.crash(5);
    six.disks[5].remove('node');
    await six.up(5);
    await until(six, 'replaced', async () => (await groupOf(six)).members.includes(nodeId(8)));
    await until(six, 'settled', async () => (await groupOf(six)).members.length === 6);
    six.kill(writer);
    await assertReadable(six, 40, BY_HAND);
  });

  test('a node that is to leave is emptied, one zone at a time', async () => {
    await using six = await SixNodes.start({ spares: 3 });
    await written(six, IMPATIENT);
    six.leaving.add(0);
    six.leaving.add(4);
    await until(six, 'emptied', async () => {
      const { members, retired } = await groupOf(six);
      assert.ok(members.length <= 7, 'two zones in motion by choice');
      return (
        members.length === 6 && !members.some((node) => ['n0', 'n4'].includes(node)) && retired.length === 0
      );
    });
    for (const i of [0, 4]) assert.equal(six.store(i).segments.count, 0);
  });
});

describe('a newcomer and two more are gone', () => {
  const joining = async (six: SixNodes, options: Partial<VolumeOptions>) => {
    const writer = await written(six, options);
    const begin = writer.volume.replacement(P0).begin({ leaves: nodeId(5), joins: spare(8, 'tail') });
    await six.run(begin);
    return writer;
  };
  const gone = [8, 0, 3];

  test('while serving: the newcomer is given up, and writes go on', async () => {
    await using six = await SixNodes.start({ spares: 3 });
    const writer = await joining(six, IMPATIENT);
    for (const i of gone) six.crash(i);
    const waiting = writer.pages.commit(50, 'one more');
    assert.ok(await six.isStuck(waiting, 1_500), 'three of the six that count it are no write quorum');
    await six.run(waiting);
    await until(six, 'told', () => /n8, which is gone, is given up/.test(six.said.join()));
    assert.ok(!(await groupOf(six)).members.includes(nodeId(8)));
    six.kill(writer);
    await assertReadable(six, 40, BY_HAND);
  });

  test('while opening: recovery gives it up by itself, and needs no spare for that', async () => {
    await using six = await SixNodes.start({ spares: 3 });
    const writer = await joining(six, BY_HAND);
    six.kill(writer);
    for (const i of [...gone, 6, 7]) six.crash(i);
    const next = await assertReadable(six, 40, { ...IMPATIENT, recoverTimeoutMs: 60_000 });
    assert.deepEqual((await groupOf(six)).members, names(0, 1, 2, 3, 4, 5));
    await six.run(next.pages.commit(1, 'text 1'));
    await six.up(8);
    await six.up(0);
    await six.up(3);
    await until(six, 'let go', () => six.store(8).segments.count === 0);
  });
});

describe('a newcomer and all other full members are gone', () => {
  test('while opening: without the newcomer the member that it was to replace can be read with, and the volume opens', async () => {
    await using six = await SixNodes.start({ spares: 3 });
    const writer = await written(six, BY_HAND);
    const begin = writer.volume.replacement(P0).begin({ leaves: nodeId(4), joins: spare(8, 'full') });
    await six.run(begin);
    six.kill(writer);
    for (const i of [8, 0, 2, 5]) six.crash(i);
    const next = six.begin({ ...BY_HAND, recoverTimeoutMs: 60_000 });
    assert.ok(await six.isStuck(next.opened, 20_000), 'one full and two tail members can only be read with');
    assert.deepEqual((await groupOf(six)).members, names(0, 1, 2, 3, 4, 5));
    await six.up(5);
    const opened = await six.run(next.opened);
    await six.run(new PageWriter(opened.volume).commit(1, 'text 1'));
    six.kill(next);
    await assertReadable(six, 40, BY_HAND);
  });

  test('while opening: where too few are left even so, it waits', async () => {
    await using six = await SixNodes.start({ spares: 3 });
    const writer = await written(six, BY_HAND);
    const begin = writer.volume.replacement(P0).begin({ leaves: nodeId(4), joins: spare(8, 'full') });
    await six.run(begin);
    six.kill(writer);
    for (const i of [8, 0, 1, 2, 5]) six.crash(i);
    const next = six.begin({ ...BY_HAND, recoverTimeoutMs: 60_000 });
    assert.ok(await six.isStuck(next.opened, 20_000), 'two of six are nothing');
    assert.ok((await groupOf(six)).members.includes(nodeId(8)));
    for (const i of [1, 5]) await six.up(i);
    await six.run(next.opened);
  });
});

describe('a zone and one more are gone (AZ+1)', () => {
  test('while serving: writes stop, the one is forced out, writes go on; the half that was away reopens nothing', async () => {
    await using six = await SixNodes.start({ spares: 3 });
    const writer = await written(six, IMPATIENT);
    for (const i of [0, 1, 6, 2]) six.crash(i);
    const waiting = writer.pages.commit(50, 'one more');
    assert.ok(await six.isStuck(waiting, 1_500), 'three of six are no write quorum');
    await six.run(waiting);
    assert.deepEqual((await groupOf(six)).members.slice(0, 6), names(0, 1, 2, 3, 4, 5));
    await until(six, 'settled', async () => (await groupOf(six)).members.length === 6);
    assert.deepEqual((await groupOf(six)).members, names(0, 1, 7, 3, 4, 5));
    six.kill(writer);
    for (const i of [3, 4, 5, 7, 8]) six.crash(i);
    for (const i of [0, 1, 2]) await six.up(i);
    const stale = six.begin(BY_HAND);
    assert.ok(await six.isStuck(stale.opened, 10_000), 'a read quorum of the old set opened the volume');
    six.kill(stale);
    for (const i of [3, 4, 5, 7]) await six.up(i);
    await assertReadable(six, 40, IMPATIENT);
  });

  test('while opening: recovery forces it out by itself', async () => {
    await using six = await SixNodes.start({ spares: 3 });
    const writer = await written(six, BY_HAND);
    six.kill(writer);
    for (const i of [0, 1, 6, 2]) six.crash(i);
    const next = await assertReadable(six, 40, { ...IMPATIENT, recoverTimeoutMs: 60_000 });
    await six.run(next.pages.commit(1, 'text 1'));
    for (const i of [0, 1, 2]) await six.up(i);
    await until(six, 'settled', async () => {
      const { members, retired } = await groupOf(six);
      return members.length === 6 && retired.length === 0;
    });
    assert.deepEqual((await groupOf(six)).members, names(0, 1, 7, 3, 4, 5));
    assert.equal(six.store(2).segments.count, 0);
  });

  test('while opening: one that is there and no longer knows what it had is forced out, too', async () => {
    await using six = await SixNodes.start({ spares: 3 });
    const writer = await written(six, BY_HAND);
    six.kill(writer);
    for (const i of [0, 1, 6]) six.crash(i);
    for (const segment of six.store(2).segments.all) segment.requiredScl = Number.MAX_SAFE_INTEGER as never;
    await assertReadable(six, 40, { ...IMPATIENT, recoverTimeoutMs: 60_000 });
    await until(six, 'settled', async () => (await groupOf(six)).members.length === 6);
    assert.deepEqual((await groupOf(six)).members, names(0, 1, 7, 3, 4, 5));
  });
});
