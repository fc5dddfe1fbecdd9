/** Rights are asked for before anybody is held, in the way in which they will be needed. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { demandRights } from './own-instance.ts';

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
