/** What strangers, old certificates, wrong members and slow hands do to the TLS network. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import * as net from 'node:net';
import { test } from 'node:test';
import * as tls from 'node:tls';
import { deadline, Deferred, systemClock, systemRandom, type CodedError } from '@rokka/kernel';
import type { Connection, ConnectionHandler } from './connection.ts';
import { encodeFrame } from './frame.ts';
import { PREAMBLE } from './preamble.ts';
import { TestAuthority } from './testing/test-authority.ts';
import type { TlsIdentity } from './tls-credentials.ts';
import { tlsNetwork, type TlsNetworkOptions } from './tls-network.ts';

const TEST = { timeout: 180_000 };
const CONNECT = { timeoutMs: 60_000 };
const ANY_PORT = '127.0.0.1:0';
const within = <T>(work: Promise<T>, what: string) => deadline(work, { what, ms: 60_000 });

const networkOf = (identity: TlsIdentity | (() => TlsIdentity), more: Partial<TlsNetworkOptions> = {}) =>
  tlsNetwork({
    clock: systemClock,
    random: systemRandom,
    identity: typeof identity === 'function' ? identity : () => identity,
    ...more,
  });

const silent: ConnectionHandler = { onFrame() {}, onClose() {} };

/** A listener that keeps what it hears, and why connections were refused or ended, each as it comes. */
async function listening(identity: TlsIdentity | (() => TlsIdentity), more: Partial<TlsNetworkOptions> = {}) {
  const reasons: CodedError[] = [];
  let arrived = new Deferred<void>();
  const note = (reason: CodedError) => {
    reasons.push(reason);
    arrived.resolve();
  };
  const frames: string[] = [];
  const connections: Connection[] = [];
  const network = networkOf(identity, { onRefused: note, ...more });
  const listener = await network.listen(ANY_PORT, (connection) => {
    connections.push(connection);
    return {
      onFrame: (_, { body }) => void frames.push(Buffer.from(body).toString()),
      onClose: (_, reason) => note(reason),
    };
  });
  const { address } = listener;
  return {
    address,
    port: Number(address.split(':')[1]),
    frames,
    connections,
    /** The next reason. */
    async reason(): Promise<CodedError> {
      if (reasons.length === 0) await within(arrived.promise, 'a refusal');
      arrived = new Deferred();
      return reasons.shift() as CodedError;
    },
    reasons,
    [Symbol.asyncDispose]: () => listener[Symbol.asyncDispose](),
  };
}

/** Sends `bytes` without TLS; errors are expected of it. */
function plain(port: number, bytes: string | Uint8Array = '') {
  const socket = net.connect(port, '127.0.0.1');
  const gone = new Deferred<void>();
  socket.on('error', () => {}).on('close', () => gone.resolve());
  const heard: Buffer[] = [];
  socket.on('data', (data: Buffer) => heard.push(data));
  socket.write(bytes);
  return { socket, heard, gone: () => within(gone.promise, 'the close') };
}

/** A TLS client of its own kind. */
function guest(port: number, options: tls.ConnectionOptions) {
  const socket = tls.connect({ host: '127.0.0.1', port, rejectUnauthorized: false, ...options });
  const gone = new Deferred<void>();
  socket.on('error', () => {}).on('close', () => gone.resolve());
  const heard: Buffer[] = [];
  socket.on('data', (data: Buffer) => heard.push(data));
  return { socket, heard, gone: () => within(gone.promise, 'the close') };
}

test('members know each other', TEST, async () => {
  const authority = await TestAuthority.make();
  await using at = await listening(await authority.issue({ id: 'n1' }));
  const network = networkOf(await authority.issue({ role: 'head', id: 'h1' }));
  const connection = await network.connect(`n1@${at.address}`, silent, CONNECT);
  assert.equal(connection.peerIdentity?.role, 'node');
  assert.equal(connection.peerIdentity.id, 'n1');
  const [accepted] = at.connections;
  assert.equal(accepted?.peerIdentity?.role, 'head');
  assert.equal(accepted.peerIdentity.cluster, 'petals');
  assert.match(accepted.peer, /^head h1 at 127\.0\.0\.1:\d+$/);
  connection.close();
});

