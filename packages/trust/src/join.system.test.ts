/** Joining on real sockets: members, strangers, men in the middle, and those who say too much or too little. */
import assert from 'node:assert/strict';
import { sign } from 'node:crypto';
import { once } from 'node:events';
import * as net from 'node:net';
import { test } from 'node:test';
import * as tls from 'node:tls';
import { deadline, Deferred, systemClock, systemRandom, type Clock, type CodedError } from '@rokka/kernel';
import { tlsNetwork, type TlsIdentity } from '@rokka/transport';
import { certificatesIn } from './issued.ts';
import { makeKey, makeRequest } from './certificates.ts';
import { joinCluster } from './join-client.ts';
import { channelBinding, provenBytes, readLine, writeLine } from './join-conversation.ts';
import { decodeJoinToken, encodeJoinToken, secretKey } from './join-token.ts';
import { TestCluster } from './testing/cluster.ts';

const TEST = { timeout: 180_000 };
const clock = systemClock;
const within = <T>(work: Promise<T>, what: string) => deadline(work, { what, ms: 60_000 });
const joining = (token: string, more: Partial<Parameters<typeof joinCluster>[0]> = {}) =>
  joinCluster({ token, id: 'n1', hosts: ['127.0.0.1'], clock, ...more });

test('a machine joins with its token, and is a member for the others', TEST, async () => {
  await using cluster = await TestCluster.start();
  const token = await cluster.token();
  const joined = await joining(token, { zone: 'a' });
  assert.deepEqual([joined.member, joined.zone], [{ cluster: 'petals', role: 'node', id: 'n1' }, 'a']);
  assert.deepEqual(cluster.joined, ['node n1 a']);
  const nodes = tlsNetwork({ clock, random: systemRandom, identity: () => joined.identity });
  await using listener = await nodes.listen('127.0.0.1:0', () => ({ onFrame() {}, onClose() {} }));
  const head = await cluster.issue('head', 'h1');
  const heads = tlsNetwork({ clock, random: systemRandom, identity: () => head });
  const connection = await heads.connect(
    `n1@${listener.address}`,
    { onFrame() {}, onClose() {} },
    { timeoutMs: 60_000 },
  );
  assert.equal(connection.peerIdentity?.id, 'n1');
  connection.close();
});

test('a token serves once; an interrupted join goes on with the same key', TEST, async () => {
  await using cluster = await TestCluster.start();
  const token = await cluster.token();
  const key = makeKey();
  await joining(token, { key });
  await assert.rejects(joining(token), { code: 'TRUST_TOKEN_USED', message: /by n1/ });
  await joining(token, { key });
  assert.deepEqual(
    cluster.refused.map(({ code }) => code),
    ['TRUST_TOKEN_USED'],
  );
});

test('unknown, altered, revoked and expired tokens, and those for somebody else', TEST, async () => {
  await using cluster = await TestCluster.start();
  const refused = async (token: string, code: string, more: Parameters<typeof joining>[1] = {}) => {
    await assert.rejects(joining(token, more), { code });
    assert.equal(cluster.refused.at(-1)?.code, code);
  };
  const good = decodeJoinToken(await cluster.token());
  await refused(encodeJoinToken({ ...good, tokenId: '00'.repeat(8) }), 'TRUST_TOKEN_UNKNOWN');
  await refused(encodeJoinToken({ ...good, secret: '00'.repeat(32) }), 'TRUST_TOKEN_UNKNOWN');
  const revoked = await cluster.token();
  await cluster.tokens.revoke(decodeJoinToken(revoked).tokenId);
  await refused(revoked, 'TRUST_TOKEN_REVOKED');
  await refused(encodeJoinToken({ ...good, role: 'head' }), 'TRUST_TOKEN_OTHER');
  await refused(encodeJoinToken(good), 'TRUST_TOKEN_OTHER', { zone: 'b' });
  await refused(await cluster.token({ memberId: 'n7' }), 'TRUST_TOKEN_OTHER');
  const short = await cluster.token({ lifetimeMs: 1 });
  await clock.sleep(5);
  await refused(short, 'TRUST_TOKEN_EXPIRED');
  assert.deepEqual(cluster.joined, []);
  assert.ok(await cluster.isUnused(encodeJoinToken(good)));
});

