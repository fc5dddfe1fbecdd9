/**
 * What a writer makes of a registry that cannot say what became of a change, or is away: it finds out and goes on, or asks again; and one
 * that was taken over meanwhile ends all the same.
 */
import assert from 'node:assert/strict';
import { beforeEach, describe, test } from 'node:test';
import {
  must,
  VirtualClock,
  type Epoch,
  type Lsn,
  type NodeId,
  type PgIndex,
  type VolumeId,
} from '@rokka/kernel';
import type { Zone } from '@rokka/kernel';
import { beginReplacement, settledMembership } from '@rokka/quorum';
import { MemoryRegistry, type Registry } from '@rokka/registry';
import { RamLog } from './ram-log.ts';
import type { RamFile } from './ram-file.ts';
import { DoubtfulRegistry, type Line } from './testing/doubtful-registry.ts';
import { BY_HAND, groupOf, recordOf, until, written } from './testing/member-work.ts';
import { PageWriter } from './testing/page-writer.ts';
import { nodeId, SixNodes, zoneOf } from './testing/six-nodes.ts';
import type { GroupRecord, VolumeRecord } from './volume-record.ts';
import { VolumeState } from './volume-state.ts';

const ID = 'v1' as VolumeId;
const P0 = 0 as PgIndex;
/** Longer than anybody is patient. */
const LONG_MS = 40_000;
const nodes = 'abcabc'.split('').map((zone, i) => ({ node: `n${i}` as NodeId, zone: zone as Zone }));
const range = (volumeEpoch: number) => ({
  volumeEpoch: volumeEpoch as Epoch,
  after: 5 as Lsn,
  through: 100 as Lsn,
});
const members = nodes.map(({ node, zone }) => ({ node, zone, kind: 'full' as const }));
const group: GroupRecord = {
  pg: P0,
  membership: settledMembership(1 as Epoch, members),
  missing: [],
  retired: [],
};

describe('the record of a volume', () => {
  let clock: VirtualClock;
  let truth: MemoryRegistry;
  let registry: DoubtfulRegistry;
  beforeEach(async () => {
    clock = new VirtualClock();
    truth = new MemoryRegistry();
    registry = new DoubtfulRegistry(truth.another());
    const draft = { volumeId: ID, name: 'one', pagesPerGroup: 64, groupsMax: 4, allFull: false };
    await VolumeState.create(truth, { ...draft, nodes });
  });

  const open = (opening: string, by: Registry = registry) => VolumeState.takeOver(by, ID, { clock, opening });
  const record = async () => must(await truth.get<VolumeRecord>(`volumes/${ID}`)).value;
  const pass = async (ms: number) => {
    for (const endMs = clock.nowMs() + ms; clock.nowMs() < endMs;) {
      clock.advanceTo(Math.min(endMs, clock.nowMs() + 10));
      await new Promise((resolve) => setImmediate(resolve));
    }
  };
  /** What is asked for while the line is bad, and settled when it is good again. */
  const through = async <T>(line: Line, work: () => Promise<T>, ms = 500): Promise<T> => {
    registry.line = line;
    const outcome = work();
    outcome.catch(() => {});
    await pass(ms);
    registry.line = 'good';
    await registry.arrive();
    await pass(500);
    return outcome;
  };

  for (const line of ['away', 'mute', 'late'] as const) {
    test(`a change is made once, and the writer goes on, where the line is ${line} for a while`, async () => {
      const state = await open('mine');
      await state.addGroup(group, {});
      await through(line, () => state.addRange(range(1)));
      assert.deepEqual((await record()).truncationRanges, [range(1)]);
      await state.addRange(range(2));
      assert.deepEqual((await record()).truncationRanges, [range(1), range(2)]);
      assert.deepEqual(state.record.truncationRanges, [range(1), range(2)]);
    });

    test(`a writer that was taken over while the line was ${line} ends`, async () => {
      const state = await open('mine');
      const work = through(line, async () => {
        const change = state.addRange(range(1));
        await pass(10);
        await open('theirs', truth);
        return change;
      });
      await assert.rejects(work, { code: 'VOLUME_INTERRUPTED' });
    });

    test(`who opens while the line is ${line} raises the epoch by one, and knows its own change again`, async () => {
      const state = await through(line, () => open('mine'));
      assert.deepEqual([state.record.volumeEpoch, (await record()).volumeEpoch], [1, 1]);
      await state.addRange(range(1));
    });
  }

  test('two who open at once do not take the change of the other for their own', async () => {
    const mine = through('away', async () => {
      const opening = open('mine');
      // It has read, and its change is lost; the other one makes the same.
      await pass(10);
      await open('theirs', truth);
      return opening;
    });
    const state = await mine;
    assert.equal(state.record.volumeEpoch, 2);
  });

  test('a change that was given up and is made after all is gone on from', async () => {
    const state = await open('mine');
    let late = 0;
    state.onLate = () => late++;
    await state.addGroup(group, {});
    const joins = { node: 'n6' as NodeId, zone: 'c' as Zone, kind: 'full' as const };
    const next = beginReplacement(group.membership, { leaves: 'n5' as NodeId, joins, lastLsn: 0 as Lsn });
    registry.line = 'late';
    const given = state.changeMembership(P0, next);
    await assert.rejects(Promise.all([given, pass(LONG_MS)]), { code: 'REGISTRY_UNAVAILABLE' });
    assert.equal(state.record.groups[0].membership.epoch, 1);
    registry.line = 'good';
    assert.equal(await registry.arrive(), 1, 'however often it was asked for');
    await state.addRange(range(1));
    assert.equal(late, 1);
    assert.deepEqual(state.record.groups[0].membership, next);
    assert.deepEqual(await record(), JSON.parse(JSON.stringify(state.record)));
    const other = beginReplacement(group.membership, { leaves: 'n2' as NodeId, joins, lastLsn: 0 as Lsn });
    await assert.rejects(state.changeMembership(P0, other), { code: 'VOLUME_CHANGE_BUSY' });
  });

  test('a writer that has ended asks no more', async () => {
    const state = await open('mine');
    registry.line = 'away';
    const change = state.addRange(range(1));
    change.catch(() => {});
    await pass(500);
    state.end();
    await pass(200);
    const { asked } = registry;
    await pass(1_000);
    assert.equal(registry.asked, asked);
    await assert.rejects(change, { code: 'REGISTRY_UNAVAILABLE' });
  });
});

