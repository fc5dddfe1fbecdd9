/** A place that is held and taken over, on the registries that people use: a SQLite file, and an etcd whose leader dies. */
import assert from 'node:assert/strict';
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import { test } from 'node:test';
import { deadline, Deferred, systemClock } from '@rokka/kernel';
import { Holder } from './holder.ts';
import { openRegistry } from './registry-location.ts';
import { EtcdCluster, etcdMissing } from './testing/etcd-cluster.ts';

const timeout = 300_000;

/** One holds it, another waits; the first loses its way to the registry and is told, the second takes over. */
async function checkTakeover(location: string, meanwhile: () => Promise<void>): Promise<void> {
  const signal = AbortSignal.timeout(timeout);
  const doubt = new Deferred<void>();
  const enter = async (name: string) => {
    const registry = await openRegistry(location, {
      clock: systemClock,
      cluster: 'test',
      patienceMs: 60_000,
    });
    const onStanding = () => doubt.resolve();
    const options = { registry, clock: systemClock, key: 'holders/head', name, onStanding };
    return { registry, holder: new Holder({ ...options, beatMs: 200, goneAfterMs: 2_000 }) };
  };
  const [first, second] = [await enter('first'), await enter('second')];
  const tenure = await first.holder.hold(signal);
  assert.equal(tenure.standing, 'held');
  const waiting = second.holder.hold(signal);
  await meanwhile();
  await first.registry[Symbol.asyncDispose]();
  const successor = await deadline(waiting, { what: 'the takeover', ms: 120_000 });
  await deadline(doubt.promise, { what: 'the doubt', ms: 120_000 });
  assert.notEqual(tenure.standing, 'held');
  assert.ok(successor.term > tenure.term);
  assert.notEqual(successor.standing, 'lost');
  await tenure[Symbol.asyncDispose]();
  assert.equal((await second.registry.get<{ holder: string }>('holders/head'))?.value.holder, 'second');
  await successor[Symbol.asyncDispose]();
  assert.equal((await second.registry.get<{ holder: string }>('holders/head'))?.value.holder, '');
  await second.registry[Symbol.asyncDispose]();
}

test('a place in a SQLite file', { timeout }, async () => {
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'rokka-holder-'));
  try {
    await checkTakeover(`sqlite:${path.join(directory, 'registry.db')}`, () => systemClock.sleep(1_000));
  } finally {
    fs.rmSync(directory, { recursive: true });
  }
});

test('a place in an etcd whose leader is killed', { timeout, skip: etcdMissing() }, async () => {
  await using cluster = await EtcdCluster.start({ members: 3 });
  const hosts = cluster.endpoints.map((endpoint) => new URL(endpoint).host);
  await checkTakeover(`etcd:http://${hosts.join(',')}`, async () => {
    const leader = await cluster.ready();
    await cluster.kill(leader);
    await systemClock.sleep(500);
    cluster.run(leader);
    await cluster.ready();
  });
});
