import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  CodedError,
  must,
  type Epoch,
  type Lsn,
  type NodeId,
  type PgIndex,
  type VolumeId,
  type Zone,
} from '@rokka/kernel';
import { settledMembership } from '@rokka/quorum';
import { MemoryRegistry } from '@rokka/registry';
import type { GroupRecord } from './volume-record.ts';
import { VolumeState } from './volume-state.ts';

const ID = 'v1' as VolumeId;
const draft = { volumeId: ID, name: 'one', pagesPerGroup: 64, groupsMax: 4, allFull: false };
const nodes = 'abcabc'.split('').map((zone, i) => ({ node: `n${i}` as NodeId, zone: zone as Zone }));

function group(pg: number, missing: string[] = []): GroupRecord {
  const members = nodes.map(({ node, zone }) => ({ node, zone, kind: 'full' as const }));
  const membership = settledMembership(1 as Epoch, members);
  return { pg: pg as PgIndex, membership, missing: missing as NodeId[], retired: [] };
}

async function made(): Promise<MemoryRegistry> {
  const registry = new MemoryRegistry();
  await VolumeState.create(registry, { ...draft, nodes });
  return registry;
}

const range = (volumeEpoch: number) => ({
  volumeEpoch: volumeEpoch as Epoch,
  after: 5 as Lsn,
  through: 100 as Lsn,
});

test('a volume is made once, and opened only where it is', async () => {
  const registry = await made();
  await assert.rejects(VolumeState.create(registry, { ...draft, nodes }), { code: 'VOLUME_EXISTS' });
  await assert.rejects(VolumeState.takeOver(registry, 'other' as VolumeId), { code: 'VOLUME_NONE' });
});

test('each opening has a higher epoch, at once or one after the other', async () => {
  const registry = await made();
  const states = await Promise.all([1, 2, 3].map(() => VolumeState.takeOver(registry.another(), ID)));
  states.push(await VolumeState.takeOver(registry, ID));
  assert.deepEqual(new Set(states.map(({ record }) => Number(record.volumeEpoch))), new Set([1, 2, 3, 4]));
});

test('whoever was overtaken changes nothing any more', async () => {
  const registry = await made();
  const old = await VolumeState.takeOver(registry, ID);
  const next = await VolumeState.takeOver(registry, ID);
  await assert.rejects(old.addRange(range(1)), { code: 'VOLUME_INTERRUPTED' });
  await assert.rejects(old.addGroup(group(0), {}), { code: 'VOLUME_INTERRUPTED' });
  assert.deepEqual([old.record.truncationRanges, old.record.groups], [[], []], 'nor does it believe so');
  await next.addRange(range(2));
  const { record } = await VolumeState.takeOver(registry, ID);
  assert.deepEqual(record.truncationRanges, [range(2)], 'ranges accumulate and are handed on');
});

test('changes that are asked for at once are made one after the other', async () => {
  const registry = await made();
  const state = await VolumeState.takeOver(registry, ID);
  await state.addGroup(group(0, ['n1', 'n2', 'n3']), {});
  await Promise.all([
    state.madeMissing(0 as PgIndex, 'n1' as NodeId, 's1'),
    state.addGroup(group(1, ['n2']), {}),
    state.madeMissing(0 as PgIndex, 'n3' as NodeId, 's3'),
    state.addRange(range(1)),
  ]);
  const { record } = await VolumeState.takeOver(registry, ID);
  assert.deepEqual(
    record.groups.map(({ missing }) => missing),
    [['n2'], ['n2']],
  );
  assert.equal(record.truncationRanges.length, 1);
});

test('a change that fails does not hold up those after it', async () => {
  const registry = await made();
  const state = await VolumeState.takeOver(registry, ID);
  await assert.rejects(state.addGroup(group(3), {}), /appended/);
  await state.addGroup(group(0), {});
  assert.equal(state.record.groups.length, 1);
});

test('a change whose outcome the registry can not tell is looked up, and counts where it was made', async () => {
  const registry = await made();
  const state = await VolumeState.takeOver(registry.another(), ID);
  const { put } = MemoryRegistry.prototype;
  const inDoubt = (applied: boolean, detail: Record<string, unknown> = { inDoubt: true }) =>
    async function (this: MemoryRegistry, ...args: Parameters<typeof put>): Promise<number> {
      if (applied) await put.apply(this, args);
      throw new CodedError('REGISTRY_UNAVAILABLE', 'no answer', detail);
    };
  const doubtful = registry.another();
  const life = await VolumeState.takeOver(doubtful, ID);
  doubtful.put = inDoubt(true);
  await life.addRange(range(2));
  assert.deepEqual(life.record.truncationRanges, [range(2)]);
  // Whoever does not say that it is in no doubt is in doubt: SQLite says nothing of it.
  doubtful.put = inDoubt(true, {});
  await life.addRange(range(9));
  doubtful.put = inDoubt(false);
  await assert.rejects(life.addRange(range(3)), { code: 'REGISTRY_UNAVAILABLE' });
  doubtful.put = put;
  await life.addRange(range(4));
  assert.deepEqual(
    life.record.truncationRanges,
    [range(2), range(9), range(4)],
    'it goes on from what is there',
  );
  await assert.rejects(state.addRange(range(5)), { code: 'VOLUME_INTERRUPTED' });
});

test('a node that comes for two others, in two groups, is in new groups once', async () => {
  const registry = await made();
  const state = await VolumeState.takeOver(registry, ID);
  await state.addGroup(group(0), {});
  await state.addGroup(group(1), {});
  const replaced = (pg: number, leaves: string) => {
    const { membership } = must(state.record.groups[pg]);
    const slots = membership.slots.map((slot) =>
      slot.member.node === leaves ? { member: { ...slot.member, node: 'n6' as NodeId } } : slot,
    );
    return { epoch: (membership.epoch + 1) as Epoch, slots };
  };
  await state.changeMembership(0 as PgIndex, replaced(0, 'n0'));
  await state.changeMembership(1 as PgIndex, replaced(1, 'n3'));
  assert.deepEqual(
    state.record.nodes.map(({ node }) => node),
    ['n6', 'n1', 'n2', 'n3', 'n4', 'n5'],
  );
  assert.deepEqual(
    state.record.groups.map(({ retired }) => retired),
    [['n0'], ['n3']],
  );
});
