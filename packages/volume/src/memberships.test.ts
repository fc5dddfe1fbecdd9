import assert from 'node:assert/strict';
import { test } from 'node:test';
import { allMembers } from '@rokka/quorum';
import { membershipsByNode, placedGroups } from './memberships.ts';
import { NODES, nodeId, SixNodes } from './testing/six-nodes.ts';

test('a volume needs the nodes of its first group before it is opened, when it is, and not when it is deleted', async () => {
  await using six = await SixNodes.start();
  const needed = async () =>
    (await placedGroups(six.registry)).map(({ name, pg, membership }) => ({
      name,
      pg: Number(pg),
      nodes: allMembers(membership).map(({ node }) => node),
    }));
  const first = [{ name: 'test', pg: 0, nodes: NODES.map(nodeId) }];
  assert.deepEqual(await needed(), first);
  assert.equal((await membershipsByNode(six.registry)).size, 0, 'nobody holds anything yet');
  const writer = await six.writer();
  assert.deepEqual(await needed(), first);
  six.kill(writer);
  six.crash(4);
  await six.run(six.beginDeletion().done);
  assert.deepEqual(await needed(), [], 'a tombstone needs nobody');
});