test('a stranger with an authority of his own gets nowhere, in either direction', TEST, async () => {
  const authority = await TestAuthority.make();
  const other = await TestAuthority.make();
  await using at = await listening(await authority.issue());
  // He believes the cluster's authority, so it is the listener that must refuse him.
  const stranger = await other.issue({}, authority.certificate);
  await assert.rejects(networkOf(stranger).connect(at.address, silent, CONNECT), {
    code: 'TRANSPORT_TLS_REFUSED',
    message: /rokka:\/\/petals\/node\/n1, valid from .*Z to .*Z/,
  });
  const reason = await at.reason();
  assert.equal(reason.code, 'TRANSPORT_TLS_UNTRUSTED');
  assert.match(reason.message, /^127\.0\.0\.1:\d+: /);
  // The other way round: a member is not taken in by a stranger who listens.
  await using trap = await listening(stranger);
  const member = networkOf(await authority.issue());
  await assert.rejects(member.connect(trap.address, silent, CONNECT), { code: 'TRANSPORT_TLS_UNTRUSTED' });
  assert.deepEqual([at.connections, trap.connections], [[], []]);
});

test('a stranger with an authority of the same name gets nowhere either', TEST, async () => {
  const authority = await TestAuthority.make('petals', 'CN=authority');
  const other = await TestAuthority.make('petals', 'CN=authority');
  await using at = await listening(await authority.issue());
  const stranger = await other.issue({}, authority.certificate);
  await assert.rejects(networkOf(stranger).connect(at.address, silent, CONNECT), {
    code: 'TRANSPORT_TLS_REFUSED',
  });
  assert.equal((await at.reason()).code, 'TRANSPORT_TLS_UNTRUSTED');
});

test('a member cannot be an authority', TEST, async () => {
  const authority = await TestAuthority.make();
  await using at = await listening(await authority.issue());
  const forged = await authority.forge(await authority.issue(), { role: 'admin', id: 'root' });
  await assert.rejects(networkOf(forged).connect(at.address, silent, CONNECT), {
    code: 'TRANSPORT_TLS_REFUSED',
  });
  assert.equal((await at.reason()).code, 'TRANSPORT_TLS_UNTRUSTED');
});

test('certificates out of their time are refused, with a word about clocks', TEST, async () => {
  const authority = await TestAuthority.make();
  await using at = await listening(await authority.issue());
  const member = networkOf(await authority.issue());
  for (const [times, code] of [
    [{ validFromMs: -60_000, validToMs: -1_000 }, 'TRANSPORT_TLS_EXPIRED'],
    [{ validFromMs: 1_800_000, validToMs: 3_000_000 }, 'TRANSPORT_TLS_NOT_YET_VALID'],
  ] as const) {
    const odd = await authority.issue(times);
    await assert.rejects(networkOf(odd).connect(at.address, silent, CONNECT), {
      code: 'TRANSPORT_TLS_REFUSED',
      message: /clock/,
    });
    const reason = await at.reason();
    assert.equal(reason.code, code);
    assert.match(reason.message, /^127\.0\.0\.1:\d+: .*clock.*\d{4}-\d\d-\d\dT[\d:]{8}Z/);
    await using trap = await listening(odd);
    await assert.rejects(member.connect(trap.address, silent, CONNECT), { code, message: /clock/ });
  }
  assert.deepEqual(at.connections, []);
});

test('a member of another cluster is refused, though both authorities are believed', TEST, async () => {
  const authority = await TestAuthority.make('petals');
  const foreign = await TestAuthority.make('leaves');
  const both = authority.certificate + foreign.certificate;
  await using at = await listening(await authority.issue({}, both));
  const leaf = await foreign.issue({}, both);
  await assert.rejects(networkOf(leaf).connect(at.address, silent, CONNECT), {
    code: 'TRANSPORT_TLS_WRONG_CLUSTER',
    message: /rokka:\/\/petals\/node\/n1.*leaves/,
  });
  await using far = await listening(leaf);
  // The client sees it first: what the listener says is seen with one that looks for itself.
  const { gone } = guest(at.port, { cert: leaf.certificate, key: leaf.key });
  await gone();
  const codes = [(await at.reason()).code, (await at.reason()).code];
  assert.ok(codes.includes('TRANSPORT_TLS_WRONG_CLUSTER'), codes.join());
  assert.deepEqual([at.connections, far.connections], [[], []]);
});

