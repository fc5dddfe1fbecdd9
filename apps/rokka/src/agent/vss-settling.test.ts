/** The tags of a set and of its image, in their order: what says that it is consistent comes last, and on the image where the snapshots have it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Tag } from '@aws-sdk/client-ec2';
import { must } from '@rokka/kernel';
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
}) {
  const { level, imageName, noWriters = false, snapshots = SNAPSHOTS, registering } = of;
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
  const result = await settle(outcome, {
    client: { send } as never,
    volumes,
    request: { description: 'night', tags: [{ Key: 'Team', Value: 'a' }], noWriters, imageName },
    say: (line) => said.push(line),
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

test('without CreateAmi there is none', async () => {
  const { result, shown } = await run({ level: 'application' });
  assert.deepEqual([result.succeeded, shown], [true, [...TAGGED, 'CreateTags snap-b snap-f AppConsistent']]);
});
