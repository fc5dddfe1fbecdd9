import assert from 'node:assert/strict';
import { sign, verify } from 'node:crypto';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { isCoded } from '@rokka/kernel';
import { ROLES } from '@rokka/transport';
import {
  decodeJoinToken,
  encodeJoinToken,
  secretKey,
  secretVerifier,
  verifierKey,
  type JoinToken,
} from './join-token.ts';

const part = fc.stringMatching(/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/);
const hex = (bytes: number) =>
  fc.uint8Array({ minLength: bytes, maxLength: bytes }).map((array) => Buffer.from(array).toString('hex'));
const pin = fc
  .uint8Array({ minLength: 32, maxLength: 32 })
  .map((array) => Buffer.from(array).toString('base64url'));
const tokens = fc.record<JoinToken>(
  {
    cluster: part,
    role: fc.constantFrom(...ROLES),
    zone: fc.oneof(fc.constant(''), part),
    memberId: fc.option(part, { nil: undefined }),
    addresses: fc.array(fc.constantFrom('10.0.0.7:4100', '[::1]:1', 'a.example:65535'), {
      minLength: 1,
      maxLength: 8,
    }),
    pins: fc.array(pin, { minLength: 1, maxLength: 2 }),
    tokenId: hex(8),
    secret: hex(32),
    expiresAtMs: fc.nat(),
  },
  { noNullPrototype: true },
);
const unreadable = { code: 'TRUST_TOKEN_UNREADABLE' };

test('a token comes back, whatever a terminal did to its lines', () => {
  fc.assert(
    fc.property(tokens, (token) => {
      const text = encodeJoinToken(token);
      assert.match(text, /^rokka-join-v1\.[A-Za-z0-9_-]+$/);
      assert.deepEqual(decodeJoinToken(text), token);
      assert.deepEqual(decodeJoinToken(`  ${text.slice(0, 50)}\r\n${text.slice(50)}\n`), token);
    }),
    { seed: 6 },
  );
});

test('a token that was cut or changed is told from one that is unknown', () => {
  fc.assert(
    fc.property(tokens, fc.nat(), fc.boolean(), (token, at, cut) => {
      const text = encodeJoinToken(token);
      const where = at % text.length;
      const changed = text[where] === 'x' ? 'y' : 'x';
      const other = text.slice(0, where) + (cut ? '' : changed + text.slice(where + 1));
      try {
        // The last character has bits that mean nothing.
        assert.deepEqual(decodeJoinToken(other), token);
      } catch (error) {
        assert.ok(isCoded(error, 'TRUST_TOKEN_UNREADABLE'), String(error));
      }
    }),
    { seed: 6 },
  );
  for (const text of [
    '',
    'rokka-join-v1.',
    'rokka-join-v2.AAAA',
    'hello',
    `rokka-join-v1.${'A'.repeat(5000)}`,
  ])
    assert.throws(() => decodeJoinToken(text), unreadable, text);
});

test('a token whose parts are nonsense is refused, though its checksum is right', () => {
  const [good] = fc.sample(tokens, { numRuns: 1, seed: 6 });
  assert.ok(good);
  for (const wrong of [
    { cluster: 'a/b' },
    { role: 'root' as 'node' },
    { zone: 'a b' },
    { memberId: '..' },
    { addresses: [] },
    { pins: [] },
    { addresses: Array.from({ length: 9 }, () => 'a:1') },
  ])
    assert.throws(() => decodeJoinToken(encodeJoinToken({ ...good, ...wrong })), unreadable);
});

test('what the cluster keeps of a secret checks its signatures and makes none', () => {
  const secret = '07'.repeat(32);
  const verifier = secretVerifier(secret);
  // RFC 8032 leaves no choice: the same seed gives the same key on every machine.
  assert.equal(verifier, secretVerifier(secret));
  assert.notEqual(verifier, secretVerifier('08'.repeat(32)));
  const said = Buffer.from('six petals');
  const proof = sign(null, said, secretKey(secret));
  assert.ok(verify(null, said, verifierKey(verifier), proof));
  assert.ok(!verify(null, Buffer.from('five petals'), verifierKey(verifier), proof));
  assert.equal(verifierKey(verifier).type, 'public');
  assert.ok(!verifier.includes(Buffer.from(secret, 'hex').toString('base64url')));
});
