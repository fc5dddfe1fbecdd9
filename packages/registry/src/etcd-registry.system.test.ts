/**
 * A real etcd of three members: the contract, then what happens when members die, stand still and come back, and when
 * answers are lost on the way.
 */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import * as net from 'node:net';
import { after, before, suite, test } from 'node:test';
import { isCoded, must, systemClock } from '@rokka/kernel';
import { type EtcdRegistryOptions, openEtcdRegistry } from './etcd-registry.ts';
import { httpPost, type Post, PostFailure } from './http-post.ts';
import type { Registry } from './registry.ts';
import { EtcdCluster, etcdMissing } from './testing/etcd-cluster.ts';
import { registryConformance } from './testing/registry-conformance.ts';

const CLIENTS = 4;
const timeout = 600_000;
const skip = etcdMissing();
let places = 0;

const openAt = (endpoints: readonly string[], more: Partial<EtcdRegistryOptions> = {}) =>
  openEtcdRegistry({ endpoints, prefix: `rokka/place-${places++}/`, clock: systemClock, ...more });

/** Adds 1 to `counter` until `stopped`, and tells what it was told. */
async function increment(registry: Registry, stopped: () => boolean) {
  const told = { sums: [] as number[], unknown: 0 };
  while (!stopped()) {
    try {
      const found = await registry.get<number>('counter');
      const next = (found?.value ?? 0) + 1;
      await registry.put('counter', next, found?.revision ?? 0);
      told.sums.push(next);
    } catch (error) {
      if (isCoded(error, 'REGISTRY_UNAVAILABLE')) told.unknown += error.detail['inDoubt'] === true ? 1 : 0;
      else if (!isCoded(error, 'REGISTRY_CONFLICT')) throw error;
    }
  }
  return told;
}

/** Every sum was told to one client, and the counter is what they add up to, give or take what nobody was told. */
async function checkSums(registry: Registry, told: Awaited<ReturnType<typeof increment>>[]): Promise<void> {
  const sums = told.flatMap((each) => each.sums).sort((a, b) => a - b);
  const unknown = told.reduce((total, each) => total + each.unknown, 0);
  assert.equal(new Set(sums).size, sums.length, 'no sum was reached twice');
  const last = must(await registry.get<number>('counter')).value;
  assert.ok(
    sums.length <= last && last <= sums.length + unknown,
    `${last}: ${sums.length}, ${unknown} unknown`,
  );
  assert.ok(last >= must(sums.at(-1)));
}