/** Answers with this identity, and keeps what it is told. */
async function impostor(identity: { cert: string; key: string }) {
  const heard: Buffer[] = [];
  const server = tls.createServer({ ...identity, minVersion: 'TLSv1.3' }, (socket) => {
    socket.on('error', () => {}).on('data', (data: Buffer) => heard.push(data));
    writeLine(socket, { rokka: 'join', version: 1, timeMs: Date.now() });
  });
  server.on('tlsClientError', () => {});
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    address: `127.0.0.1:${(server.address() as net.AddressInfo).port}`,
    heard,
    async [Symbol.asyncDispose]() {
      server.close();
      await once(server, 'close');
    },
  };
}

test('whoever answers without the pinned authority hears nothing', TEST, async () => {
  await using cluster = await TestCluster.start();
  await using other = await TestCluster.start();
  const { certificate, key, authorities } = other.identity;
  const own = cluster.authority.authorities;
  for (const [cert, code] of [
    // An authority of his own; the true one shown beside it; the true one shown instead.
    [certificate + authorities, 'TRUST_WRONG_PIN'],
    [certificate + authorities + own, 'TRUST_WRONG_PIN'],
    [certificate + own, 'TRUST_WRONG_PIN'],
  ] as const) {
    await using between = await impostor({ cert, key });
    const token = await cluster.token({ addresses: [between.address] });
    await assert.rejects(joining(token), { code });
    assert.ok(await cluster.isUnused(token));
    assert.deepEqual(between.heard, []);
  }
});

test('a forged certificate beneath the true authority hears nothing', TEST, async () => {
  await using cluster = await TestCluster.start();
  await using other = await TestCluster.start();
  // He has the authority's name and certificate, not its key.
  const [root] = certificatesIn(cluster.authority.authorities);
  const forged = await forgedBy(other, root?.subject ?? '');
  await using between = await impostor({
    cert: forged.certificate + cluster.authority.authorities,
    key: forged.key,
  });
  const token = await cluster.token({ addresses: [between.address] });
  await assert.rejects(joining(token), { code: 'TRUST_WRONG_PIN' });
  assert.deepEqual(between.heard, []);
});

/** A certificate that claims to be issued by `subject`. */
async function forgedBy(stranger: TestCluster, subject: string): Promise<TlsIdentity> {
  const x509 = await import('@peculiar/x509');
  const keys = await crypto.subtle.generateKey({ name: 'ECDSA', namedCurve: 'P-256' }, true, [
    'sign',
    'verify',
  ]);
  const certificate = await x509.X509CertificateGenerator.create({
    subject: 'CN=authority ca',
    issuer: subject.split('\n').join(', '),
    publicKey: keys.publicKey,
    signingKey: keys.privateKey,
    signingAlgorithm: { name: 'ECDSA', hash: 'SHA-256' },
    notBefore: new Date(Date.now() - 60_000),
    notAfter: new Date(Date.now() + 3_600_000),
    extensions: [
      new x509.SubjectAlternativeNameExtension([{ type: 'url', value: 'rokka://petals/authority/ca' }]),
    ],
  });
  const pkcs8 = Buffer.from(await crypto.subtle.exportKey('pkcs8', keys.privateKey));
  return {
    certificate: `${certificate.toString('pem')}\n`,
    key: x509.PemConverter.encode(pkcs8, 'PRIVATE KEY'),
    authorities: stranger.authority.authorities,
  };
}

test('a member that is not the authority hears nothing, stolen key or not', TEST, async () => {
  await using cluster = await TestCluster.start();
  for (const role of ['node', 'head'] as const) {
    const { certificate, authorities, key } = await cluster.issue(role, 'x1');
    await using between = await impostor({ cert: certificate + authorities, key });
    const token = await cluster.token({ addresses: [between.address] });
    await assert.rejects(joining(token), {
      code: 'TRUST_NOT_AUTHORITY',
      message: new RegExp(`rokka://petals/${role}/x1`),
    });
    assert.deepEqual(between.heard, []);
  }
});

