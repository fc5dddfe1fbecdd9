/**
 * The official signer against ours: whatever it signs is accepted, and every copy with one thing changed is refused.
 * ROKKA_SIGNATURES=10000 tries more, ROKKA_SEED others.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SeededRandom } from '@rokka/kernel';
import { Failure } from '../failures.ts';
import type { WireRequest } from '../wire.ts';
import { ALICE, credentialsOf, SESSION } from '../testing/identity.ts';
import { signed, type ToSign } from '../testing/official-signer.ts';
import { SigningKeys } from './signing-keys.ts';
import { verifySignature } from './verify.ts';

const COUNT = Number(process.env['ROKKA_SIGNATURES'] ?? 10_000);
const SEED = Number(process.env['ROKKA_SEED'] ?? 1);
const NOW = Date.UTC(2026, 0, 31, 12, 0, 0);

const keys = new SigningKeys();
const credentials = credentialsOf(ALICE, SESSION);
const PATHS = [
  '/',
  '/a/b',
  '/bots/x%20y/s%3A1',
  '/a%2Fb/c',
  "/v1/s'(1)*",
  '/a/../b//c/',
  '/%E9%9B%AA/',
  '/./x',
];
const BODIES = ['', '{}', 'Action=X&A=%20b', 'ü'.repeat(9), '\u0000\u0001'];
const QUERIES: Record<string, string | string[]>[] = [
  {},
  { 'max-results': '7', 'next-token': 'a+b/c=' },
  { x: ['2', '1', '10'], X: 'ü &' },
  { a: '', 'a-b': '1', 'a.b': '2' },
  { '雪 *': "'()!" },
];
const HEADERS: Record<string, string>[] = [
  { 'content-type': 'application/json' },
  { 'x-amz-target': ' a   b ', 'content-type': 'text/plain;  charset=utf-8' },
  { 'X-Amz-Meta': '\tv\t', 'user-agent': 'not signed', z: '' },
];

test('what the official signer signs is accepted, and what is changed after it is refused', async () => {
  const random = new SeededRandom(SEED);
  for (let i = 0; i < COUNT; i++) {
    const asked = randomRequest(random);
    const request = await signed(asked);
    const verified = await verifySignature(request, { credentials, keys, nowMs: NOW });
    assert.equal(verified.credential.accessKeyId, asked.credential.accessKeyId);
    assert.equal(verified.scope.region, asked.region);
    const [what, changed] = tampered(random, request);
    await assert.rejects(
      verifySignature(changed, { credentials, keys, nowMs: NOW }),
      Failure,
      `${what} of ${JSON.stringify(asked)}`,
    );
  }
});

function randomRequest(random: SeededRandom): ToSign & { region: string } {
  return {
    method: random.pick(['GET', 'POST', 'DELETE']),
    path: random.pick(PATHS),
    query: random.pick(QUERIES),
    headers: random.pick(HEADERS),
    body: random.pick(BODIES),
    service: random.pick(['rds', 'ec2', 'lex']),
    region: random.pick(['us-east-1', 'eu-north-1']),
    credential: random.pick([ALICE, SESSION]),
    atMs: NOW + random.below(1_700_000) - 850_000,
    ...(random.chance(0.3) ? { expiresIn: 1000 + random.below(600_000) } : {}),
  };
}

function tampered(random: SeededRandom, request: WireRequest): [string, WireRequest] {
  const withHeader = (name: string, value: string): WireRequest => ({
    ...request,
    headers: { ...request.headers, [name]: value },
  });
  const withQuery = (change: (query: URLSearchParams) => void): WireRequest => {
    const query = new URLSearchParams(request.query);
    change(query);
    return { ...request, query };
  };
  const name = random.pick([
    'authorization',
    'host',
    'x-amz-date',
    'content-type',
    'x-amz-content-sha256',
    'x-amz-target',
  ]);
  const value = request.headers[name];
  const at = value === undefined ? 0 : random.below(value.length);
  return random.pick<[string, WireRequest]>([
    ['method', { ...request, method: 'PUT' }],
    ['path', { ...request, path: `${request.path}x` }],
    ['body', { ...request, body: Buffer.concat([request.body, Buffer.from('!')]) }],
    ['another parameter', withQuery((query) => query.append('z', '1'))],
    [
      'a parameter gone',
      withQuery((query) => (query.size > 0 ? query.delete([...query.keys()][0]) : query.append('y', ''))),
    ],
    ['another x-amz header', withHeader('x-amz-more', '1')],
    ['no host', withHeader('host', 'evil')],
    value === undefined || value.length === 0
      ? ['token', withHeader('x-amz-security-token', 'of somebody else')]
      : [`${name} at ${at}`, withHeader(name, flipped(value, at))],
  ]);
}

/** One character changed, and not into what counts as the same: white space may be more. */
function flipped(text: string, at: number): string {
  const replacement = text[at] === 'q' ? 'w' : 'q';
  return text.slice(0, at) + replacement + text.slice(at + 1);
}
