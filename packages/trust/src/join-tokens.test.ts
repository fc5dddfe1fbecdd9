import assert from 'node:assert/strict';
import { sign } from 'node:crypto';
import { test } from 'node:test';
import { isCoded, SeededRandom, VirtualClock } from '@rokka/kernel';
import type { MemberIdentity } from '@rokka/transport';
import { makeKey, makeRequest, readRequest } from './certificates.ts';
import { decodeJoinToken, secretKey } from './join-token.ts';
import { JoinTokens, type IssueTokenOptions } from './join-tokens.ts';
import { MemoryTokenStore } from './token-store.ts';

const HOUR_MS = 3_600_000;
const AUTHORITY = { cluster: 'petals', pins: [Buffer.alloc(32, 1).toString('base64url')] };
const PROVEN = Buffer.from('this session, this request');

function setUp(members: readonly string[] = []) {
  const clock = new VirtualClock();
  const store = new MemoryTokenStore();
  const tokens = new JoinTokens({
    store,
    clock,
    random: new SeededRandom(6),
    isMember: async ({ id }) => members.includes(id),
  });
  const issue = async (more: Partial<IssueTokenOptions> = {}) => {
    const issued = await tokens.issue({
      authority: AUTHORITY,
      addresses: ['10.0.0.1:4100'],
      role: 'node',
      zone: 'a',
      ...more,
    });
    return decodeJoinToken(issued.token);
  };
  return { clock, store, tokens, issue };
}

const requestOf = async (member: Partial<MemberIdentity> = {}, key = makeKey()) =>
  readRequest(
    await makeRequest({ key, identity: { cluster: 'petals', role: 'node', id: 'n1', ...member }, hosts: [] }),
  );

async function redemption(
  token: { tokenId: string; secret: string },
  more: { member?: Partial<MemberIdentity>; zone?: string; key?: string } = {},
) {
  return {
    tokenId: token.tokenId,
    request: await requestOf(more.member, more.key),
    zone: more.zone ?? '',
    proof: sign(null, PROVEN, secretKey(token.secret)),
    proven: PROVEN,
  };
}

test('a token lets one member join, and nothing that is kept of it is the secret', async () => {
  const { clock, store, tokens, issue } = setUp();
  const token = await issue();
  assert.deepEqual(
    [token.cluster, token.role, token.zone, token.pins],
    ['petals', 'node', 'a', AUTHORITY.pins],
  );
  assert.equal(token.expiresAtMs, clock.wallMs() + HOUR_MS);
  const kept = JSON.stringify(await store.list());
  assert.ok(
    !kept.includes(token.secret) && !kept.includes(Buffer.from(token.secret, 'hex').toString('base64url')),
  );
  const record = await tokens.redeem(await redemption(token, { zone: 'a' }));
  assert.equal(record.usedBy?.id, 'n1');
  await assert.rejects(tokens.redeem(await redemption(token)), {
    code: 'TRUST_TOKEN_USED',
    message: /by n1/,
  });
});

test('the same key may ask again, as the same member only', async () => {
  const { clock, tokens, issue } = setUp();
  const token = await issue();
  const key = makeKey();
  await tokens.redeem(await redemption(token, { key }));
  await tokens.redeem(await redemption(token, { key }));
  const asAnother = await redemption(token, { key, member: { id: 'n2' } });
  await assert.rejects(tokens.redeem(asAnother), { code: 'TRUST_TOKEN_USED' });
  clock.advanceTo(HOUR_MS);
  await assert.rejects(tokens.redeem(await redemption(token, { key })), { code: 'TRUST_TOKEN_EXPIRED' });
});

test('of two that come at once one joins', async () => {
  const { tokens, issue } = setUp();
  const token = await issue();
  const both = [await redemption(token), await redemption(token, { member: { id: 'n2' } })];
  const results = await Promise.allSettled(both.map((one) => tokens.redeem(one)));
  assert.deepEqual(results.map(({ status }) => status).sort(), ['fulfilled', 'rejected']);
  const lost = results.find((result) => result.status === 'rejected');
  assert.ok(isCoded(lost?.reason, 'TRUST_TOKEN_USED'));
});