test('no certificate, no entry, and not a byte of the protocol', TEST, async () => {
  const authority = await TestAuthority.make();
  await using at = await listening(await authority.issue());
  const { gone, heard, socket } = guest(at.port, { ca: authority.certificate });
  socket.write(Buffer.concat([PREAMBLE, encodeFrame(1, 0, [Buffer.from('hello')])]));
  assert.equal((await at.reason()).code, 'TRANSPORT_TLS_NO_CERTIFICATE');
  await gone();
  assert.deepEqual([at.frames, at.connections, heard], [[], [], []]);
});

test('who does not name a member is nobody', TEST, async () => {
  const authority = await TestAuthority.make();
  await using at = await listening(await authority.issue());
  const nobody = await authority.issue({ uris: [] });
  await guest(at.port, { cert: nobody.certificate, key: nobody.key }).gone();
  assert.equal((await at.reason()).code, 'TRANSPORT_TLS_NO_IDENTITY');
  assert.deepEqual(at.connections, []);
});

test('roles, ids and admission are checked on both sides', TEST, async () => {
  const authority = await TestAuthority.make();
  const removed: string[] = [];
  const admits = ({ id }: { id: string }) => !removed.includes(id);
  await using at = await listening(await authority.issue({ id: 'n1' }), { acceptRoles: ['head'], admits });
  const head = networkOf(await authority.issue({ role: 'head', id: 'h1' }));
  (await head.connect(at.address, silent, CONNECT)).close();
  assert.equal((await at.reason()).code, 'TRANSPORT_CLOSED');
  await assert.rejects(
    networkOf(await authority.issue({ role: 'node', id: 'n2' })).connect(at.address, silent, CONNECT),
    { code: 'TRANSPORT_TLS_REFUSED' },
  );
  const role = await at.reason();
  assert.equal(role.code, 'TRANSPORT_TLS_WRONG_ROLE');
  assert.match(role.message, /rokka:\/\/petals\/node\/n2, here only head/);
  removed.push('h1');
  await assert.rejects(head.connect(at.address, silent, CONNECT), { code: 'TRANSPORT_TLS_REFUSED' });
  assert.equal((await at.reason()).code, 'TRANSPORT_TLS_NOT_ADMITTED');

  removed.length = 0;
  await assert.rejects(head.connect(`n2@${at.address}`, silent, CONNECT), {
    code: 'TRANSPORT_TLS_WRONG_PEER',
    message: /rokka:\/\/petals\/node\/n1, not n2/,
  });
  const picky = networkOf(await authority.issue({ role: 'head' }), { connectRoles: ['authority'] });
  await assert.rejects(picky.connect(at.address, silent, CONNECT), { code: 'TRANSPORT_TLS_WRONG_ROLE' });
  // A person's certificate serves nobody.
  await using person = await listening(await authority.issue({ role: 'admin', id: 'eva' }));
  await assert.rejects(head.connect(person.address, silent, CONNECT), { code: 'TRANSPORT_TLS_WRONG_ROLE' });
});

test('a member that listens where its certificate does not say is not believed', TEST, async () => {
  const authority = await TestAuthority.make();
  await using at = await listening(await authority.issue({ hosts: ['10.0.0.7', 'node-1.example'] }));
  const member = networkOf(await authority.issue());
  await assert.rejects(member.connect(at.address, silent, CONNECT), {
    code: 'TRANSPORT_TLS_WRONG_HOST',
    message: /127\.0\.0\.1.*10\.0\.0\.7/,
  });
});

