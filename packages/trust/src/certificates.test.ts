import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { isCoded } from '@rokka/kernel';
import { keyPin, makeKey, makeRequest, normalHosts, readRequest } from './certificates.ts';

const identity = { cluster: 'petals', role: 'node', id: 'n1' } as const;
const bad = { code: 'TRUST_BAD_REQUEST' };

test('a request comes back as it was meant', async () => {
  const key = makeKey();
  const hosts = ['node-1.example', '10.0.0.7', '::1'];
  const read = await readRequest(await makeRequest({ key, identity, hosts }));
  assert.deepEqual([read.identity, read.hosts], [identity, hosts]);
  const again = await readRequest(await makeRequest({ key, identity, hosts: [] }));
  assert.equal(keyPin(again.publicKey), keyPin(read.publicKey));
});

test('a request whose bytes were changed is refused, or asks for the same (an outer tag is not signed)', async () => {
  const text = await makeRequest({ key: makeKey(), identity, hosts: ['10.0.0.7'] });
  const der = Buffer.from(text.replaceAll(/-----[^-]+-----/g, ''), 'base64');
  const pem = (bytes: Buffer) =>
    `-----BEGIN CERTIFICATE REQUEST-----\n${bytes.toString('base64')}\n-----END CERTIFICATE REQUEST-----\n`;
  const meant = await readRequest(pem(der));
  const change = fc.record({ at: fc.nat({ max: der.length - 1 }), by: fc.integer({ min: 1, max: 255 }) });
  await fc.assert(
    fc.asyncProperty(change, async ({ at, by }) => {
      const changed = Buffer.from(der);
      changed[at] = (changed[at] ?? 0) ^ by;
      try {
        const read = await readRequest(pem(changed));
        assert.deepEqual([read.identity, read.hosts], [meant.identity, meant.hosts]);
        assert.equal(keyPin(read.publicKey), keyPin(meant.publicKey));
      } catch (error) {
        assert.ok(isCoded(error, 'TRUST_BAD_REQUEST'), `byte ${at} by ${by}: ${String(error)}`);
      }
    }),
    { seed: 6, numRuns: 120 },
  );
});

test('nonsense, long nonsense and deep nonsense are refused', async () => {
  const pem = (bytes: Buffer) =>
    `-----BEGIN CERTIFICATE REQUEST-----\n${bytes.toString('base64')}\n-----END CERTIFICATE REQUEST-----\n`;
  // Sequences within sequences of indefinite length: a parser that recurses has a long way to go.
  const deep = Buffer.alloc(12_000, Buffer.from([0x30, 0x80]));
  for (const text of ['', 'hello', 'x'.repeat(1_000_000), pem(deep), pem(Buffer.alloc(100))])
    await assert.rejects(readRequest(text), bad);
});

test('keys of other kinds are refused', async () => {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-384' });
  const key = String(privateKey.export({ type: 'pkcs8', format: 'pem' }));
  // Whether the library signs with it or not, such a request does not come through.
  const made = makeRequest({ key, identity, hosts: [] }).then(readRequest);
  await assert.rejects(made);
});

test('names that are no hosts are refused on both sides', async () => {
  for (const host of [
    '',
    'a b',
    '*.example',
    'a,b',
    '-a',
    'a..b',
    'URI:x',
    `${'a'.repeat(64)}.example`,
    'a'.repeat(254),
  ])
    assert.throws(() => normalHosts([host]), { code: 'TRUST_BAD_HOST' }, host);
  assert.throws(() => normalHosts(Array.from({ length: 33 }, (_, i) => `h${i}`)), { code: 'TRUST_BAD_HOST' });
  assert.deepEqual(normalHosts(['A', 'a', '0:0:0:0:0:0:0:1', '::1']), ['a', '::1']);
  await assert.rejects(makeRequest({ key: makeKey(), identity, hosts: ['*'] }), { code: 'TRUST_BAD_HOST' });
});
