import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { isCoded, type NodeId } from '@rokka/kernel';
import { CLUSTER, DATABASES, NODES, VOLUMES, type VolumeDocument } from './cluster-state.ts';
import { listDocuments, putDocument, readDocument, removeDocument, type DocumentKind } from './document.ts';
import { MemoryRegistry } from './memory-registry.ts';

const createdAt = '2026-01-31T12:00:00.000Z';
const cluster = { format: 1, clusterId: 'c-1', createdAt };
const node = { nodeId: 'n-1', zone: 'a', address: 'nodes/n-1/node.sock', ordinal: 0 };
const database = { name: 'shop', engine: 'native', volumeId: 'v-1', majorVersion: 18, createdAt };

function volume(): Record<string, unknown> {
  const members = ['a', 'a', 'b', 'b', 'c', 'c'].map((zone, index) => ({
    node: `n-${index}`,
    kind: index % 2 ? 'tail' : 'full',
    zone,
  }));
  return {
    volumeId: 'v-1',
    name: 'shop',
    volumeEpoch: 2,
    lsnAllocationLimitMax: 10_000_000,
    pageSizeBytes: 8192,
    pagesPerGroup: 1_310_720,
    groups: [0, 1].map((pg) => ({ pg, membershipEpoch: 1, members })),
    truncationRanges: [
      { volumeEpoch: 1, after: 0, through: 0 },
      { volumeEpoch: 2, after: 77, through: 10_000_077 },
    ],
  };
}

const parse = <T>(kind: DocumentKind<T>, value: unknown) => kind.shape(value, { key: 'some/key', path: '' });
const volumes = VOLUMES as DocumentKind<VolumeDocument>;

test('sound documents pass unchanged', () => {
  assert.deepEqual(parse(CLUSTER, cluster), cluster);
  assert.deepEqual(parse(NODES as DocumentKind<unknown>, node), node);
  assert.deepEqual(parse(DATABASES, database), database);
  assert.deepEqual(parse(volumes, volume()), volume());
});

test('what is wrong is named with its place', () => {
  const refused = (change: Record<string, unknown>, message: RegExp) =>
    assert.throws(() => parse(volumes, { ...volume(), ...change }), { code: 'REGISTRY_BAD_VALUE', message });
  const groups = volume()['groups'] as { members: { node: string }[] }[];
  const [group] = groups;
  assert.ok(group);
  refused({ volumeEpoch: 0 }, /some\/key.*volumeEpoch is 0, not a whole number from 1/);
  refused({ lsnAllocationLimitMax: 2 ** 53 }, /lsnAllocationLimitMax/);
  refused({ pageSizeBytes: 4096 }, /pageSizeBytes is 4096, not one of 8192/);
  refused({ name: '../shop' }, /name is "..\/shop", not a name/);
  refused({ petals: 6 }, /the field "petals"/);
  refused(
    { groups: [{ ...group, members: group.members.slice(1) }] },
    /groups\[0\].members has 5 items, not 6/,
  );
  refused({ groups: groups.toReversed() }, /groups\[0\] is protection group 1/);
  const twice = group.members.map((member) => ({ ...member, node: 'n-1' }));
  refused({ groups: [{ ...group, members: twice }] }, /groups\[0\] names a node twice/);
  const kinds = group.members.map((member) => ({ ...member, kind: 'half' }));
  refused({ groups: [{ ...group, members: kinds }] }, /groups\[0\].members\[0\].kind is "half"/);
  const range = (volumeEpoch: number, after = 5, through = 6) => ({ volumeEpoch, after, through });
  refused({ truncationRanges: [range(2), range(1)] }, /out of order at epoch 1/);
  refused({ truncationRanges: [range(3)] }, /epoch 3, above 2/);
  refused({ truncationRanges: [range(2, 7)] }, /truncationRanges\[0\] ends at 6, before it begins at 7/);
});

