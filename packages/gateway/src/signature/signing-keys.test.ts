import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Failure } from '../failures.ts';
import { ALICE, credentialsOf } from '../testing/identity.ts';
import { signed, type ToSign } from '../testing/official-signer.ts';
import { SigningKeys } from './signing-keys.ts';
import { verifySignature } from './verify.ts';

const NOW = Date.UTC(2026, 0, 31, 12, 0, 0);
const LATER = { ...ALICE, secretAccessKey: 'another secret' };
const sign = (of: Partial<ToSign> = {}) => signed({ atMs: NOW, credential: ALICE, ...of });

test('a key is kept when a signature with it was right, and found again', async () => {
  const keys = new SigningKeys();
  const options = { credentials: credentialsOf(ALICE), keys, nowMs: NOW };
  await assert.rejects(verifySignature(await sign({ credential: LATER }), options), Failure);
  assert.equal(keys.size, 0, 'who has no secret leaves nothing behind');
  const { scope } = await verifySignature(await sign(), options);
  assert.equal(keys.size, 1);
  const kept = keys.find(scope, ALICE.secretAccessKey);
  assert.equal(keys.find(scope, ALICE.secretAccessKey), kept);
  for (const other of [
    { ...scope, day: '20260130' },
    { ...scope, region: 'us-east-2' },
    { ...scope, service: 'sts' },
  ])
    assert.ok(!keys.find(other, ALICE.secretAccessKey).equals(kept), 'a scope has a key of its own');
});

test('a secret that is another one now counts at once, and the one before it no more', async () => {
  const keys = new SigningKeys();
  const [before, after] = [await sign(), await sign({ credential: LATER })];
  await verifySignature(before, { credentials: credentialsOf(ALICE), keys, nowMs: NOW });
  const credentials = credentialsOf(LATER);
  await assert.rejects(verifySignature(before, { credentials, keys, nowMs: NOW }), Failure);
  await verifySignature(after, { credentials, keys, nowMs: NOW });
});

test('only so many are kept, and the oldest goes', async () => {
  const keys = new SigningKeys();
  const scope = { accessKeyId: 'A', day: '20260131', region: 'us-east-1', service: 'rds' };
  const first = keys.find(scope, 's0');
  for (let i = 0; i < 3000; i++) keys.keep(scope, `s${i}`, first);
  assert.equal(keys.size, 1024);
  assert.equal(keys.find(scope, 's2999'), first);
  assert.notEqual(keys.find(scope, 's0'), first);
});
