/** Which snapshots are a run's, among all that have its mark. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { SnapshotFacts } from '../ec2/snapshot-facts.ts';
import type { VolumeFacts } from '../ec2/volume-facts.ts';
import type { Run } from './dlm-records.ts';
import { descriptionOf, type Lane, leftBy, madeBy, MARK, markOf, serviceTags } from './run-snapshots.ts';

const SCHEDULE = {
  name: 'night',
  due: { kind: 'interval' },
  retain: { Count: 1 },
  tagsToAdd: [],
  copiesTags: false,
} as unknown as Lane['schedule'];
const LANE: Lane = {
  policy: { id: 'policy-1', details: { resourceType: 'INSTANCE' } } as Lane['policy'],
  schedule: SCHEDULE,
  target: 'i-1',
};
const RUN: Run = {
  dueMs: 1000,
  takenAtMs: 1000,
  commandId: 'c',
  madeId: 'set-made',
  mark: 'mark',
  phase: 'script',
  attempt: 1,
};
const VOLUMES = [
  ['vol-1', 'i-1'],
  ['vol-2', undefined],
  ['vol-3', 'i-2'],
].map(([id, instance]) => ({ volume: { id, ...(instance && { attachment: { instance } }) } }) as VolumeFacts);

interface Part {
  volume?: string;
  set?: string | undefined;
  record?: Partial<SnapshotFacts['record']>;
}

const marked = (attempt = RUN.attempt) => [{ Key: MARK, Value: markOf({ ...RUN, attempt }) }];

function snapshot({ volume = 'vol-1', record = {}, ...rest }: Part): SnapshotFacts {
  const { set } = { set: 'set-1', ...rest };
  return {
    record: {
      id: `snap-${volume}`,
      createdAtMs: 2000,
      kept: 'kept',
      volume: { id: volume, sizeGiB: 1 },
      description: descriptionOf(LANE),
      tags: marked(),
      ...record,
    },
    kept: undefined,
    ...(set !== undefined && { set: { id: set, size: 1, isFinished: true } }),
  };
}

const idsOf = (facts: readonly SnapshotFacts[]) => facts.map(({ record }) => record.id);

test('a set that a command of the run has made, also where one of its volumes is detached', () => {
  const found = { volumes: VOLUMES, snapshots: [snapshot({}), snapshot({ volume: 'vol-2' })] };
  assert.deepEqual(idsOf(madeBy(LANE, RUN, found)), ['snap-vol-1', 'snap-vol-2']);
  assert.deepEqual(idsOf(leftBy(LANE, RUN, found)), ['snap-vol-1', 'snap-vol-2']);
  const next = { ...RUN, attempt: 2 };
  assert.deepEqual(idsOf(madeBy(LANE, next, found)), []);
  assert.deepEqual(idsOf(leftBy(LANE, next, found)), ['snap-vol-1', 'snap-vol-2']);
});

test('the mark alone makes none a run’s', () => {
  const strangers: [why: string, part: Part][] = [
    ['of another instance', { volume: 'vol-3' }],
    ['of a volume that is nowhere', { volume: 'vol-2' }],
    ['in no set', { set: undefined }],
    ['with another description', { record: { description: 'my own' } }],
    ['from before', { record: { createdAtMs: 999 } }],
    [
      'the policy’s already',
      { record: { tags: [...serviceTags(LANE, { ...RUN, mark: 'x' }), ...marked()] } },
    ],
  ];
  for (const [why, part] of strangers) {
    const found = { volumes: VOLUMES, snapshots: [snapshot(part)] };
    assert.deepEqual(madeBy(LANE, RUN, found), [], why);
    assert.deepEqual(leftBy(LANE, RUN, found), [], why);
  }
});

test('what the run has tagged is its own, and not left over, whoever marks it again', () => {
  const tags = [...serviceTags(LANE, RUN), ...marked()];
  const found = { volumes: VOLUMES, snapshots: [snapshot({ record: { tags } })] };
  assert.deepEqual(idsOf(madeBy(LANE, RUN, found)), ['snap-vol-1']);
  assert.deepEqual(leftBy(LANE, RUN, found), []);
});