test('a clock that is an hour off is told before the token is spent', TEST, async () => {
  await using cluster = await TestCluster.start();
  const token = await cluster.token();
  const shifted = (ms: number): Clock => ({ ...clock, wallMs: () => clock.wallMs() + ms });
  await assert.rejects(joining(token, { clock: shifted(3_600_000) }), {
    code: 'TRUST_CLOCK_OFF',
    message: /this machine's clock says .*Z, that of 127.* \d{4}-.*Z.*set the clock/,
  });
  // So far behind that the authority's own certificate is of the future.
  await assert.rejects(joining(token, { clock: shifted(-3_600_000) }), {
    code: 'TRUST_CLOCK_OUTSIDE',
    message: /set the clock/,
  });
  assert.ok(await cluster.isUnused(token));
  await joining(token, { clock: shifted(-240_000) });
});

test('the first address that answers is taken; where none does, it says so', TEST, async () => {
  await using cluster = await TestCluster.start();
  const server = net.createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const dead = `127.0.0.1:${(server.address() as net.AddressInfo).port}`;
  server.close();
  await once(server, 'close');
  await joining(await cluster.token({ addresses: [dead, cluster.joins.address] }));
  await assert.rejects(joining(await cluster.token({ addresses: [dead] })), {
    code: 'TRUST_JOIN_UNREACHABLE',
    message: /ECONNREFUSED/,
  });
  const silent = net.createServer((socket) => socket.on('error', () => {})).listen(0, '127.0.0.1');
  await once(silent, 'listening');
  const mute = `127.0.0.1:${(silent.address() as net.AddressInfo).port}`;
  await assert.rejects(joining(await cluster.token({ addresses: [mute] }), { timeoutMs: 100 }), {
    code: 'TRUST_JOIN_UNREACHABLE',
  });
  silent.close();
});

/** A client that says what it likes. */
async function guest(address: string) {
  const [host = '', port = ''] = address.split(':');
  const socket = tls.connect({ host, port: Number(port), rejectUnauthorized: false });
  const gone = new Deferred<void>();
  socket.on('error', () => {}).on('close', () => gone.resolve());
  await within(once(socket, 'secureConnect'), 'the handshake');
  const line = () => within(readLine(socket, { peer: 'the server', bytesMax: 65_536 }), 'a line');
  assert.equal((await line())['rokka'], 'join');
  return { socket, line, gone: () => within(gone.promise, 'the end') };
}

const codeIn = (line: Record<string, unknown>) => (line['error'] as { code: string } | undefined)?.code;

test('what was said in one session is worth nothing in another', TEST, async () => {
  await using cluster = await TestCluster.start();
  const { tokenId, secret } = decodeJoinToken(await cluster.token());
  const identity = { cluster: 'petals', role: 'node', id: 'n1' } as const;
  const request = await makeRequest({ key: makeKey(), identity, hosts: [] });
  const said = { tokenId, zone: '', request };
  const proofFor = (socket: tls.TLSSocket, of = said) =>
    sign(null, provenBytes(channelBinding(socket), of), secretKey(secret)).toString('base64url');
  const [first, second, third] = [
    await guest(cluster.joins.address),
    await guest(cluster.joins.address),
    await guest(cluster.joins.address),
  ];
  const relayed = second.line();
  writeLine(second.socket, { ...said, proof: proofFor(first.socket) });
  assert.equal(codeIn(await relayed), 'TRUST_TOKEN_UNKNOWN');
  // Nor is a proof for one request worth anything for another.
  const other = await makeRequest({ key: makeKey(), identity, hosts: [] });
  const swapped = third.line();
  writeLine(third.socket, { ...said, request: other, proof: proofFor(third.socket) });
  assert.equal(codeIn(await swapped), 'TRUST_TOKEN_UNKNOWN');
  const answered = first.line();
  writeLine(first.socket, { ...said, proof: proofFor(first.socket) });
  assert.equal(codeIn(await answered), undefined);
  assert.deepEqual(cluster.joined, ['node n1 a']);
  for (const { socket } of [first, second, third]) socket.destroy();
});