test('whoever does not speak TLS 1.3 is told off', TEST, async () => {
  const authority = await TestAuthority.make();
  const member = await authority.issue();
  await using at = await listening(member);
  for (const bytes of ['GET / HTTP/1.1\r\nHost: petals\r\n\r\n', PREAMBLE, Buffer.alloc(64, 0xff)]) {
    const { gone, heard } = plain(at.port, bytes);
    assert.equal((await at.reason()).code, 'TRANSPORT_TLS_NOT_TLS');
    await gone();
    // An alert at most.
    assert.ok(Buffer.concat(heard).length <= 7);
  }
  await guest(at.port, { cert: member.certificate, key: member.key, maxVersion: 'TLSv1.2' }).gone();
  assert.equal((await at.reason()).code, 'TRANSPORT_TLS_NOT_TLS');
  assert.deepEqual(at.connections, []);
});

test('a listener that does not speak TLS is named as such', TEST, async () => {
  const authority = await TestAuthority.make();
  const server = net.createServer((socket) => socket.on('error', () => {}).end('220 mail.example ESMTP\r\n'));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = `127.0.0.1:${(server.address() as net.AddressInfo).port}`;
  const network = networkOf(await authority.issue());
  await assert.rejects(network.connect(address, silent, CONNECT), { code: 'TRANSPORT_TLS_NOT_TLS' });
  server.close();
});

test('a listener that accepts and says nothing comes to the deadline', TEST, async () => {
  const authority = await TestAuthority.make();
  const accepted: net.Socket[] = [];
  const server = net.createServer((socket) => accepted.push(socket.on('error', () => {})));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = `127.0.0.1:${(server.address() as net.AddressInfo).port}`;
  const network = networkOf(await authority.issue());
  await assert.rejects(network.connect(address, silent, { timeoutMs: 50 }), { code: 'KERNEL_DEADLINE' });
  for (const socket of accepted) socket.destroy();
  server.close();
});

/** The beginning of a handshake that is never finished. */
function clientHello(): Promise<Buffer> {
  const hello = new Deferred<Buffer>();
  const server = net.createServer((socket) => {
    socket
      .on('error', () => {})
      .once('data', (data: Buffer) => {
        hello.resolve(data);
        socket.destroy();
        server.close();
      });
  });
  server.listen(0, '127.0.0.1', () => {
    const { port } = server.address() as net.AddressInfo;
    tls.connect({ host: '127.0.0.1', port, minVersion: 'TLSv1.3' }).on('error', () => {});
  });
  return within(hello.promise, 'a hello');
}

test('a handshake that drips, or stops half way, ends at its deadline', TEST, async () => {
  const authority = await TestAuthority.make();
  await using at = await listening(await authority.issue(), { handshakeTimeoutMs: 1_500 });
  const hello = await clientHello();
  const slow = plain(at.port);
  let sent = 0;
  const drip = setInterval(() => slow.socket.write(hello.subarray(sent, ++sent)), 10);
  assert.equal((await at.reason()).code, 'TRANSPORT_TLS_HANDSHAKE_LATE');
  await slow.gone();
  clearInterval(drip);
  assert.ok(sent < hello.length, 'it was still dripping');
  const half = plain(at.port, hello);
  assert.equal((await at.reason()).code, 'TRANSPORT_TLS_HANDSHAKE_LATE');
  await half.gone();
  assert.ok(Buffer.concat(half.heard).length > 0, 'the handshake had begun');
  assert.deepEqual(at.reasons, []);
});

test('strangers who dawdle do not keep members out', TEST, async () => {
  const authority = await TestAuthority.make();
  await using at = await listening(await authority.issue(), { handshakesMax: 4, handshakeTimeoutMs: 10_000 });
  const hello = await clientHello();
  const crowd = Array.from({ length: 12 }, () => plain(at.port, hello));
  for (let i = 0; i < 8; i++) assert.equal((await at.reason()).code, 'TRANSPORT_TLS_CROWDED');
  const connection = await networkOf(await authority.issue()).connect(at.address, silent, CONNECT);
  assert.equal(at.connections.length, 1);
  for (const { socket } of crowd) socket.destroy();
  connection.close();
});

test('more connections than allowed are closed as they come', TEST, async () => {
  const authority = await TestAuthority.make();
  await using at = await listening(await authority.issue(), { connectionsMax: 2 });
  const network = networkOf(await authority.issue());
  const connect = () => network.connect(at.address, silent, CONNECT);
  const connections = [await connect(), await connect()];
  await assert.rejects(connect, { code: 'TRANSPORT_UNREACHABLE' });
  for (const connection of connections) connection.close();
});

