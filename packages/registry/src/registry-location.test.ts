import assert from 'node:assert/strict';
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import { test } from 'node:test';
import { systemClock } from '@rokka/kernel';
import { openRegistry, parseRegistryLocation } from './registry-location.ts';

const bad = { code: 'REGISTRY_BAD_LOCATION' };

test('a location says which registry, and where', () => {
  assert.deepEqual(parseRegistryLocation('sqlite:a/b:c, d.db'), { kind: 'sqlite', path: 'a/b:c, d.db' });
  assert.deepEqual(parseRegistryLocation('etcd:http://one:2379,10.0.0.2:02380,[::1]:2379'), {
    kind: 'etcd',
    endpoints: ['http://one:2379', 'http://10.0.0.2:2380', 'http://[::1]:2379'],
  });
  assert.deepEqual(parseRegistryLocation('etcd:https://One.example:443'), {
    kind: 'etcd',
    endpoints: ['https://one.example:443'],
  });
});

test('what is no location is refused with what would be one', () => {
  const wrong = [
    '',
    'sqlite',
    'sqlite:',
    'sqlite:a\u0000b',
    'etcd:',
    'etcd:one:2379',
    'etcd://one:2379',
    'etcd:http://',
    'etcd:http://one',
    'etcd:http://one:0',
    'etcd:http://one:65536',
    'etcd:http://one:2379/',
    'etcd:http://one:2379/v3',
    'etcd:http://one:2379?x',
    'etcd:http://user:word@one:2379',
    'etcd:http://one:2379,',
    'etcd:http://one:2379,,two:2379',
    'etcd:http://one:2379, two:2379',
    'etcd:http://one:2379,http://two:2379',
    'etcd:http://one:2379,ONE:2379',
    'etcd:http://[::1:2379',
    'etcd:http://[:::::]:2379',
    'etcd:ftp://one:2379',
    'consul:http://one:2379',
    '/var/lib/registry.db',
  ];
  for (const location of wrong) {
    assert.throws(() => parseRegistryLocation(location), bad, location);
    assert.throws(() => parseRegistryLocation(location), /write sqlite:PATH or etcd:http:/);
  }
});

test('a sqlite location opens its file', async () => {
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'rokka-registry-'));
  try {
    const location = `sqlite:${path.join(directory, 'registry.db')}`;
    const options = { clock: systemClock, cluster: 'test' };
    await assert.rejects(openRegistry(location, { ...options, create: false }), { code: 'REGISTRY_MISSING' });
    await using registry = await openRegistry(location, options);
    const revision = await registry.put('a', 1, 0);
    await using again = await openRegistry(location, { ...options, create: false });
    assert.equal((await again.get('a'))?.revision, revision);
  } finally {
    fs.rmSync(directory, { recursive: true });
  }
});

test('an etcd location needs a cluster with a name, and certificates need https', async () => {
  const location = 'etcd:http://127.0.0.1:1';
  for (const cluster of ['', 'a/b', 'ä', 'x'.repeat(64)])
    await assert.rejects(openRegistry(location, { clock: systemClock, cluster }), bad);
  const tls = { ca: 'some certificate' };
  await assert.rejects(openRegistry(location, { clock: systemClock, cluster: 'test', tls }), /say https/);
  await assert.rejects(openRegistry(location, { clock: systemClock, cluster: 'test', patienceMs: 50 }), {
    code: 'REGISTRY_UNAVAILABLE',
  });
});
