/** The tags of a set and of its image, in their order: what says that it is consistent comes last, and on the image where the snapshots have it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Tag } from '@aws-sdk/client-ec2';
import { must } from '@rokka/kernel';
import type { ImageNamed } from '@rokka/services';
import type { Level, Outcome } from '@rokka/snapshots';
import { settle } from './vss-settling.ts';

const volumes = {
  boot: { volume: 'vol-b', device: '/dev/xvda' },
  data: [{ volume: 'vol-f', device: '/dev/sdf', mountPoint: '/mnt/f' }],
};
const SNAPSHOTS = [
  { volume: 'vol-b', snapshot: 'snap-b' },
  { volume: 'vol-f', snapshot: 'snap-f' },
];

interface Sent {
  readonly Resources?: string[];
  readonly Tags?: Tag[];
  readonly Name?: string;
  readonly Description?: string;
  readonly RootDeviceName?: string;
  readonly BlockDeviceMappings?: { DeviceName: string; Ebs: { SnapshotId: string } }[];
  readonly TagSpecifications?: { ResourceType: string; Tags: Tag[] }[];
}

async function run(of: {
  level: Level;
  imageName?: string;
  noWriters?: boolean;
  snapshots?: typeof SNAPSHOTS;
  registering?: Error;
  /** At each look. */
  named?: (ImageNamed | undefined)[];
}) {
  const { level, imageName, noWriters = false, snapshots = SNAPSHOTS, registering, named = [] } = of;
  const calls: [name: string, Sent][] = [];
  const said: string[] = [];
  const send = async (command: { constructor: { name: string }; input: Sent }) => {
    const name = command.constructor.name.replace(/Command$/, '');
    calls.push([name, command.input]);
    if (name === 'RegisterImage' && registering) throw registering;
    return name === 'RegisterImage' ? { ImageId: 'ami-1' } : {};
  };
  const outcome: Outcome = {
    set: { id: 'set-1', snapshots },
    level,
    reasons: level === 'application' ? [] : ['somebody writes'],
    writers: [],
  };
  let atMs = 0;
  const clock = { nowMs: () => atMs, sleep: async (ms: number) => void (atMs += ms) };
  const result = await settle(outcome, {
    client: { send } as never,
    volumes,
    request: { description: 'night', tags: [{ Key: 'Team', Value: 'a' }], noWriters, imageName },
    say: (line) => said.push(line),
    clock,
    imageNamed: async () => (named.length > 1 ? named.shift() : named[0]),
    signal: new AbortController().signal,
  });
  const shown = calls.map(([name, { Resources = [], Tags = [] }]) =>
    [name, ...Resources, ...Tags.map(({ Key }) => Key)].join(' '),
  );
  return { result, said, shown, registered: calls.find(([name]) => name === 'RegisterImage')?.[1] };
}

const TAGGED = ['CreateTags snap-b Device AwsVssConfig', 'CreateTags snap-f Device AwsVssConfig'];

test('the image has all snapshots at their devices, and the tag with them', async () => {
  const { result, said, shown, registered } = await run({ level: 'application', imageName: 'nightly' });
  assert.equal(result.succeeded, true);
  assert.deepEqual(shown, [...TAGGED, 'RegisterImage', 'CreateTags snap-b snap-f ami-1 AppConsistent']);
  const { TagSpecifications = [], ...image } = must(registered);
  assert.deepEqual(image, {
    Name: 'nightly',
    Description: 'night',
    RootDeviceName: '/dev/xvda',
    BlockDeviceMappings: [
      { DeviceName: '/dev/xvda', Ebs: { SnapshotId: 'snap-b' } },
      { DeviceName: '/dev/sdf', Ebs: { SnapshotId: 'snap-f' } },
    ],
  });
  assert.deepEqual(
    TagSpecifications.map(({ ResourceType, Tags }) => [ResourceType, ...Tags.map(({ Key }) => Key)]),
    [['image', 'Team', 'AwsVssConfig']],
  );
  assert.deepEqual(said, ['Image ami-1, nightly, has these snapshots.\n']);
});