suite('a registry on etcd', { skip, timeout: 5 * timeout }, () => {
  let cluster: EtcdCluster;
  before(async () => void (cluster = await EtcdCluster.start({ members: 3 })));
  after(() => cluster[Symbol.asyncDispose]());

  const clients = (more: Partial<EtcdRegistryOptions>) =>
    Promise.all(Array.from({ length: CLIENTS }, () => openAt(cluster.endpoints, more)));
  const leader = () => cluster.ready();

  registryConformance('etcd registry', async () => {
    const prefix = `rokka/place-${places++}/`;
    return { open: () => openAt(cluster.endpoints, { prefix }), async [Symbol.asyncDispose]() {} };
  });

  test(
    'the leader is killed again and again under racing clients: every sum is reached once',
    { timeout },
    async () => {
      const registries = await clients({ prefix: `rokka/place-${places++}/`, patienceMs: 60_000 });
      let stopped = false;
      const work = Promise.all(registries.map((registry) => increment(registry, () => stopped)));
      for (let round = 0; round < 3; round++) {
        await systemClock.sleep(500);
        const index = await leader();
        await cluster.kill(index);
        await systemClock.sleep(1_500);
        cluster.run(index);
        await cluster.ready();
      }
      stopped = true;
      const told = await work;
      await checkSums(must(registries[0]), told);
      assert.ok(told.every((each) => each.sums.length > 0));
      for (const registry of registries) await registry[Symbol.asyncDispose]();
    },
  );

  test('a leader that stands still and wakes up again loses and doubles nothing', { timeout }, async () => {
    const registries = await clients({ prefix: `rokka/place-${places++}/`, patienceMs: 60_000 });
    let stopped = false;
    const work = Promise.all(registries.map((registry) => increment(registry, () => stopped)));
    for (let round = 0; round < 2; round++) {
      await systemClock.sleep(300);
      const index = await leader();
      cluster.signal(index, 'SIGSTOP');
      await systemClock.sleep(3_000);
      cluster.signal(index, 'SIGCONT');
      await cluster.ready();
    }
    stopped = true;
    await checkSums(must(registries[0]), await work);
    for (const registry of registries) await registry[Symbol.asyncDispose]();
  });

  test('without a majority it is unavailable, and says so; with one it goes on', { timeout }, async () => {
    await using registry = await openAt(cluster.endpoints, { patienceMs: 6_000 });
    const revision = await registry.put('a', 1, 0);
    const first = await leader();
    await cluster.kill(first);
    await cluster.kill((first + 1) % 3);
    const unavailable = { code: 'REGISTRY_UNAVAILABLE' };
    await assert.rejects(registry.put('a', 2, revision), unavailable);
    await assert.rejects(registry.get('a'), unavailable);
    await assert.rejects(openAt(cluster.endpoints, { patienceMs: 1_000 }), unavailable);
    cluster.run(first);
    cluster.run((first + 1) % 3);
    await cluster.ready();
    // The put may have come through late; it was for nobody else's revision.
    const found = must(await registry.get<number>('a'));
    assert.ok(found.value === 2 || found.revision === revision);
    await registry.put('a', 3, found.revision);
  });

  test(
    'answers that were lost are found again in the history, unless it was compacted away',
    { timeout },
    async () => {
      const prefix = `rokka/place-${places++}/`;
      await using other = await openAt(cluster.endpoints, { prefix });
      const straight = httpPost({ clock: systemClock });
      const meanwhile: (() => Promise<unknown>)[] = [];
      const post: Post = async (endpoint, path, body, limits) => {
        const answer = await straight(endpoint, path, body, limits);
        const next = path === '/v3/kv/txn' ? meanwhile.shift() : undefined;
        if (!next) return answer;
        await next();
        throw new PostFailure('the answer was lost', true);
      };
      post.close = () => straight.close?.();
      await using registry = await openAt(cluster.endpoints, { prefix, post });
      const at = async () => must(await other.get('a')).revision;
      let mine = 0;

      meanwhile.push(async () => (mine = await at()));
      assert.equal(await registry.put('a', 1, 0), mine);

      const overwrite = async () => {
        mine = await at();
        for (let i = 0; i < 3; i++) await other.put('a', `other ${i}`, await at());
      };
      meanwhile.push(overwrite);
      assert.equal(await registry.put('a', 2, await at()), mine);

      const before = await at();
      meanwhile.push(() => other.put('a', 'again', 0));
      await registry.remove('a', before);
      assert.equal((await other.get('a'))?.value, 'again');

      meanwhile.push(async () => {
        const revision = await other.put('a', 'over it', await at());
        const limits = { silenceMs: 60_000, totalMs: 60_000 };
        await straight(cluster.endpoints[0], '/v3/kv/compaction', JSON.stringify({ revision }), limits);
      });
      await assert.rejects(registry.put('a', 3, await at()), { code: 'REGISTRY_FAILED' });
    },
  );

  test('an endpoint that is dead, mute or no etcd costs time, not truth', { timeout }, async () => {
    await using dead = await serve((socket) => socket.destroy());
    await using mute = await serve(() => {});
    const page = '<html>Welcome</html>';
    const head = `HTTP/1.1 200 OK\r\ncontent-length: ${page.length}\r\n\r\n`;
    await using web = await serve((socket) => socket.once('data', () => socket.end(head + page)));
    await using half = await serve((socket) => socket.once('data', () => socket.end(head + page.slice(9))));
    await using noise = await serve((socket) =>
      socket.once('data', () => socket.end(Buffer.alloc(4096, 0xa7))),
    );
    for (const { endpoint } of [dead, mute, web, half, noise]) {
      const limits = { requestTimeoutMs: 1_000, patienceMs: 60_000 };
      await using registry = await openAt([endpoint, must(cluster.endpoints[0])], limits);
      const revision = await registry.put('a', 1, 0);
      assert.deepEqual(await registry.list(''), [{ key: 'a', value: 1, revision }]);
      await assert.rejects(
        openAt([endpoint], { ...limits, patienceMs: 500 }),
        (error) => isCoded(error, 'REGISTRY_UNAVAILABLE') && error.message.includes(endpoint),
      );
    }
  });
});

/** A server on loopback that does `greet` with whoever comes. */
async function serve(greet: (socket: net.Socket) => void) {
  const sockets = new Set<net.Socket>();
  const server = net.createServer((socket) => {
    sockets.add(socket.on('error', () => {}));
    greet(socket);
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  return {
    endpoint: `http://127.0.0.1:${(server.address() as net.AddressInfo).port}`,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      await once(server.close(), 'close');
    },
  };
}
