/** What an image says of itself, and what its snapshots say of whether they belong together. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Image, Snapshot } from '@aws-sdk/client-ec2';
import { planOfImage } from './restored-image.ts';

function snapshot(letter: string, of: { set?: string; size?: number; consistent?: boolean } = {}): Snapshot {
  const { set, size = 2, consistent = true } = of;
  const config = JSON.stringify({ set, size, level: 'application' });
  return {
    SnapshotId: `snap-${letter}`,
    VolumeId: `vol-${letter}`,
    State: 'completed',
    Tags: [
      ...(set === undefined ? [] : [{ Key: 'AwsVssConfig', Value: config }]),
      ...(consistent ? [{ Key: 'AppConsistent', Value: 'True' }] : []),
      { Key: 'Device', Value: `/dev/sd${letter}` },
    ],
  };
}

/** Each at another device than its snapshot's tag says. */
const image = (State: Image['State'] = 'available'): Image => ({
  ImageId: 'ami-1',
  State,
  BlockDeviceMappings: [
    { DeviceName: '/dev/sdp', Ebs: { SnapshotId: 'snap-f' } },
    { DeviceName: '/dev/sdo', Ebs: { SnapshotId: 'snap-g' } },
  ],
});
const PARTS = [
  { snapshot: 'snap-g', shows: 'vol-g', device: '/dev/sdo' },
  { snapshot: 'snap-f', shows: 'vol-f', device: '/dev/sdp' },
];

test('each snapshot goes where the image says, and is worth what its set is', () => {
  const set = 'set-1';
  const plan = planOfImage(image(), [snapshot('g', { set }), snapshot('f', { set })]);
  assert.deepEqual(plan, { set, level: 'application', isConsistent: true, parts: PARTS });
  const one = planOfImage(image(), [snapshot('g', { set }), snapshot('f', { set, consistent: false })]);
  assert.deepEqual([one.level, one.isConsistent], ['application', false]);
});

test('what is of no set, of several, or of a part of one is worth what a machine is that lost power', () => {
  const rows = [
    [snapshot('f'), snapshot('g')],
    [snapshot('f', { set: 'set-1' }), snapshot('g')],
    [snapshot('f', { set: 'set-1' }), snapshot('g', { set: 'set-2' })],
    [snapshot('f', { set: 'set-1', size: 1 }), snapshot('g', { set: 'set-2', size: 1 })],
    [snapshot('f', { set: 'set-1', size: 3 }), snapshot('g', { set: 'set-1', size: 3 })],
  ];
  for (const found of rows)
    assert.deepEqual(planOfImage(image(), found), {
      set: 'ami-1',
      level: 'crash',
      isConsistent: false,
      parts: PARTS,
    });
});

test('one that is not available is refused', () => {
  const found = [snapshot('f'), snapshot('g')];
  assert.throws(() => planOfImage(image('pending'), found), {
    code: 'ROKKA_RESTORE_REFUSED',
    message: /image ami-1 is pending: wait until it is available/,
  });
  const failed = { ...image('failed'), StateReason: { Message: 'snap-f has failed' } };
  assert.throws(() => planOfImage(failed, found), { message: /image ami-1 is failed: snap-f has failed/ });
});
