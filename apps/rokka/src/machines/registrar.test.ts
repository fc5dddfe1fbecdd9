import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { type Clock, isCoded, SeededRandom } from '@rokka/kernel';
import { MemoryRegistry } from '@rokka/registry';
import type { PeerIdentity } from '@rokka/transport';
import { MemoryTokenStore } from '@rokka/trust';
import { addNode, changeNode, listNodes } from '../cluster.ts';
import { PROTOCOL, type Registration } from './desk-messages.ts';
import { Registrar, SILENT_MS } from './registrar.ts';

const HOUR_MS = 3_600_000;

async function setUp() {
  let nowMs = 0;
  const clock = { nowMs: () => nowMs, wallMs: () => nowMs } as Clock;
  const registry = new MemoryRegistry();
  const tokens = new MemoryTokenStore();
  const usedBy = { id: 'node-x', keyPin: 'pin', atMs: 0 };
  await tokens.put(
    {
      tokenId: '00',
      verifier: '',
      role: 'node',
      zone: 'b',
      expiresAtMs: HOUR_MS,
      revoked: false,
      usedBy,
    },
    0,
  );
  const registrar = new Registrar({ registry, tokens, clock, password: () => 'secret' });
  return { registry, registrar, pass: (ms: number) => void (nowMs += ms) };
}

const member = (id = 'node-x'): PeerIdentity => ({
  cluster: 'c',
  role: 'node',
  id,
  hosts: ['10.0.0.2'],
  validFromMs: 0,
  validToMs: HOUR_MS,
});
const said = (part: Partial<Registration> = {}): Registration => ({
  protocol: PROTOCOL,
  address: '10.0.0.2:7600',
  instance: 'one',
  ...part,
});
const refusedWith = (code: string) => (error: unknown) => isCoded(error, code);

describe('the registrar', () => {
  test('whom a token let in becomes a node of its zone, once', async () => {
    const { registry, registrar } = await setUp();
    const first = await registrar.register(member(), said());
    assert.deepEqual(first, { ordinal: 1, zone: 'b', leaving: false });
    assert.deepEqual(await registrar.register(member(), said()), first);
    assert.deepEqual(await listNodes(registry), [
      {
        node: 'node-x',
        zone: 'b',
        ordinal: 1,
        made: true,
        machine: 'node-x',
        address: 'tls:10.0.0.2:7600',
      },
    ]);
  });

  test('who registers twice at one moment, beside others, is one node', async () => {
    const { registry, registrar } = await setUp();
    const random = new SeededRandom(1);
    const [first, second] = await Promise.all([
      registrar.register(member(), said()),
      registrar.register(member(), said()),
      addNode(registry, { zone: 'b', random }),
      addNode(registry, { zone: 'b', random }),
    ]);
    assert.deepEqual(first, second);
    assert.equal((await listNodes(registry)).length, 3);
  });

  test('who is slow to register, and registers again meanwhile, is one node', async () => {
    const { registry, registrar } = await setUp();
    const list = registry.list.bind(registry);
    let again: Promise<unknown> | undefined;
    registry.list = async <T>(prefix: string) => {
      const found = await list<T>(prefix);
      // It has read that there is no such node.
      if (!again) await (again = registrar.register(member(), said()));
      return found;
    };
    const first = await registrar.register(member(), said());
    assert.deepEqual(await again, first);
    assert.equal((await listNodes(registry)).length, 1);
  });

  test('nobody registers as a node of the first machine', async () => {
    const { registry, registrar } = await setUp();
    const own = { node: 'own', zone: 'a', ordinal: 1, made: true };
    await registry.put('nodes/1', own, 0);
    await assert.rejects(registrar.register(member('own'), said()), refusedWith('ROKKA_MEMBER_UNKNOWN'));
    assert.deepEqual(await listNodes(registry), [own]);
  });

  test('another port of its host is noted; another host is not its own', async () => {
    const { registry, registrar, pass } = await setUp();
    await registrar.register(member(), said());
    pass(SILENT_MS);
    await registrar.register(member(), said({ address: '10.0.0.2:7700', instance: 'two' }));
    assert.equal((await listNodes(registry))[0]?.address, 'tls:10.0.0.2:7700');
    await assert.rejects(
      registrar.register(member(), said({ address: '10.0.0.3:7600' })),
      refusedWith('ROKKA_HOST_CHANGED'),
    );
  });

  test('a second process with the same identity is refused while the first is heard', async () => {
    const { registrar, pass } = await setUp();
    await registrar.register(member(), said());
    const second = said({ address: '10.0.0.2:7700', instance: 'two' });
    pass(SILENT_MS - 1);
    await assert.rejects(registrar.register(member(), second), refusedWith('ROKKA_NODE_TWICE'));
    await registrar.register(member(), said());
    pass(SILENT_MS - 1);
    await assert.rejects(registrar.register(member(), second), refusedWith('ROKKA_NODE_TWICE'));
    pass(1);
    await registrar.register(member(), second);
    await assert.rejects(registrar.register(member(), said()), refusedWith('ROKKA_NODE_TWICE'));
  });

  test('a restart at the same address is at once the same node', async () => {
    const { registrar } = await setUp();
    await registrar.register(member(), said());
    assert.equal((await registrar.register(member(), said({ instance: 'two' }))).ordinal, 1);
  });

  test('one that was taken out stays out, and gets no certificate', async () => {
    const { registry, registrar } = await setUp();
    await registrar.register(member(), said());
    assert.equal(await registrar.mayRenew(member()), true);
    await changeNode(registry, 1, { gone: true });
    await assert.rejects(registrar.register(member(), said()), refusedWith('ROKKA_NODE_REMOVED'));
    assert.equal(await registrar.mayRenew(member()), false);
  });

  test('strangers to every token, and other releases', async () => {
    const { registry, registrar } = await setUp();
    await assert.rejects(registrar.register(member('node-y'), said()), refusedWith('ROKKA_MEMBER_UNKNOWN'));
    const old = said({ protocol: PROTOCOL - 1 });
    await assert.rejects(registrar.register(member(), old), refusedWith('ROKKA_PROTOCOL_OTHER'));
    assert.throws(() => registrar.admitHead(old), refusedWith('ROKKA_PROTOCOL_OTHER'));
    assert.deepEqual(await listNodes(registry), []);
  });
});
