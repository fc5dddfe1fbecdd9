/** Which snapshots belong together, and what is refused before anything is done. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Snapshot } from '@aws-sdk/client-ec2';
import type { JsonObject } from '@rokka/services';
import { APP_CONSISTENT, tagsOf } from '../vss-report.ts';
import { freeDevices, type NamedSnapshots, planOf, restoreRequestOf } from './restore-plan.ts';

interface Told {
  id: string;
  set?: string;
  size?: number | null;
  device?: string | null;
  state?: Snapshot['State'];
  consistent?: boolean;
  config?: string;
}

function snapshot(of: Told): Snapshot {
  const { id, set = 'set-1', size = 2, device = `/dev/sd${id}`, state = 'completed' } = of;
  const config = of.config ?? JSON.stringify({ level: 'filesystem', set, ...(size !== null && { size }) });
  return {
    SnapshotId: `snap-${id}`,
    VolumeId: `vol-${id}`,
    State: state,
    Tags: [
      ...(device === null ? [] : [{ Key: 'Device', Value: device }]),
      ...(of.consistent ? [{ Key: 'AppConsistent', Value: 'True' }] : []),
      { Key: 'AwsVssConfig', Value: config },
    ],
  };
}

const bySet: NamedSnapshots = { set: 'set-1' };
const byIds: NamedSnapshots = { snapshots: ['snap-f', 'snap-g'] };

test('a set is all snapshots that name it, in the order of their devices', () => {
  const parts = ['f', 'g'].map((id) => ({
    snapshot: `snap-${id}`,
    shows: `vol-${id}`,
    device: `/dev/sd${id}`,
  }));
  const plan = { set: 'set-1', level: 'filesystem', isConsistent: false, parts };
  const found = [snapshot({ id: 'g' }), snapshot({ id: 'f' })];
  assert.deepEqual(planOf(found, byIds), plan);
  const others = [snapshot({ id: 'h', set: 'set-10' }), snapshot({ id: 'i', config: '{"set' })];
  assert.deepEqual(planOf([...found, ...others], bySet), plan);
});

test('it is consistent for applications where each snapshot says so', () => {
  const plan = (second: boolean) =>
    planOf([snapshot({ id: 'f', consistent: true }), snapshot({ id: 'g', consistent: second })], bySet);
  assert.equal(plan(true).isConsistent, true);
  assert.equal(plan(false).isConsistent, false);
});

test('what snapshots are made with is what they are restored by', () => {
  const snapshots = ['f', 'g'].map((id) => ({ volume: `vol-${id}`, snapshot: `snap-${id}` }));
  const outcome = {
    set: { id: 'set-1', snapshots },
    level: 'application' as const,
    reasons: [],
    writers: [],
  };
  const found = snapshots.map(({ volume, snapshot: id }, at) => ({
    SnapshotId: id,
    VolumeId: volume,
    State: 'completed' as const,
    Tags: [...tagsOf(outcome, `/dev/sd${'fg'[at]}`), APP_CONSISTENT],
  }));
  const { level, isConsistent, parts } = planOf(found, bySet);
  assert.deepEqual(
    { level, isConsistent, of: parts.length },
    { level: 'application', isConsistent: true, of: 2 },
  );
});

test('half a set, a strange one and one that is not there yet are refused', () => {
  const table: [why: RegExp, found: Told[], asked?: NamedSnapshots][] = [
    [/no snapshot has set set-1/, [{ id: 'f', set: 'set-2' }]],
    [/had 2 snapshots, and 1 are here/, [{ id: 'f' }]],
    [/had 2 snapshots, and 3 are here/, [{ id: 'f' }, { id: 'g' }, { id: 'h' }]],
    [/snap-f is of set set-1, snap-g of set-2/, [{ id: 'f' }, { id: 'g', set: 'set-2' }], byIds],
    [/snap-g does not say of which set/, [{ id: 'f' }, { id: 'g', config: 'null' }], byIds],
    [/snap-f does not say of which set/, [{ id: 'f', config: '{"set' }, { id: 'g' }], byIds],
    [/how many snapshots it had/, [{ id: 'f', size: null }]],
    [/snap-g is pending/, [{ id: 'f' }, { id: 'g', state: 'pending' }]],
    [/snap-g is error/, [{ id: 'f' }, { id: 'g', state: 'error' }]],
    [/snap-f has no tag Device/, [{ id: 'f', device: null }, { id: 'g' }]],
    [/belong to \/dev\/sdf/, [{ id: 'f' }, { id: 'g', device: '/dev/sdf' }]],
  ];
  for (const [why, found, asked = bySet] of table)
    assert.throws(() => planOf(found.map(snapshot), asked), {
      code: 'ROKKA_RESTORE_REFUSED',
      message: why,
    });
});

test('a request names a set, its snapshots or an image, and how', () => {
  assert.deepEqual(restoreRequestOf({ SnapshotSetId: '', SnapshotIds: ['a', 'a', ''], Mode: 'Replace' }), {
    mode: 'Replace',
    verifies: true,
    asked: { snapshots: ['a'] },
  });
  const replacing = { Mode: 'Replace', SnapshotSetId: 'set-1' };
  assert.equal(restoreRequestOf({ ...replacing, Verify: 'False' }).verifies, false);
  assert.equal(restoreRequestOf({ ...replacing, Verify: 'True' }).verifies, true);
  const asked = (inputs: JsonObject) => restoreRequestOf({ Mode: 'Test', ...inputs }).asked;
  assert.deepEqual(asked({ SnapshotSetId: 'set-1', MaxAgeHours: '' }), { set: 'set-1' });
  assert.deepEqual(asked({ SnapshotSetId: 'latest' }), { newest: true, hoursMax: undefined });
  assert.deepEqual(asked({ SnapshotSetId: 'latest', MaxAgeHours: '26' }), { newest: true, hoursMax: 26 });
  assert.deepEqual(asked({ ImageId: 'ami-1', SnapshotSetId: '' }), { image: 'ami-1' });
  const wrong: JsonObject[] = [
    { Mode: 'Test', ImageId: 'ami-1', SnapshotSetId: 'set-1' },
    { Mode: 'Test', ImageId: 'ami-1', SnapshotIds: ['snap-1'] },
    { Mode: 'Test', ImageId: 'ami-1', SnapshotSetId: 'latest' },
    { Mode: 'Test', ImageId: 'ami-1', MaxAgeHours: '26' },
    { Mode: 'Test' },
    { Mode: 'Test', SnapshotSetId: 'set-1', SnapshotIds: ['snap-1'] },
    { Mode: 'Test', SnapshotSetId: '*' },
    { Mode: 'Other', SnapshotSetId: 'set-1' },
    { SnapshotSetId: 'set-1' },
    { Mode: 'Replace', SnapshotSetId: 'latest' },
    { Mode: 'Test', SnapshotSetId: 'set-1', Verify: 'False' },
    { Mode: 'Test', SnapshotSetId: 'set-1', MaxAgeHours: '26' },
    { Mode: 'Test', SnapshotIds: ['snap-1'], MaxAgeHours: '26' },
    { Mode: 'Test', SnapshotSetId: 'latest', SnapshotIds: ['snap-1'] },
    { Mode: 'Test', SnapshotSetId: 'latest', MaxAgeHours: '0' },
    { Mode: 'Test', SnapshotSetId: 'latest', MaxAgeHours: '1.5' },
  ];
  for (const inputs of wrong)
    assert.throws(() => restoreRequestOf(inputs), { code: 'ROKKA_RESTORE_REFUSED' }, JSON.stringify(inputs));
});

test('free devices are those that nobody has', () => {
  assert.deepEqual(freeDevices(['/dev/sdf', '/dev/sdh']).slice(0, 2), ['/dev/sdg', '/dev/sdi']);
});