test('of a lower level neither has the tag, and the image is there all the same', async () => {
  const { result, shown } = await run({ level: 'crash', imageName: 'nightly' });
  assert.deepEqual(shown, [...TAGGED, 'RegisterImage']);
  assert.deepEqual(
    [result.succeeded, result.stderr],
    [false, 'the snapshots are of level crash, not application\nsomebody writes'],
  );
  const asked = await run({ level: 'filesystem', imageName: 'nightly', noWriters: true });
  assert.deepEqual([asked.result.succeeded, asked.shown], [true, [...TAGGED, 'RegisterImage']]);
});

test('where no image can be made the snapshots stay what they are, and it is told', async () => {
  const taken = Object.assign(new Error('it is taken'), { name: 'InvalidAMIName.Duplicate', $metadata: {} });
  const { result, shown, said } = await run({
    level: 'application',
    imageName: 'nightly',
    registering: taken,
  });
  assert.deepEqual(shown, [...TAGGED, 'RegisterImage', 'CreateTags snap-b snap-f AppConsistent']);
  assert.deepEqual([result.succeeded, said], [false, []]);
  assert.match(result.stderr, /^no image was made: .*it is taken$/);
  const lost = await run({
    level: 'crash',
    imageName: 'nightly',
    snapshots: [...SNAPSHOTS, { volume: 'vol-g', snapshot: 'snap-g' }],
  });
  assert.match(lost.result.stderr, /not application\nsomebody writes\nno image was made: .*vol-g belongs/);
  assert.equal(lost.registered, undefined);
});

test('an image whose answer was lost is the one that was asked for, as soon as it is shown', async () => {
  const taken = Object.assign(new Error('it is taken'), { name: 'InvalidAMIName.Duplicate', $metadata: {} });
  const asked = { level: 'application', imageName: 'nightly' } as const;
  const { registered } = await run(asked);
  const device = ({ DeviceName, Ebs }: { DeviceName: string; Ebs: { SnapshotId: string } }) =>
    ({ device: DeviceName, snapshot: Ebs.SnapshotId }) as ImageNamed['devices'][number];
  const own: ImageNamed = {
    id: 'ami-7',
    devices: must(registered?.BlockDeviceMappings).map(device),
    tags: must(registered?.TagSpecifications)[0].Tags.map(({ Key = '', Value = '' }) => ({ Key, Value })),
    counts: true,
  };
  const late: ImageNamed = { ...own, counts: false };
  for (const named of [[own], [late, late, own]]) {
    const { result, shown, said } = await run({ ...asked, registering: taken, named });
    assert.equal(result.succeeded, true, result.stderr);
    assert.deepEqual(shown, [...TAGGED, 'RegisterImage', 'CreateTags snap-b snap-f ami-7 AppConsistent']);
    assert.deepEqual(said, ['Image ami-7, nightly, has these snapshots.\n']);
  }
  const strangers: (ImageNamed | undefined)[] = [
    undefined,
    late,
    { ...own, tags: [] },
    { ...own, devices: own.devices.slice(1) },
    { ...own, devices: own.devices.map((each) => ({ ...each, device: '/dev/sdz' })) },
    { ...own, devices: [...own.devices, { ...own.devices[0], device: '/dev/sdz' }] },
  ];
  for (const named of strangers) {
    const { result, shown } = await run({ ...asked, registering: taken, named: [named] });
    assert.match(result.stderr, /^no image was made: .*it is taken$/);
    assert.equal(shown.at(-1), 'CreateTags snap-b snap-f AppConsistent');
  }
});

test('without CreateAmi there is none', async () => {
  const { result, shown } = await run({ level: 'application' });
  assert.deepEqual([result.succeeded, shown], [true, [...TAGGED, 'CreateTags snap-b snap-f AppConsistent']]);
});
