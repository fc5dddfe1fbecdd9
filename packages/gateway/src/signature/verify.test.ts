import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Failure, type FailureKind } from '../failures.ts';
import type { WireRequest } from '../wire.ts';
import { ALICE, credentialsOf, SESSION } from '../testing/identity.ts';
import { signed, type ToSign } from '../testing/official-signer.ts';
import { SigningKeys } from './signing-keys.ts';
import { SKEW_MS_MAX, verifySignature } from './verify.ts';

const NOW = Date.UTC(2026, 0, 31, 12, 0, 0);
const MINUTE = 60_000;
const keys = new SigningKeys();
const credentials = credentialsOf(ALICE, SESSION, { ...SESSION, accessKeyId: 'ASIAPAST', expiresAtMs: NOW });

const sign = (of: Partial<ToSign> = {}) => signed({ atMs: NOW, credential: ALICE, ...of });

async function refused(
  request: WireRequest,
  kind: FailureKind,
  message?: RegExp,
  nowMs = NOW,
): Promise<void> {
  await assert.rejects(verifySignature(request, { credentials, keys, nowMs }), (error: unknown) => {
    assert.ok(error instanceof Failure);
    assert.equal(error.kind, kind);
    if (message) assert.match(error.message, message);
    return true;
  });
}

const withHeaders = (request: WireRequest, headers: Record<string, string | undefined>): WireRequest => ({
  ...request,
  headers: Object.fromEntries(
    Object.entries({ ...request.headers, ...headers }).filter(
      (entry): entry is [string, string] => entry[1] !== undefined,
    ),
  ),
});

test("the first example of AWS's own test suite", async () => {
  const example = {
    ...ALICE,
    accessKeyId: 'AKIDEXAMPLE',
    secretAccessKey: 'wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY',
  };
  const request: WireRequest = {
    method: 'GET',
    path: '/',
    query: new URLSearchParams(),
    headers: {
      host: 'example.amazonaws.com',
      'x-amz-date': '20150830T123600Z',
      authorization:
        'AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, SignedHeaders=host;x-amz-date, Signature=5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31',
    },
    body: Buffer.alloc(0),
  };
  const options = { credentials: credentialsOf(example), keys, nowMs: Date.UTC(2015, 7, 30, 12, 36) };
  assert.equal((await verifySignature(request, options)).scope.service, 'service');
});

test('refusals come in the order in which AWS gives them', async () => {
  const nobody = { ...ALICE, accessKeyId: 'AKIANOBODY', secretAccessKey: 'wrong' };
  const unsigned = withHeaders(await sign(), { authorization: undefined });
  await refused(unsigned, 'missingToken', /Missing Authentication Token/i);
  const late = await sign({ credential: nobody, atMs: NOW - 16 * MINUTE });
  await refused(withHeaders(late, { authorization: 'AWS4-HMAC-SHA256 Credential=x' }), 'incompleteSignature');
  await refused(
    late,
    'expiredSignature',
    /^Signature expired: 20260131T114400Z is now earlier than 20260131T114500Z/,
  );
  await refused(await sign({ credential: nobody }), 'unknownKey', /security token .* is invalid/);
  await refused(await sign({ credential: { ...ALICE, secretAccessKey: 'wrong' } }), 'wrongSignature');
  const past = { ...SESSION, accessKeyId: 'ASIAPAST' };
  await refused(await sign({ credential: { ...past, secretAccessKey: 'wrong' } }), 'wrongSignature');
  await refused(await sign({ credential: past }), 'expiredToken');
});

test('a clock may be a quarter of an hour off, and not a second more', async () => {
  for (const atMs of [NOW - SKEW_MS_MAX, NOW + SKEW_MS_MAX]) {
    const verified = await verifySignature(await sign({ atMs }), { credentials, keys, nowMs: NOW });
    assert.equal(verified.goodUntilMs, atMs + SKEW_MS_MAX);
  }
  await refused(await sign({ atMs: NOW - SKEW_MS_MAX - 1000 }), 'expiredSignature', /expired/);
  await refused(await sign({ atMs: NOW + SKEW_MS_MAX + 1000 }), 'expiredSignature', /not yet current/);
});

