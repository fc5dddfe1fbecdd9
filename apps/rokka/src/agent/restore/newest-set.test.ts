/** Which set is the newest of an instance that is consistent for applications: a table. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Snapshot } from '@aws-sdk/client-ec2';
import { newestLine, newestSet } from './newest-set.ts';

const NOW = Date.parse('2026-03-31T04:00:00Z');
const HOUR_MS = 3_600_000;
const OWN = ['vol-f', 'vol-g'];

interface Told {
  set: string | null;
  hours: number;
  volume?: string;
  state?: Snapshot['State'];
  consistent?: boolean;
}

const snapshot = ({
  set,
  hours,
  volume = 'vol-f',
  state = 'completed',
  consistent = true,
}: Told): Snapshot => ({
  VolumeId: volume,
  State: state,
  StartTime: new Date(NOW - hours * HOUR_MS),
  Tags: [
    ...(consistent ? [{ Key: 'AppConsistent', Value: 'True' }] : []),
    { Key: 'AwsVssConfig', Value: set === null ? 'null' : JSON.stringify({ set }) },
  ],
});

const newest = (found: Told[], hoursMax?: number) =>
  newestSet(found.map(snapshot), { volumes: OWN, nowMs: NOW, asked: { newest: true, hoursMax } });

const OLD: Told = { set: 'old', hours: 25 };

const ROWS: [what: string, found: Told[], set: string][] = [
  ['the only one', [OLD], 'old'],
  ['the newer one', [OLD, { set: 'new', hours: 1 }, { set: 'older', hours: 49 }], 'new'],
  ['not one of other volumes', [OLD, { set: 'new', hours: 1, volume: 'vol-x' }], 'old'],
  [
    'one that shows another volume beside',
    [OLD, { set: 'new', hours: 1 }, { set: 'new', hours: 1, volume: 'vol-x' }],
    'new',
  ],
  ['not one that is not consistent', [OLD, { set: 'new', hours: 1, consistent: false }], 'old'],
  [
    'nor is one where a part of it is not',
    [OLD, { set: 'new', hours: 1 }, { set: 'new', hours: 1, volume: 'vol-g', consistent: false }],
    'old',
  ],
  [
    'not one that is not copied yet',
    [OLD, { set: 'new', hours: 1 }, { set: 'new', hours: 1, volume: 'vol-g', state: 'pending' }],
    'old',
  ],
  ['one that will never be: that is to be seen', [OLD, { set: 'new', hours: 1, state: 'error' }], 'new'],
  ['none of what says of no set', [OLD, { set: null, hours: 1 }], 'old'],
  [
    'as old as its oldest part',
    [{ set: 'mixed', hours: 1 }, { set: 'mixed', hours: 48, volume: 'vol-g' }, OLD],
    'old',
  ],
];

test('the newest set', () => {
  for (const [what, found, set] of ROWS) assert.equal(newest(found).set, set, what);
  assert.equal(
    newestLine(newest([OLD])),
    'The newest set of this instance that is consistent for applications is of 2026-03-30T03:00:00Z.',
  );
});

test('where there is none, or it is too old, that is said', () => {
  const code = 'ROKKA_RESTORE_REFUSED';
  for (const found of [[], [{ ...OLD, consistent: false }], [{ ...OLD, volume: 'vol-x' }]])
    assert.throws(() => newest(found), { code, message: /AWSEC2-CreateVssSnapshot/ });
  assert.equal(newest([OLD], 25).set, 'old');
  assert.throws(() => newest([{ ...OLD, hours: 25.2 }], 25), {
    code,
    message: /old, is of 2026-03-30T02:48:00Z, 25\.2 hours ago, and MaxAgeHours is 25/,
  });
});
