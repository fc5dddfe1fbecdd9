/** Certificates and authorities that change under live connections. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { deadline, Deferred, systemClock, systemRandom, type CodedError } from '@rokka/kernel';
import type { Connection } from './connection.ts';
import { TestAuthority } from './testing/test-authority.ts';
import type { TlsIdentity } from './tls-credentials.ts';
import { tlsNetwork } from './tls-network.ts';

const TEST = { timeout: 180_000 };
const CONNECT = { timeoutMs: 60_000 };
const within = <T>(work: Promise<T>, what: string) => deadline(work, { what, ms: 60_000 });

/** A member whose identity can be exchanged, and that listens and answers. */
class Member implements AsyncDisposable {
  identity: TlsIdentity;
  readonly accepted: Connection[] = [];
  readonly #network;
  #listener: (AsyncDisposable & { readonly address: string }) | undefined;

  constructor(identity: TlsIdentity) {
    this.identity = identity;
    this.#network = tlsNetwork({ clock: systemClock, random: systemRandom, identity: () => this.identity });
  }

  async listen(): Promise<this> {
    this.#listener = await this.#network.listen('127.0.0.1:0', (connection) => {
      this.accepted.push(connection);
      return {
        onFrame: (connection, { requestId, body }) => void connection.send(2, requestId, [Buffer.from(body)]),
        onClose() {},
      };
    });
    return this;
  }

  /** A link to `other`; `ask` proves that it works. */
  async link(other: Member) {
    let answer = new Deferred<string>();
    const closed = new Deferred<CodedError>();
    const connection = await this.#network.connect(
      other.#listener?.address ?? '',
      {
        onFrame: (_, { body }) => answer.resolve(Buffer.from(body).toString()),
        onClose: (_, reason) => {
          closed.resolve(reason);
          answer.reject(reason);
        },
      },
      CONNECT,
    );
    return {
      connection,
      closed: () => within(closed.promise, 'the end'),
      async ask(text: string): Promise<void> {
        answer = new Deferred();
        connection.send(1, 1, [Buffer.from(text)]);
        assert.equal(await within(answer.promise, 'an answer'), text);
      },
      [Symbol.dispose]: () => connection.close(),
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#listener?.[Symbol.asyncDispose]();
  }
}

test(
  'a renewed certificate applies to the next connection and leaves the live ones alone',
  TEST,
  async () => {
    const authority = await TestAuthority.make();
    await using server = await new Member(await authority.issue({ id: 'n1' })).listen();
    const client = new Member(await authority.issue({ role: 'head', id: 'h1' }));
    using before = await client.link(server);
    const old = before.connection.peerIdentity;
    server.identity = await authority.issue({ id: 'n1', validToMs: 1_000_000 });
    client.identity = await authority.issue({ role: 'head', id: 'h1', validToMs: 1_000_000 });
    using after = await client.link(server);
    await before.ask('before');
    await after.ask('after');
    assert.notEqual(after.connection.peerIdentity?.validToMs, old?.validToMs);
    const [first, second] = server.accepted;
    assert.notEqual(first?.peerIdentity?.validToMs, second?.peerIdentity?.validToMs);
  },
);

test('authorities change hands without a link cut, and the old one ends', TEST, async () => {
  const [old, next] = [await TestAuthority.make(), await TestAuthority.make()];
  const both = old.certificate + next.certificate;
  await using server = await new Member(await old.issue()).listen();
  const client = new Member(await old.issue());
  using standing = await client.link(server);
  const linked = async (what: string) => {
    using link = await client.link(server);
    await link.ask(what);
    await standing.ask(what);
  };
  // First one side believes both, then the other; then certificates of the new one appear, on one side first.
  server.identity = await old.issue({}, both);
  await linked('server believes both');
  client.identity = await old.issue({}, both);
  await linked('both believe both');
  client.identity = await next.issue({}, both);
  await linked('client is of the new one');
  server.identity = await next.issue({}, both);
  await linked('both are of the new one');
  server.identity = await next.issue({}, next.certificate);
  await linked('server has forgotten the old one');
  client.identity = await old.issue({}, both);
  await assert.rejects(client.link(server), { code: 'TRANSPORT_TLS_REFUSED' });
  await standing.ask('a link that stood all the time');
});

test(
  'a link ends with the certificate it was made with, on both sides, and a renewed one goes on',
  TEST,
  async () => {
    const authority = await TestAuthority.make();
    await using server = await new Member(await authority.issue()).listen();
    const client = new Member(await authority.issue({ validFromMs: -10_000, validToMs: 4_000 }));
    using short = await client.link(server);
    client.identity = await authority.issue();
    using long = await client.link(server);
    // The listener watches the client's certificate, and says so to its own side.
    assert.equal((await short.closed()).code, 'TRANSPORT_CLOSED');
    await long.ask('still here');
  },
);

test('an identity that cannot be used is found out before anybody connects', TEST, async () => {
  const authority = await TestAuthority.make();
  const [one, other] = [await authority.issue(), await authority.issue()];
  const mixed = new Member({ ...one, key: other.key });
  await assert.rejects(mixed.listen(), { code: 'TRANSPORT_TLS_BAD_IDENTITY' });
  await using server = await new Member(one).listen();
  await assert.rejects(mixed.link(server), { code: 'TRANSPORT_TLS_BAD_IDENTITY' });
  // A listener whose identity goes bad refuses, and recovers with it.
  server.identity = { ...one, certificate: 'nonsense' };
  const client = new Member(other);
  await assert.rejects(client.link(server), { code: 'TRANSPORT_UNREACHABLE' });
  server.identity = one;
  using link = await client.link(server);
  await link.ask('well again');
});