test('a presigned URL is good for as long as it says, up to seven days', async () => {
  const week = 604_800;
  const request = await sign({ expiresIn: week });
  await verifySignature(request, { credentials, keys, nowMs: NOW + week * 1000 });
  await refused(request, 'expiredUrl', undefined, NOW + week * 1000 + 1);
  await refused(request, 'expiredSignature', /not yet current/, NOW - SKEW_MS_MAX - 1);
  for (const expires of ['0', '604801', '-1', '1e3', '', '99999999999']) {
    const query = new URLSearchParams(request.query);
    query.set('X-Amz-Expires', expires);
    await refused({ ...request, query }, 'incompleteSignature', /X-Amz-Expires/);
  }
  const doubled = new URLSearchParams(request.query);
  doubled.append('X-Amz-Expires', '60');
  await refused({ ...request, query: doubled }, 'incompleteSignature', /more than once/);
});

test("a session's token belongs to its key", async () => {
  await verifySignature(await sign({ credential: SESSION }), { credentials, keys, nowMs: NOW });
  await verifySignature(await sign({ credential: SESSION, expiresIn: 60 }), {
    credentials,
    keys,
    nowMs: NOW,
  });
  const { sessionToken: _, ...without } = SESSION;
  await refused(await sign({ credential: without }), 'unknownKey');
  await refused(await sign({ credential: { ...SESSION, sessionToken: 'another' } }), 'unknownKey');
  await refused(await sign({ credential: { ...ALICE, sessionToken: 'of nobody' } }), 'unknownKey');
});

test('what must be signed is signed: the host, and each x-amz header that is there', async () => {
  const request = await sign({ headers: { 'x-amz-target': 'A.B' } });
  const without = (name: string) =>
    withHeaders(request, { authorization: request.headers['authorization'].replace(`${name};`, '') });
  await refused(without('host'), 'wrongSignature', /'Host' or ':authority' must be/);
  await refused(without('x-amz-date'), 'wrongSignature', /x-amz-date/);
  await refused(withHeaders(request, { 'x-amz-extra': '1' }), 'wrongSignature', /x-amz-extra/);
  await refused(
    withHeaders(request, { 'x-amz-target': undefined }),
    'wrongSignature',
    /not there: x-amz-target/,
  );
  const unsigned = withHeaders(request, { 'x-amz-content-sha256': 'UNSIGNED-PAYLOAD' });
  await refused(unsigned, 'wrongSignature');
});

test('claims that are not whole are refused by what they lack', async () => {
  const request = await sign();
  const { authorization } = request.headers;
  const claims: [string, RegExp][] = [
    ['Bearer x', /algorithm/],
    [authorization.replace('AWS4-HMAC-SHA256', 'AWS4-HMAC-SHA1'), /algorithm/],
    [authorization.replace(/Signature=.*/, ''), /key=value/],
    [authorization.replace(/, Signature=.*/, ''), /requires 'Signature'/],
    [authorization.replace(/Signature=.*/, 'Signature=abc'), /64 digits/],
    [authorization.replace('/aws4_request', ''), /5 slash-delimited/],
    [authorization.replace('/aws4_request', '/aws4_request/x'), /5 slash-delimited/],
    [authorization.replace(/Credential=[^,]*/, `Credential=${'a'.repeat(600)}`), /5 slash-delimited/],
    [authorization.replace(/SignedHeaders=[^,]*, /, ''), /SignedHeaders/],
  ];
  for (const [claim, message] of claims)
    await refused(withHeaders(request, { authorization: claim }), 'incompleteSignature', message);
  await refused(withHeaders(request, { 'x-amz-date': 'now' }), 'incompleteSignature', /ISO-8601/);
  await refused(
    withHeaders(request, { 'x-amz-date': '20261399T999999Z' }),
    'incompleteSignature',
    /ISO-8601/,
  );
  await refused(withHeaders(request, { 'x-amz-date': undefined }), 'incompleteSignature', /X-Amz-Date/);
  const otherDay = authorization.replace('/20260131/', '/20260130/');
  await refused(
    withHeaders(request, { authorization: otherDay }),
    'wrongSignature',
    /does not match YYYYMMDD/,
  );
});
