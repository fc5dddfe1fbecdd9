/** The decisions by themselves, and the tables of states: what the tests of whole operations do not come by. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { DatabaseRecord, DatabaseState, SnapshotRecord as KeptRecord } from '@rokka/databases';
import { asLsn, must, type VolumeId } from '@rokka/kernel';
import { GIB, type ImageRecord, type SnapshotRecord, type VolumeRecord } from './ec2-records.ts';
import { decideImage, decideSnapshot, decideVolume } from './keeping.ts';
import type { SnapshotFacts } from './snapshot-facts.ts';
import { attachmentState, imageState, snapshotState, volumeState } from './status.ts';
import type { VolumeFacts } from './volume-facts.ts';

const ID = 'vol-00000000000000001';
const VOLUME: VolumeRecord = {
  id: ID,
  createdAtMs: 1,
  zone: 'eu-north-1a',
  sizeGiB: 1,
  type: 'gp3',
  tags: [],
  ready: true,
};
const DATABASE: DatabaseRecord = {
  name: ID,
  engine: 'files',
  volumeId: ID as VolumeId,
  createdAtMs: 1,
  port: 0,
  desired: 'stopped',
  generation: 0,
  settings: {},
  databaseName: '',
  userName: '',
  passwordVersion: 0,
  retentionDays: 1,
  files: { sizeBytes: GIB },
};
const STOPPED: DatabaseState = { phase: 'stopped', generation: 0, atMs: 2 };
const ATTACHED = {
  id: 'attach-1',
  instance: 'i-1',
  device: '/dev/sdf',
  mount: 'sdf',
  sinceMs: 1,
};
const MOUNTED: Partial<VolumeFacts> = {
  volume: { ...VOLUME, attachment: ATTACHED },
  database: { ...DATABASE, desired: 'running', files: { sizeBytes: GIB, mount: 'sdf' } },
  state: { phase: 'available', generation: 0, atMs: 2, sizeBytes: GIB, mountPoint: '/files/sdf' },
  deviceHolder: 'attach-1',
};
const DETACHING = { ...VOLUME, attachment: { ...ATTACHED, detaching: { sinceMs: 2 } } };

const facts = (part: Partial<VolumeFacts> = {}): VolumeFacts => ({
  volume: VOLUME,
  database: DATABASE,
  state: STOPPED,
  snapshots: [],
  deviceHolder: undefined,
  tokenHolder: undefined,
  ...part,
});

test('for what is as it shall be there is nothing to do', () => {
  assert.deepEqual(decideVolume(facts()), { step: 'none' });
  assert.deepEqual(decideVolume(facts(MOUNTED)), { step: 'none' });
});

test('a directory that nobody asks for any more is not mounted, before anything runs', () => {
  const database = { ...DATABASE, desired: 'running', files: { sizeBytes: GIB, mount: 'sdf' } } as const;
  assert.deepEqual(decideVolume(facts({ database })), {
    step: 'change-database',
    change: { files: { sizeBytes: GIB } },
    restart: true,
  });
});

test('a size is never taken for a reason to start again, and keeps the directory', () => {
  const { database } = facts(MOUNTED);
  const volume = { ...VOLUME, attachment: ATTACHED, sizeGiB: 2 };
  assert.deepEqual(decideVolume(facts({ ...MOUNTED, volume, database })), {
    step: 'change-database',
    change: { files: { sizeBytes: 2 * GIB, mount: 'sdf' } },
    restart: false,
  });
});

test('a detached one goes from its directory before its claim does', () => {
  const running = facts({ ...MOUNTED, volume: DETACHING });
  assert.deepEqual(decideVolume(running), { step: 'set-desired', desired: 'stopped' });
  const database = { ...DATABASE, files: { sizeBytes: GIB, mount: 'sdf' } };
  const stopping = facts({ ...MOUNTED, volume: DETACHING, database });
  assert.deepEqual(decideVolume(stopping), { step: 'none' });
  const stopped = facts({ ...MOUNTED, volume: DETACHING, database, state: STOPPED });
  assert.deepEqual(decideVolume(stopped), {
    step: 'change-database',
    change: { files: { sizeBytes: GIB } },
    restart: true,
  });
  const bare = facts({ ...MOUNTED, volume: DETACHING, database: DATABASE, state: STOPPED });
  assert.deepEqual(decideVolume(bare), { step: 'end-attachment' });
  // That it stood still is from before it was told to run, and then to stop.
  const told = { ...DATABASE, generation: 1 };
  const before = facts({ ...MOUNTED, volume: DETACHING, database: told, state: STOPPED });
  assert.deepEqual(decideVolume(before), { step: 'none' });
});

test('an attachment is to a directory of its machine', () => {
  const volume = { ...VOLUME, attachment: { ...ATTACHED, machine: 'm-7' } };
  const placed = { sizeBytes: GIB, mount: 'sdf', machine: 'm-7' };
  assert.deepEqual(decideVolume(facts({ ...MOUNTED, volume })), {
    step: 'change-database',
    change: { files: placed },
    restart: true,
  });
  const there = facts({ ...MOUNTED, volume, database: { ...DATABASE, desired: 'running', files: placed } });
  assert.deepEqual([decideVolume(there).step, attachmentState(there)], ['none', 'attached']);
  assert.equal(attachmentState(facts({ ...MOUNTED, volume })), 'attaching');
});

test('by force it is opened elsewhere first, and only then let go', () => {
  const attachment = { ...ATTACHED, machine: 'm-7', detaching: { sinceMs: 2, force: true } } as const;
  const volume: VolumeRecord = { ...VOLUME, attachment };
  const placed = { sizeBytes: GIB, mount: 'sdf', machine: 'm-7' };
  const taken = { ...DATABASE, generation: 1, files: { sizeBytes: GIB } };
  const of = (part: Partial<VolumeFacts>) => decideVolume(facts({ ...MOUNTED, volume, ...part }));
  // Its machine does not answer, and it was to be detached in good order before.
  assert.deepEqual(of({ database: { ...DATABASE, files: placed } }), {
    step: 'change-database',
    change: { files: { sizeBytes: GIB } },
    restart: true,
  });
  assert.deepEqual(of({ database: taken }), { step: 'set-desired', desired: 'running' });
  // What was open there does not count: it is of an older generation.
  const opening = { ...taken, desired: 'running' } as const;
  assert.deepEqual(of({ database: opening }), { step: 'none' });
  const opened = { phase: 'available', generation: 1, atMs: 3, sizeBytes: GIB } as const;
  assert.deepEqual(of({ database: opening, state: opened }), { step: 'tell-fenced' });
  const fenced = {
    ...volume,
    attachment: { ...attachment, detaching: { ...attachment.detaching, fenced: true } },
  };
  const then = (part: Partial<VolumeFacts>) =>
    decideVolume(facts({ ...MOUNTED, volume: fenced as VolumeRecord, ...part }));
  assert.deepEqual(then({ database: opening, state: opened }), { step: 'set-desired', desired: 'stopped' });
  assert.deepEqual(then({ database: taken, state: { ...STOPPED, generation: 1 } }), {
    step: 'end-attachment',
  });
});

test('nothing is done for a volume in doubt, but to end the doubt', () => {
  const volume: VolumeRecord = { ...VOLUME, unconfirmed: true, wish: {} };
  const step = (tokenHolder: string | undefined) =>
    decideVolume(facts({ volume, database: undefined, tokenHolder })).step;
  assert.deepEqual([step(undefined), step(ID), step('vol-2')], ['claim-token', 'confirm', 'withdraw']);
});

test('a modification is over when the files may take more, or are not in use', () => {
  const modification = { original: VOLUME, target: VOLUME, startedAtMs: 1 };
  const step = (part: Partial<VolumeFacts>) => {
    const volume = { ...(part.volume ?? VOLUME), modification };
    return decideVolume(facts({ ...part, volume })).step;
  };
  assert.equal(step({}), 'end-modification');
  assert.equal(step(MOUNTED), 'end-modification');
  const state = { ...STOPPED, phase: 'available', sizeBytes: GIB / 2, mountPoint: '/files/sdf' } as const;
  assert.equal(step({ ...MOUNTED, state }), 'none');
  assert.equal(step({ ...MOUNTED, state: { ...STOPPED, phase: 'starting' } }), 'none');
});

test('a table of states', () => {
  const state = (part: Partial<DatabaseState>) => ({ state: { ...STOPPED, ...part } });
  const { ready: _, ...fresh } = VOLUME;
  const rows: [string, Partial<VolumeFacts>, volume: string, attachment?: string][] = [
    ['it stands still', {}, 'available'],
    [
      'nothing was done yet',
      { volume: { ...fresh, wish: {} }, database: undefined, state: undefined },
      'creating',
    ],
    ['it is opened for the first time', { volume: fresh, ...state({ phase: 'creating' }) }, 'creating'],
    ['it cannot be opened', { volume: fresh, ...state({ phase: 'failed' }) }, 'error'],
    ['it was opened before', state({ phase: 'failed' }), 'available'],
    ['it is mounted', MOUNTED, 'in-use', 'attached'],
    ['it is opened elsewhere', { ...MOUNTED, ...state({ phase: 'starting' }) }, 'in-use', 'attaching'],
    [
      'it was opened before the directory was asked for',
      { ...MOUNTED, database: { ...must(MOUNTED.database), generation: 1 } },
      'in-use',
      'attaching',
    ],
    [
      'its directory is that of the attachment before',
      { ...MOUNTED, volume: { ...VOLUME, attachment: { ...ATTACHED, mount: 'sdg' } } },
      'in-use',
      'attaching',
    ],
    ['it is detached', { ...MOUNTED, volume: DETACHING }, 'in-use', 'detaching'],
    [
      'somebody holds on to it',
      { ...MOUNTED, volume: DETACHING, ...state({ phase: 'stopping', reason: 'in use' }) },
      'in-use',
      'busy',
    ],
    ['it goes', { volume: { ...VOLUME, deleting: { sinceMs: 1 } } }, 'deleting'],
    ['somebody deletes its database', { database: { ...DATABASE, desired: 'deleted' } }, 'deleting'],
    ['somebody has deleted its database', { database: undefined }, 'deleting'],
  ];
  for (const [name, part, volume, attachment] of rows) {
    const now = facts(part);
    assert.deepEqual([volumeState(now), attachmentState(now)], [volume, attachment], name);
  }
});

test('snapshots: what is done for them, and what they are', () => {
  const record: SnapshotRecord = {
    id: 'snap-1',
    createdAtMs: 1,
    kept: 'snap-0',
    volume: { id: ID, sizeGiB: 1 },
    description: '',
    tags: [],
  };
  const kept: KeptRecord = {
    name: 'snap-0',
    database: ID,
    volumeId: ID as VolumeId,
    engine: 'files',
    databaseName: '',
    userName: '',
    requestedAtMs: 1,
    phase: 'creating',
  };
  const made: KeptRecord = { ...kept, phase: 'available', lsn: asLsn(7), takenAtMs: 3 };
  const set = { id: 'set-1', size: 2, isFinished: false };
  const image: ImageRecord = {
    id: 'ami-1',
    createdAtMs: 1,
    name: 'one',
    description: '',
    rootDevice: '/dev/xvda',
    devices: [],
    tags: [],
  };
  const doubted: ImageRecord = { ...image, unconfirmed: true };
  const rows: [string, SnapshotFacts, step: string, state: string][] = [
    ['of an image', { record, kept: undefined, set: { ...set, image } }, 'keep', 'pending'],
    [
      'of one without a name',
      { record, kept: undefined, set: { ...set, image: doubted } },
      'none',
      'pending',
    ],
    ['decided', { record, kept: undefined }, 'keep', 'pending'],
    ['asked for', { record, kept }, 'none', 'pending'],
    ['a copy in doubt', { record, kept: { ...made, unconfirmed: true } }, 'keep', 'pending'],
    ['made', { record, kept: made }, 'complete', 'completed'],
    ['known to be made', { record: { ...record, completedAtMs: 3 }, kept: made }, 'none', 'completed'],
    ['removed by somebody', { record: { ...record, completedAtMs: 3 }, kept: undefined }, 'none', 'error'],
    ['failed', { record, kept: { ...kept, phase: 'failed', reason: 'x' } }, 'fail', 'error'],
    ['known to have failed', { record: { ...record, failure: 'x' }, kept }, 'drop', 'error'],
    ['of a set that has failed', { record, kept, set: { ...set, failure: 'x' } }, 'drop', 'error'],
    ['deleted of a set', { record: { ...record, deleted: true }, kept, set }, 'none', 'pending'],
    [
      'deleted of a finished set',
      { record: { ...record, deleted: true }, kept: made, set: { ...set, isFinished: true } },
      'forget',
      'completed',
    ],
  ];
  for (const [name, snapshot, step, state] of rows)
    assert.deepEqual([decideSnapshot(snapshot), snapshotState(snapshot)], [step, state], name);
});

test('images: what is done for them, and what they are', () => {
  const record = { id: 'ami-1' } as ImageRecord;
  const doubted: ImageRecord = { ...record, unconfirmed: true };
  const steps: [ImageRecord, holder: string | undefined, step: string][] = [
    [doubted, undefined, 'claim-name'],
    [doubted, 'ami-1', 'confirm'],
    [doubted, 'ami-2', 'withdraw'],
    [record, 'ami-1', 'none'],
    [record, undefined, 'none'],
  ];
  for (const [one, nameHolder, step] of steps) assert.equal(decideImage({ record: one, nameHolder }), step);
  const of = (phase: string) => ({ record: {}, kept: { phase } }) as unknown as SnapshotFacts;
  const states: [(SnapshotFacts | undefined)[], state: string][] = [
    [[of('available'), of('available')], 'available'],
    [[of('available'), of('creating')], 'pending'],
    [[of('failed'), of('creating')], 'failed'],
    [[of('available'), undefined], 'failed'],
  ];
  for (const [snapshots, state] of states) assert.equal(imageState({ snapshots }), state);
});
