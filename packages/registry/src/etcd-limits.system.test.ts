/** A real etcd at its limits: how much it takes, who may come in. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import { suite, test } from 'node:test';
import { isCoded, must, systemClock } from '@rokka/kernel';
import { openEtcdRegistry } from './etcd-registry.ts';
import type { Tls } from './http-post.ts';
import { EtcdCluster, etcdMissing } from './testing/etcd-cluster.ts';

const MIB = 1024 * 1024;
const timeout = 400_000;
const hasOpenssl = spawnSync('openssl', ['version'], { timeout: 60_000 }).status === 0;

const openAt = (endpoints: readonly string[], tls?: Tls) =>
  openEtcdRegistry({
    endpoints,
    prefix: 'rokka/test/',
    clock: systemClock,
    patienceMs: 60_000,
    ...(tls && { tls }),
  });

suite('an etcd at its limits', { skip: etcdMissing(), timeout: 5 * timeout }, () => {
  test('a value longer than etcd takes is refused with the flag that allows it', { timeout }, async () => {
    await using cluster = await EtcdCluster.start({ members: 1 });
    await using registry = await openAt(cluster.endpoints);
    const revision = await registry.put('a', 'x'.repeat(1.4 * MIB), 0);
    for (const mib of [1.6, 7]) {
      await assert.rejects(registry.put('a', 'y'.repeat(mib * MIB), revision), (error) => {
        assert.ok(isCoded(error, 'REGISTRY_BAD_VALUE'));
        return /--max-request-bytes/.test(error.message);
      });
    }
    assert.equal((await registry.get('a'))?.revision, revision);
  });

  test('with that flag the longest values pass, many to a list', { timeout }, async () => {
    await using cluster = await EtcdCluster.start({ members: 1, flags: ['--max-request-bytes=16777216'] });
    await using registry = await openAt(cluster.endpoints);
    for (let i = 0; i < 3; i++) await registry.put(`${i}`, String(i).repeat(8 * MIB - 2), 0);
    const listed = await registry.list<string>('');
    assert.deepEqual(
      listed.map(({ key, value }) => [key, value.length, value[1]]),
      Array.from({ length: 3 }, (_, i) => [`${i}`, 8 * MIB - 2, `${i}`]),
    );
  });

  test('an etcd without space refuses, and what it has taken is what was told', { timeout }, async () => {
    const flags = [`--quota-backend-bytes=${4 * MIB}`];
    await using cluster = await EtcdCluster.start({ members: 1, flags });
    await using registry = await openAt(cluster.endpoints);
    let revision = 0;
    for (let i = 0; i < 100; i++) {
      try {
        revision = await registry.put('a', `${i}`.padEnd(MIB), revision);
      } catch (error) {
        assert.ok(isCoded(error, 'REGISTRY_REFUSED'), String(error));
        assert.match(error.message, /space exceeded.*alarm disarm/);
        assert.equal(error.detail['inDoubt'], false);
        assert.ok(i > 0);
        const found = must(await registry.get<string>('a'));
        assert.equal(found.revision, revision);
        assert.equal(Number(found.value), i - 1);
        return;
      }
    }
    assert.fail('it had space for ever');
  });

  const skip = hasOpenssl ? false : 'needs openssl';
  test('mutual TLS: with the certificate, and not without', { timeout, skip }, async () => {
    const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'rokka-tls-'));
    try {
      const files = makeCertificate(directory);
      const flags = ['--client-cert-auth', `--trusted-ca-file=${files.cert}`];
      flags.push(`--cert-file=${files.cert}`, `--key-file=${files.key}`);
      const [cert, key] = [fs.readFileSync(files.cert), fs.readFileSync(files.key)];
      await using cluster = await EtcdCluster.start({ members: 1, flags, tls: { ca: cert, cert, key } });
      await using registry = await openAt(cluster.endpoints, { ca: cert, cert, key });
      assert.ok((await registry.put('a', 1, 0)) > 0);
      for (const tls of [{ ca: cert }, { cert, key }]) {
        const opened = openEtcdRegistry({
          endpoints: cluster.endpoints,
          prefix: 'rokka/test/',
          clock: systemClock,
          patienceMs: 500,
          tls,
        });
        await assert.rejects(opened, { code: 'REGISTRY_UNAVAILABLE' });
      }
    } finally {
      fs.rmSync(directory, { recursive: true });
    }
  });
});

/** One that is its own authority, for server and client alike, as etcd's gateway needs: it calls its own server. */
function makeCertificate(directory: string): { cert: string; key: string } {
  const files = { cert: path.join(directory, 'cert.pem'), key: path.join(directory, 'key.pem') };
  const words =
    'req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=rokka-test ' +
    '-addext subjectAltName=IP:127.0.0.1 -addext extendedKeyUsage=serverAuth,clientAuth';
  const run = spawnSync('openssl', [...words.split(' '), '-keyout', files.key, '-out', files.cert], {
    encoding: 'utf8',
    timeout: 120_000,
  });
  assert.equal(run.status, 0, run.stderr);
  return files;
}