test('nonsense is answered in one line, and costs no more', TEST, async () => {
  await using cluster = await TestCluster.start({ join: { failures: { perSource: 1000 } } });
  const request = await makeRequest({
    key: makeKey(),
    identity: { cluster: 'petals', role: 'node', id: 'n1' },
    hosts: [],
  });
  const foreign = await makeRequest({
    key: makeKey(),
    identity: { cluster: 'leaves', role: 'node', id: 'n1' },
    hosts: [],
  });
  const right = { tokenId: '00'.repeat(8), zone: '', request, proof: 'AA' };
  for (const [said, code] of [
    ['hello', 'TRUST_JOIN_BROKEN'],
    ['[]', 'TRUST_JOIN_BROKEN'],
    ['null', 'TRUST_JOIN_BROKEN'],
    ['{}', 'TRUST_JOIN_BROKEN'],
    ['{}\n{}', 'TRUST_JOIN_BROKEN'],
    [JSON.stringify({ ...right, tokenId: '../../root' }), 'TRUST_JOIN_BROKEN'],
    [JSON.stringify({ ...right, tokenId: 7 }), 'TRUST_JOIN_BROKEN'],
    [JSON.stringify({ ...right, zone: 'a\nb' }), 'TRUST_JOIN_BROKEN'],
    [JSON.stringify({ ...right, request: 'nonsense' }), 'TRUST_BAD_REQUEST'],
    [JSON.stringify({ ...right, request: foreign }), 'TRUST_WRONG_CLUSTER'],
    [JSON.stringify(right), 'TRUST_TOKEN_UNKNOWN'],
    [`{"request":"${'x'.repeat(18_000)}"}`, 'TRUST_JOIN_BROKEN'],
  ] as const) {
    const { socket, line, gone } = await guest(cluster.joins.address);
    const answered = line();
    socket.write(`${said}\n`);
    assert.equal(codeIn(await answered), code, said);
    await gone();
  }
  const flood = await guest(cluster.joins.address);
  flood.socket.write('x'.repeat(10_000_000));
  await flood.gone();
  assert.deepEqual(cluster.joined, []);
});

test('who dawdles is sent away, at any point', TEST, async () => {
  await using cluster = await TestCluster.start({ join: { timeoutMs: 2_000 } });
  const plain = net.connect(Number(cluster.joins.address.split(':')[1]), '127.0.0.1');
  await within(
    once(
      plain.on('error', () => {}),
      'close',
    ),
    'the end',
  );
  const { socket, gone } = await guest(cluster.joins.address);
  socket.write('{"tokenId":');
  await gone();
  assert.deepEqual(
    cluster.refused.map(({ code }) => code),
    ['TRUST_JOIN_LATE', 'TRUST_JOIN_LATE'],
  );
});

test('a crowd of dawdlers does not keep others out', TEST, async () => {
  await using cluster = await TestCluster.start({ join: { connectionsMax: 4 } });
  const crowd = Array.from({ length: 10 }, () =>
    net.connect(Number(cluster.joins.address.split(':')[1]), '127.0.0.1').on('error', () => {}),
  );
  await joining(await cluster.token());
  for (const one of crowd) one.destroy();
});

test('after too many failures a source is not heard for a while', TEST, async () => {
  const refused: CodedError[] = [];
  await using cluster = await TestCluster.start({
    join: { failures: { perSource: 3 }, onRefused: (reason) => void refused.push(reason) },
  });
  const good = await cluster.token();
  const wrong = encodeJoinToken({ ...decodeJoinToken(good), secret: '00'.repeat(32) });
  for (let i = 0; i < 3; i++) await assert.rejects(joining(wrong), { code: 'TRUST_TOKEN_UNKNOWN' });
  await assert.rejects(joining(good), { code: 'TRUST_JOIN_UNREACHABLE' });
  assert.equal(refused.at(-1)?.code, 'TRUST_JOIN_LIMITED');
});
