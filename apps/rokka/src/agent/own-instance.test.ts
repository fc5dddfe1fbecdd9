/** What an agent knows of its own instance: the rights that it has, and where volumes are mounted. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { demandRights, mountPointIn } from './own-instance.ts';

interface Sent {
  readonly DryRun?: boolean;
  readonly Resources?: string[];
  readonly TagSpecifications?: { Tags: { Key: string }[] }[];
}

async function tried(ofImage: { Key: string; Value: string }[] | undefined, lacks = '') {
  const calls: string[] = [];
  const send = async (command: { constructor: { name: string }; input: Sent }) => {
    const name = command.constructor.name.replace(/Command$/, '');
    const { DryRun, Resources = [], TagSpecifications = [] } = command.input;
    assert.equal(DryRun, true);
    calls.push(
      [name, ...Resources, ...TagSpecifications.flatMap(({ Tags }) => Tags.map(({ Key }) => Key))].join(' '),
    );
    throw Object.assign(new Error(`not ${name}`), {
      name: name === lacks ? 'UnauthorizedOperation' : 'DryRunOperation',
    });
  };
  const of = { instance: 'i-1', excludesBoot: false, ofImage, signal: new AbortController().signal };
  const refused = await demandRights({ send } as never, of).catch((error: Error) => error.message);
  return { calls, refused };
}

test('an image is tried with the tags that it will have', async () => {
  const { calls, refused } = await tried([{ Key: 'Team', Value: 'a' }]);
  assert.deepEqual(calls, [
    'RegisterImage Team AwsVssConfig',
    'CreateSnapshots',
    'CreateTags snap-00000000000000000 ami-00000000000000000',
  ]);
  assert.equal(refused, undefined);
  const without = await tried(undefined);
  assert.deepEqual(without.calls, ['CreateSnapshots', 'CreateTags snap-00000000000000000']);
  const lacking = await tried([], 'RegisterImage');
  assert.match(lacking.refused ?? '', /lacks a right: not RegisterImage/);
});

const fuse = (at: string, user: number) =>
  `vol-1 ${at} fuse rw,nosuid,nodev,relatime,user_id=${user},group_id=0,allow_other 0 0\n`;

test('a mount of another user is no volume, whatever he calls it', () => {
  const others = `vol-10 /v10 ext4 rw 0 0\n${fuse('/home/eve/v', 1001)}`;
  assert.equal(mountPointIn(others, 'vol-1', 0), undefined);
  assert.equal(mountPointIn(others + fuse('/run/v', 0), 'vol-1', 0), '/run/v');
  assert.equal(mountPointIn(fuse('/run/v', 0), 'vol-1', 1000), '/run/v');
  assert.equal(mountPointIn(fuse('/run/v', 1000), 'vol-1', 1000), '/run/v');
  assert.equal(mountPointIn(others, 'vol-10', 0), '/v10');
});