test('who does not prove the secret learns nothing of the token', async () => {
  const { clock, tokens, issue } = setUp();
  const token = await issue();
  const other = await issue();
  const unknown = { code: 'TRUST_TOKEN_UNKNOWN' };
  const right = await redemption(token);
  const guesses = [
    { ...right, tokenId: '00'.repeat(8) },
    { ...right, proof: sign(null, PROVEN, secretKey(other.secret)) },
    { ...right, proven: Buffer.from('another session') },
    { ...right, proof: Buffer.alloc(0) },
    { ...right, proof: Buffer.alloc(64) },
  ];
  const tryAll = async () => {
    for (const guess of guesses) await assert.rejects(tokens.redeem(guess), unknown);
  };
  await tryAll();
  await tokens.redeem(right);
  await tryAll();
  await tokens.revoke(token.tokenId);
  await tryAll();
  clock.advanceTo(2 * HOUR_MS);
  await tryAll();
});

test('revoked and expired tokens let nobody in', async () => {
  const { clock, tokens, issue } = setUp();
  const [revoked, old] = [await issue(), await issue({ lifetimeMs: 1000 })];
  await tokens.revoke(revoked.tokenId);
  await assert.rejects(tokens.redeem(await redemption(revoked)), { code: 'TRUST_TOKEN_REVOKED' });
  await assert.rejects(tokens.revoke('00'.repeat(8)), { code: 'TRUST_TOKEN_UNKNOWN' });
  clock.advanceTo(1000);
  await assert.rejects(tokens.redeem(await redemption(old)), { code: 'TRUST_TOKEN_EXPIRED' });
  assert.deepEqual(
    (await tokens.list()).map(({ tokenId, revoked }) => [tokenId, revoked]),
    [[revoked.tokenId, true]],
  );
});

test('a token lets in whom it says: role, id and zone', async () => {
  const { tokens, issue } = setUp();
  const other = { code: 'TRUST_TOKEN_OTHER' };
  const any = await issue();
  await assert.rejects(tokens.redeem(await redemption(any, { member: { role: 'head' } })), {
    ...other,
    message: /lets a node in zone a join, the request is for rokka:\/\/petals\/head\/n1/,
  });
  await assert.rejects(tokens.redeem(await redemption(any, { zone: 'b' })), other);
  assert.equal((await tokens.redeem(await redemption(any))).zone, 'a');
  const one = await issue({ memberId: 'n7', zone: '' });
  await assert.rejects(tokens.redeem(await redemption(one)), other);
  await assert.rejects(tokens.redeem(await redemption(one, { member: { id: 'n7' }, zone: 'a' })), other);
  await tokens.redeem(await redemption(one, { member: { id: 'n7' } }));
});

test('old tokens are forgotten, after a day in which they say why they do not work', async () => {
  const { clock, store, tokens, issue } = setUp();
  const token = await issue();
  clock.advanceTo(24 * HOUR_MS);
  await tokens.prune();
  await assert.rejects(tokens.redeem(await redemption(token)), { code: 'TRUST_TOKEN_EXPIRED' });
  clock.advanceTo(26 * HOUR_MS);
  await issue();
  assert.equal((await store.list()).length, 1);
});

test('a store that never takes a write ends in words', async () => {
  const { clock, store, issue } = setUp();
  const token = await issue();
  const stubborn = {
    get: (id: string) => store.get(id),
    list: () => store.list(),
    put: async () => false,
    remove: async () => false,
  };
  const tokens = new JoinTokens({ store: stubborn, clock });
  await assert.rejects(tokens.redeem(await redemption(token)), { code: 'TRUST_TOKEN_CONTENDED' });
});

test('what cannot be issued is refused', async () => {
  const { issue } = setUp();
  await assert.rejects(issue({ addresses: ['nowhere'] }), { code: 'TRANSPORT_BAD_ADDRESS' });
  await assert.rejects(issue({ zone: 'a b' }), { code: 'TRUST_BAD_NAME' });
  await assert.rejects(issue({ memberId: '' }), { code: 'TRUST_BAD_NAME' });
});

test('who is a member already comes back by a token that names him, and nobody else becomes him', async () => {
  const { tokens, issue } = setUp(['n1']);
  const any = await issue();
  await assert.rejects(tokens.redeem(await redemption(any)), {
    code: 'TRUST_TOKEN_OTHER',
    message: /n1 again/,
  });
  await tokens.redeem(await redemption(any, { member: { id: 'n2' } }));
  await tokens.redeem(await redemption(await issue({ memberId: 'n1' })));
});

test('an answer that was lost can be asked for again, though its member is one by now', async () => {
  const members: string[] = [];
  const { tokens, issue } = setUp(members);
  const [token, key] = [await issue(), makeKey()];
  await tokens.redeem(await redemption(token, { key }));
  members.push('n1');
  await tokens.redeem(await redemption(token, { key }));
});
