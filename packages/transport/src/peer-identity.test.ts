import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { test } from 'node:test';
import * as fc from 'fast-check';
import {
  identityOfCertificate,
  identityUri,
  normalHost,
  parseIdentityUri,
  ROLES,
  type MemberIdentity,
} from './peer-identity.ts';
import { TestAuthority, type TestMember } from './testing/test-authority.ts';

const part = fc.stringMatching(/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/);

test('an identity comes back from its URI, and nothing else is one', () => {
  const identity = fc.record<MemberIdentity>(
    { cluster: part, role: fc.constantFrom(...ROLES), id: part },
    { noNullPrototype: true },
  );
  fc.assert(
    fc.property(identity, (one) => assert.deepEqual(parseIdentityUri(identityUri(one)), one)),
    { seed: 6 },
  );
  fc.assert(
    fc.property(fc.string(), (text) => {
      const found = parseIdentityUri(text);
      if (found) assert.equal(identityUri(found), text);
    }),
    { seed: 6 },
  );
  for (const uri of [
    '',
    'rokka://petals',
    'rokka://petals/node',
    'rokka://petals/node/',
    'rokka://petals/node/n1/more',
    'rokka://petals/root/n1',
    'rokka:///node/n1',
    'rokka://petals/node/-n1',
    'rokka://petals/node/n 1',
    `rokka://petals/node/${'n'.repeat(65)}`,
    'https://petals/node/n1',
    ' rokka://petals/node/n1',
  ])
    assert.equal(parseIdentityUri(uri), undefined, uri);
});

async function identityOf(member: TestMember) {
  const authority = await TestAuthority.make();
  const { certificate } = await authority.issue(member);
  return identityOfCertificate(new X509Certificate(certificate), 'a test');
}

test('a certificate says who its holder is, and under which hosts', async () => {
  const hosts = ['Node-1.example', '10.0.0.7', '2001:DB8:0:0::7'];
  const { validFromMs, validToMs, ...rest } = await identityOf({ role: 'head', id: 'h1', hosts });
  assert.deepEqual(rest, {
    cluster: 'petals',
    role: 'head',
    id: 'h1',
    hosts: ['node-1.example', '10.0.0.7', '2001:db8::7'],
  });
  assert.ok(validFromMs < Date.now() && Date.now() < validToMs);
});

test('a certificate that names no member, two, or one within a quoted name, names nobody', async () => {
  for (const uris of [
    [],
    ['https://petals.example/'],
    ['rokka://petals/node/n1', 'rokka://petals/admin/root'],
    ['rokka://petals/root/n1'],
    ['x, URI:rokka://petals/admin/root'],
    ['x, URI:rokka://petals/admin/root, DNS:y'],
  ])
    await assert.rejects(identityOf({ uris }), { code: 'TRANSPORT_TLS_NO_IDENTITY' }, uris.join(' '));
});

test('hosts are compared in one form', () => {
  assert.equal(normalHost('0:0:0:0:0:0:0:1'), '::1');
  assert.equal(normalHost('10.0.0.7'), '10.0.0.7');
  assert.equal(normalHost('A.Example'), 'a.example');
});