test('who is inside and does not greet, or sends what is no frame, is closed', TEST, async () => {
  const authority = await TestAuthority.make();
  const member = await authority.issue();
  await using at = await listening(member, { preambleTimeoutMs: 1_000, idleTimeoutMs: 1_000 });
  const credentials = { cert: member.certificate, key: member.key };
  await guest(at.port, credentials).gone();
  assert.equal((await at.reason()).code, 'TRANSPORT_PREAMBLE_LATE');
  const loud = guest(at.port, credentials);
  loud.socket.write(
    Buffer.concat([PREAMBLE, encodeFrame(1, 0, [Buffer.from('fine')]), Buffer.alloc(16, 0xff)]),
  );
  assert.equal((await at.reason()).code, 'TRANSPORT_FRAME_TOO_LONG');
  await loud.gone();
  assert.deepEqual(at.frames, ['fine']);
  const quiet = guest(at.port, credentials);
  quiet.socket.write(PREAMBLE);
  assert.equal((await at.reason()).code, 'TRANSPORT_IDLE');
  await quiet.gone();
});

test('last words arrive though the other side does not stop talking', TEST, async () => {
  const authority = await TestAuthority.make();
  const identity = await authority.issue();
  await using at = await listening(identity);
  const connection = await networkOf(identity).connect(at.address, silent, CONNECT);
  const [talker] = at.connections;
  const body = new Uint8Array(512 * 1024);
  const talk = setInterval(() => talker?.send(1, 0, [body]), 1);
  await systemClock.sleep(30);
  for (let i = 0; i < 40; i++) connection.send(1, 0, [new Uint8Array(50_000)]);
  connection.send(1, 0, [Buffer.from('last words')]);
  connection.close();
  await at.reason();
  clearInterval(talk);
  assert.equal(at.frames.length, 41);
  assert.equal(at.frames.at(-1), 'last words');
});

test(
  'a reader that stops reading costs no more than the limit, and closing does not wait for it',
  TEST,
  async () => {
    const authority = await TestAuthority.make();
    const identity = await authority.issue();
    const limit = 9 * 1024 * 1024;
    await using at = await listening(identity, { sendLimitBytes: limit });
    const lazy = guest(at.port, { cert: identity.certificate, key: identity.key });
    lazy.socket.write(PREAMBLE);
    await within(once(lazy.socket, 'data'), 'the greeting');
    lazy.socket.pause();
    const [connection] = at.connections;
    assert.ok(connection);
    const body = new Uint8Array(64 * 1024);
    let sent = 0;
    for (let turn = 0; turn < 50; turn++) {
      while (connection.send(1, 0, [body])) sent += body.length;
      assert.ok(connection.bufferedBytes <= limit, `${connection.bufferedBytes} bytes are buffered`);
      await systemClock.sleep(1);
    }
    // The kernel's buffers for a TCP connection on loopback hold up to 4 MiB to send and 6 MiB received.
    assert.ok(sent < limit + 16 * 1024 * 1024, `${sent} bytes were accepted`);
    connection.close();
    assert.equal((await at.reason()).code, 'TRANSPORT_CLOSED_HERE');
    lazy.socket.destroy();
  },
);

test('a connection cannot come back without showing its certificate', TEST, async () => {
  const authority = await TestAuthority.make();
  const identity = await authority.issue();
  await using at = await listening(identity);
  const options = { cert: identity.certificate, key: identity.key, ca: identity.authorities };
  const tickets: Buffer[] = [];
  const first = guest(at.port, options);
  first.socket.on('session', (ticket: Buffer) => tickets.push(ticket)).write(PREAMBLE);
  await within(once(first.socket, 'session'), 'something to come back with');
  for (const session of tickets) {
    const again = guest(at.port, { ...options, session });
    await within(once(again.socket, 'secureConnect'), 'the handshake');
    assert.equal(again.socket.isSessionReused(), false);
    again.socket.destroy();
  }
  first.socket.destroy();
});