describe('a volume', () => {
  const doubtful = (six: SixNodes) => new DoubtfulRegistry(six.registry.another());
  const begin = (leaves: number, joins: number) => ({
    leaves: nodeId(leaves),
    joins: { node: nodeId(joins), kind: 'full' as const, zone: zoneOf(joins) },
  });

  test('serves on while a change of members is in doubt, and enters it when the registry has made it after all', async () => {
    await using six = await SixNodes.start({ spares: 3 });
    const registry = doubtful(six);
    const writer = await written(six, { ...BY_HAND, registry });
    const steps = writer.volume.replacement(P0);
    registry.line = 'late';
    const given = steps.begin(begin(4, 8));
    await six.run(writer.pages.commit(1, 'meanwhile'));
    await assert.rejects(six.run(given, LONG_MS), { code: 'REGISTRY_UNAVAILABLE' });
    registry.line = 'good';
    assert.equal(await registry.arrive(), 1);
    assert.equal((await groupOf(six)).epoch, 2);
    await assert.rejects(six.run(steps.begin(begin(2, 7))), { code: 'VOLUME_CHANGE_BUSY' });
    await six.run(writer.pages.commit(2, 'after'));
    // The healer sees the change, and that the old member is well.
    await until(six, 'taken back', async () => (await groupOf(six)).members.length === 6);
    await until(six, 'dropped', async () => (await groupOf(six)).retired.length === 0);
    assert.deepEqual(writer.failures, []);
    six.kill(writer);
    for (const i of [0, 1]) six.crash(i);
    const pages = new PageWriter((await six.writer(BY_HAND)).volume);
    assert.equal(await six.run(pages.text(1, 9)), 'meanwhile');
    assert.equal(await six.run(pages.text(2, 5)), 'after');
  });

  test('uses a group whose making was given up and that the registry has after all', async () => {
    await using six = await SixNodes.start({ pagesPerGroup: 16 });
    const registry = doubtful(six);
    const writer = await written(six, { ...BY_HAND, registry }, 10);
    registry.line = 'late';
    await assert.rejects(six.run(writer.volume.grow(32), LONG_MS), { code: 'REGISTRY_UNAVAILABLE' });
    assert.equal(writer.volume.mappedPages, 16);
    registry.line = 'good';
    assert.equal(await registry.arrive(), 1);
    await six.run(writer.pages.commit(20, 'in the second group'));
    await six.run(writer.pages.commit(40, 'in the third group'));
    assert.equal((await recordOf(six)).groups.length, 3);
    six.kill(writer);
    const pages = new PageWriter((await six.writer(BY_HAND)).volume);
    assert.equal(await six.run(pages.text(20, 19)), 'in the second group');
    assert.equal(await six.run(pages.text(40, 18)), 'in the third group');
  });

  for (const line of ['away', 'mute', 'late'] as const)
    test(`is taken over from though the line to the registry is ${line} for a while`, async () => {
      await using six = await SixNodes.start();
      const files = [ramFile(), ramFile()] as const;
      const first = await written(six, { ...BY_HAND, ramLog: new RamLog(files) }, 4);
      for (const i of [0, 1, 2, 3, 4, 5]) six.hold(first, i);
      await six.run(first.pages.write(1, 'taken, and not durable'));
      await six.pass(10);
      six.kill(first);
      const registry = doubtful(six);
      registry.line = line;
      const next = six.begin({ ...BY_HAND, registry, ramLog: new RamLog(files), takesOver: true });
      await six.pass(2_000);
      registry.line = 'good';
      await registry.arrive();
      const { volume } = await six.run(next.opened);
      assert.equal((await recordOf(six)).volumeEpoch, 2);
      const text = await six.run(new PageWriter(volume).text(1, 22));
      assert.equal(text, 'taken, and not durable');
    });
});

function ramFile(): RamFile {
  let bytes = Buffer.alloc(0);
  return {
    write(parts, at) {
      const added = Buffer.concat(parts);
      const whole = Buffer.alloc(Math.max(bytes.length, at + added.length));
      bytes.copy(whole);
      added.copy(whole, at);
      bytes = whole;
      return true;
    },
    read: (into, at) => bytes.copy(into, 0, at),
    truncate: (sizeBytes) => void (bytes = bytes.subarray(0, sizeBytes)),
  };
}