test('each field of each document is needed, and no other value of it is let in unseen', () => {
  const documents: [DocumentKind<unknown>, Record<string, unknown>][] = [
    [CLUSTER as DocumentKind<unknown>, cluster],
    [NODES as DocumentKind<unknown>, node],
    [VOLUMES as DocumentKind<unknown>, volume()],
    [DATABASES as DocumentKind<unknown>, database],
  ];
  for (const [kind, sound] of documents) {
    for (const name of Object.keys(sound)) {
      const { [name]: _, ...without } = sound;
      for (const wrong of [without, { ...sound, [name]: null }, { ...sound, [name]: {} }])
        assert.throws(() => parse(kind, wrong), { code: 'REGISTRY_BAD_VALUE' }, `${kind.prefix} ${name}`);
    }
  }
});

test('any other value is refused by a coded error', () => {
  const kinds = [CLUSTER, NODES, VOLUMES, DATABASES] as DocumentKind<unknown>[];
  fc.assert(
    fc.property(fc.constantFrom(...kinds), fc.anything(), (kind, value) => {
      assert.throws(
        () => parse(kind, value),
        (error) => isCoded(error, 'REGISTRY_BAD_VALUE'),
      );
    }),
    { numRuns: 200 },
  );
});

test('an address stays within the data directory', () => {
  const at = (address: string) => parse(NODES as DocumentKind<unknown>, { ...node, address });
  for (const fine of ['node.sock', 'nodes/n-1/node.sock', 'a/..b/c', '.hidden/sock']) at(fine);
  for (const wrong of ['', '/run/x', '..', '../x', 'a/../b', 'a/..', '.', './x', 'a\u0000b'])
    assert.throws(() => at(wrong), { code: 'REGISTRY_BAD_VALUE' }, wrong);
});

test('documents are written and read by their own ids', async () => {
  const registry = new MemoryRegistry();
  const nodes = ['n-2', 'n-1'].map((id, ordinal) =>
    NODES.shape({ ...node, nodeId: id, ordinal }, { key: 'test', path: '' }),
  );
  for (const one of nodes) await putDocument(registry, NODES, one, 0);
  await putDocument(registry, CLUSTER, CLUSTER.shape(cluster, { key: 'test', path: '' }), 0);
  assert.equal((await readDocument(registry, CLUSTER, ''))?.value.clusterId, 'c-1');
  assert.deepEqual(
    (await listDocuments(registry, NODES)).map((entry) => [entry.key, entry.value.ordinal]),
    [
      ['nodes/n-1', 1],
      ['nodes/n-2', 0],
    ],
  );
  const id = 'n-1' as NodeId;
  const found = await readDocument(registry, NODES, id);
  assert.ok(found);
  await assert.rejects(putDocument(registry, NODES, found.value, 0), { code: 'REGISTRY_CONFLICT' });
  await assert.rejects(putDocument(registry, NODES, { ...found.value, ordinal: -1 }, found.revision), {
    code: 'REGISTRY_BAD_VALUE',
  });
  await removeDocument(registry, NODES, id, found.revision);
  assert.equal(await readDocument(registry, NODES, id), undefined);
});

test('a document under the key of another is refused', async () => {
  const registry = new MemoryRegistry();
  await registry.put('nodes/n-9', node, 0);
  const wrong = { code: 'REGISTRY_BAD_VALUE', message: /nodes\/n-9.*is that of nodes\/n-1/ };
  await assert.rejects(readDocument(registry, NODES, 'n-9' as NodeId), wrong);
  await assert.rejects(listDocuments(registry, NODES), wrong);
});

test('the document of the largest volume fits', async () => {
  const registry = new MemoryRegistry();
  const [group] = volume()['groups'] as { members: { node: string }[] }[];
  assert.ok(group);
  const members = group.members.map((member) => ({
    ...member,
    node: `node-${member.node}-`.padEnd(40, '0'),
  }));
  const groups = Array.from({ length: 6_400 }, (_, pg) => ({ ...group, pg, members }));
  await putDocument(registry, VOLUMES, parse(volumes, { ...volume(), groups }), 0);
});
